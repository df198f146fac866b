package edit

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSetKeepsTheAuthorsFile(t *testing.T) {
	for _, test := range []struct{ name, before, path, value, after string }{
		{"value in place", "// why\na: 1 // note\nb: 2\n", "a", "3", "// why\na: 3 // note\nb: 2\n"},
		{"deep value", "a: {\n\tb: c: \"x\" // keep\n}\n", "a.b.c", `"y"`, "a: {\n\tb: c: \"y\" // keep\n}\n"},
		{"quoted label", "domains: \"example.com\": {\n\tspf: all: \"?all\"\n}\n", `domains."example.com".spf.all`, `"~all"`,
			"domains: \"example.com\": {\n\tspf: all: \"~all\"\n}\n"},
		{"into lines", "a: {\n\tb: 1\n}\n", "a.c", "2", "a: {\n\tb: 1\n\tc: 2\n}\n"},
		{"into one line", "a: {b: 1}\n", "a.c", "2", "a: {b: 1, c: 2}\n"},
		{"into an empty struct", "a: {}\n", "a.c.d", "2", "a: {c: d: 2}\n"},
		{"beside a chain", "relay: password: secret: \"K\"\n", "relay.tls", `"verify"`, "relay: password: secret: \"K\"\nrelay: tls: \"verify\"\n"},
		{"beside a chain inside", "a: {\n\tb: c: 1 // one\n}\n", "a.b.d", "2", "a: {\n\tb: c: 1 // one\n\tb: d: 2\n}\n"},
		{"beside a chain in braces on a chain", "d: \"e.org\": {\n\tb: c: 1\n}\n", `d."e.org".b.x`, "2", "d: \"e.org\": {\n\tb: c: 1\n\tb: x: 2\n}\n"},
		{"list element", "r: [\n\t{t: 1, p: true},\n\t{t: 2, p: true}, // second\n]\n", "r[1].p", "false", "r: [\n\t{t: 1, p: true},\n\t{t: 2, p: false}, // second\n]\n"},
		{"list element's new field", "r: [{t: 1}]\n", "r[0].p", "false", "r: [{t: 1, p: false}]\n"},
		{"field in parts", "a: b: 1\na: c: 2\n", "a.c", "3", "a: b: 1\na: c: 3\n"},
		{"odd layout", "a  :   {b:1,\n  c : 2  }  // end\n", "a.c", "3", "a  :   {b:1,\n  c : 3  }  // end\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := Set("x.cue", []byte(test.before), test.path, test.value)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(test.after, string(got)); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestSetElsewhere(t *testing.T) {
	if _, err := Set("x.cue", []byte("b: 1\n"), "a.c", "2"); !errors.Is(err, ErrAbsent) {
		t.Errorf("a file without the first label: %v, want ErrAbsent", err)
	}
	if _, err := Set("x.cue", []byte("a: [1]\n"), "a[0].b", "2"); err == nil {
		t.Error("a field was put into a number")
	}
}

func FuzzSet(f *testing.F) {
	f.Add("a: {b: 1}\n", "a.c", "2")
	f.Add("a: b: c: 1\n", `a."b".d[0]`, "{}")
	f.Fuzz(func(t *testing.T, content, path, value string) {
		Set("x.cue", []byte(content), path, value) // must not panic
	})
}
