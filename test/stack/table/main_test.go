package main

import (
	"strings"
	"testing"
)

// TestTable holds that whatever ended is in the table, and that what failed is shown and is an error.
func TestTable(t *testing.T) {
	const good = `{"Action":"run","Test":"TestFlows/mail_in"}
{"Action":"output","Test":"TestFlows/mail_in","Output":"all is well\n"}
{"Action":"pass","Test":"TestFlows/mail_in","Elapsed":1.5}
{"Action":"pass","Test":"TestFlows","Elapsed":2}
`
	var out strings.Builder
	if err := run(strings.NewReader(good+`{"Action":"pass","Elapsed":2}`), &out); err != nil {
		t.Error(err)
	}
	if !strings.Contains(out.String(), "Flows/mail in | ok      |   1.50s\n") || strings.Contains(out.String(), "all is well") {
		t.Errorf("printed %s", &out)
	}
	out.Reset()
	const bad = `{"Action":"output","Test":"TestOut","Output":"the relay said no\n"}
{"Action":"fail","Test":"TestOut","Elapsed":3}
{"Action":"fail","Elapsed":5}`
	if err := run(strings.NewReader(good+bad), &out); err == nil {
		t.Error("a failure is no error")
	}
	if !strings.Contains(out.String(), "the relay said no\n") || !strings.Contains(out.String(), "| FAILED  |   3.00s\n") {
		t.Errorf("printed %s", &out)
	}
	out.Reset()
	if err := run(strings.NewReader("# a package that does not build\n"), &out); err == nil || !strings.Contains(out.String(), "does not build") {
		t.Errorf("%v: %s", err, &out)
	}
}
