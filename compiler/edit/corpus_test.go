package edit

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/cuecontext"
	"github.com/google/go-cmp/cmp"
)

// edits are tried on every file of the corpus: each file means the same site, oddly written.
var edits = []struct {
	name   string
	do     func(name string, content []byte) ([]byte, error)
	lines  int // that may go or come
	change func(map[string]any)
}{
	{"add a user", setter(`d."e.org".users.carol`, "{quotaMB: 1}"), 3, func(m map[string]any) { users(m)["carol"] = map[string]any{"quotaMB": 1.0} }},
	{"add a user whose name is quoted", setter(`d."e.org".users."a.b-c"`, "{}"), 3, func(m map[string]any) { users(m)["a.b-c"] = map[string]any{} }},
	{"change a quota", setter(`d."e.org".users.alice.quotaMB`, "77"), 2, func(m map[string]any) { users(m)["alice"].(map[string]any)["quotaMB"] = 77.0 }},
	{"add a field to a user", setter(`d."e.org".users.bob.name`, `"Bob"`), 3, func(m map[string]any) { users(m)["bob"].(map[string]any)["name"] = "Bob" }},
	{"remove a user", remover(`d."e.org".users.bob`), 6, func(m map[string]any) { delete(users(m), "bob") }},
	{"remove a field", remover(`d."e.org".users.alice.quotaMB`), 4, func(m map[string]any) { delete(users(m)["alice"].(map[string]any), "quotaMB") }},
	{"remove an alias", remover(`d."e.org".aliases.sales`), 9, func(m map[string]any) { delete(aliases(m), "sales") }},
	{"add a target", lister("alice", "bob", "carol"), 3, func(m map[string]any) { aliases(m)["sales"] = []any{"alice", "bob", "carol"} }},
	{"take a target out", lister("bob"), 4, func(m map[string]any) { aliases(m)["sales"] = []any{"bob"} }},
	{"change a target", lister("alice", "dave"), 6, func(m map[string]any) { aliases(m)["sales"] = []any{"alice", "dave"} }},
}

func setter(path, value string) func(string, []byte) ([]byte, error) {
	return func(name string, content []byte) ([]byte, error) { return Set(name, content, path, value) }
}

func remover(path string) func(string, []byte) ([]byte, error) {
	return func(name string, content []byte) ([]byte, error) { return Remove(name, content, path) }
}

func lister(items ...string) func(string, []byte) ([]byte, error) {
	return func(name string, content []byte) ([]byte, error) {
		return SetList(name, content, `d."e.org".aliases.sales`, items)
	}
}

func org(m map[string]any) map[string]any     { return m["d"].(map[string]any)["e.org"].(map[string]any) }
func users(m map[string]any) map[string]any   { return org(m)["users"].(map[string]any) }
func aliases(m map[string]any) map[string]any { return org(m)["aliases"].(map[string]any) }

// TestCorpus makes each edit on each odd file: the site must mean what was asked and nothing else, only few lines may
// change, and every comment that does not belong to what was removed must still be there.
func TestCorpus(t *testing.T) {
	files, err := filepath.Glob("testdata/corpus/*.cue")
	if err != nil || len(files) < 10 {
		t.Fatalf("%d files in the corpus: %v", len(files), err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range edits {
			t.Run(filepath.Base(file)+"/"+e.name, func(t *testing.T) {
				after, err := e.do(file, content)
				if err != nil {
					t.Fatal(err)
				}
				want := value(t, content)
				e.change(want)
				if d := cmp.Diff(want, value(t, after)); d != "" {
					t.Fatalf("the site means something else:\n%s\n%s", d, after)
				}
				if n := changed(string(content), string(after)); n > e.lines {
					t.Errorf("%d lines changed, want at most %d:\n%s", n, e.lines, after)
				}
				for _, keep := range []string{"// KEEP", "// keep too"} {
					if strings.Contains(string(content), keep) && !strings.Contains(string(after), keep) {
						t.Errorf("lost the comment %q:\n%s", keep, after)
					}
				}
			})
		}
	}
}

// TestMerge holds that two people's edits to different things merge line by line, wherever fields have lines of their own.
func TestMerge(t *testing.T) {
	base := "d: \"e.org\": {\n\tusers: {\n\t\talice: {quotaMB: 1}\n\t\tbob: {}\n\t\tdave: {}\n\t\tzoe: {}\n\t}\n}\n"
	ours, err := Set("x.cue", []byte(base), `d."e.org".users.carol`, "{}")
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := Set("x.cue", []byte(base), `d."e.org".users.frank`, "{}")
	if err != nil {
		t.Fatal(err)
	}
	both, err := Set("x.cue", ours, `d."e.org".users.frank`, "{}")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Replace(string(ours), "\t\tcarol: {}\n", "", 1) != base || strings.Replace(string(theirs), "\t\tfrank: {}\n", "", 1) != base {
		t.Errorf("an edit touched more than its line:\n%s%s", ours, theirs)
	}
	if want := strings.Replace(strings.Replace(base, "\t\tdave", "\t\tcarol: {}\n\t\tdave", 1), "\t\tzoe", "\t\tfrank: {}\n\t\tzoe", 1); string(both) != want {
		t.Errorf("got\n%s\nwant\n%s", both, want)
	}
}

func TestRemoveAbsent(t *testing.T) {
	for _, path := range []string{"x", "a.x", "a.b.c"} {
		if _, err := Remove("x.cue", []byte("a: b: 1\n"), path); !errors.Is(err, ErrAbsent) {
			t.Errorf("%s: %v, want ErrAbsent", path, err)
		}
	}
}

func value(t *testing.T, content []byte) map[string]any {
	t.Helper()
	v := cuecontext.New().CompileBytes(content)
	if err := v.Validate(cue.Concrete(true)); err != nil {
		t.Fatalf("%v\n%s", err, content)
	}
	data, err := v.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	m := map[string]any{}
	if err := json.Unmarshal(data, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

// changed counts the lines that are in one text only.
func changed(before, after string) int {
	count := map[string]int{}
	for line := range strings.Lines(before) {
		count[strings.TrimRight(line, "\r\n")]++
	}
	for line := range strings.Lines(after) {
		count[strings.TrimRight(line, "\r\n")]--
	}
	n := 0
	for _, c := range count {
		n += max(c, -c)
	}
	return n
}
