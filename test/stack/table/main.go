// Command table reads what one or more runs of `go test -json` print and shows it as people want it: what failed with all it said, and at the
// end a table of every flow with its result and time. It exits with 1 if anything failed.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"
)

func main() {
	if err := run(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// event is one line of test2json.
type event struct {
	Action  string
	Test    string
	Output  string
	Elapsed float64 // seconds
}

// row is a test that has ended.
type row struct {
	name, result string
	seconds      float64
}

func run(in io.Reader, out io.Writer) error {
	said := map[string]*strings.Builder{}
	var rows []row
	passed, failed := false, false
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e event
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			fmt.Fprintln(out, lines.Text()) // of a build that failed
			continue
		}
		if said[e.Test] == nil {
			said[e.Test] = &strings.Builder{}
		}
		switch {
		case e.Action == "output":
			said[e.Test].WriteString(e.Output)
		case e.Action != "pass" && e.Action != "fail" && e.Action != "skip":
		case e.Test == "":
			passed, failed = true, failed || e.Action == "fail"
		default:
			rows = append(rows, row{e.Test, e.Action, e.Elapsed})
			if e.Action != "pass" {
				fmt.Fprint(out, said[e.Test])
			}
		}
	}
	table(out, rows)
	if failed || !passed {
		if b := said[""]; b != nil {
			fmt.Fprint(out, b)
		}
		return errors.Join(lines.Err(), errors.New("the stack has failed"))
	}
	return lines.Err()
}

// table prints the rows, wide enough for the longest name.
func table(out io.Writer, rows []row) {
	width := len("flow")
	for i := range rows {
		rows[i].name = strings.ReplaceAll(strings.TrimPrefix(rows[i].name, "Test"), "_", " ")
		width = max(width, utf8.RuneCountInString(rows[i].name))
	}
	words := map[string]string{"pass": "ok", "fail": "FAILED", "skip": "skipped"}
	fmt.Fprintf(out, "%-*s | result  |    time\n%s\n", width, "flow", strings.Repeat("-", width+20))
	for _, r := range rows {
		fmt.Fprintf(out, "%-*s | %-7s | %6.2fs\n", width, r.name, words[r.result], r.seconds)
	}
}
