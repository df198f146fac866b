package check_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"github.com/mailplan/mailplan/compiler"
	"github.com/mailplan/mailplan/compiler/check"
	"github.com/mailplan/mailplan/site"
)

// TestRules makes the reference site faulty, one fault a file of testdata, and compares every finding at its line.
// In a file, "replace" has lines «file: old => new», other sections are files added to the site, and "want" is what
// vet says. MAILPLAN_UPDATE=1 rewrites it.
func TestRules(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no cases: ", err)
	}
	tested := map[string]bool{}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			a, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			dir := faulty(t, a)
			got := findings(t, dir)
			for _, m := range regexp.MustCompile(`\[([a-z0-9-]+)\]`).FindAllStringSubmatch(got, -1) {
				tested[m[1]] = true
			}
			want := section(a, "want")
			if os.Getenv("MAILPLAN_UPDATE") != "" {
				*want = txtar.File{Name: "want", Data: []byte(got)}
				if err := os.WriteFile(file, txtar.Format(a), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if d := cmp.Diff(string(want.Data), got); d != "" {
				t.Error(d)
			}
		})
	}
	for _, r := range check.Rules() {
		if !tested[r.ID] {
			t.Errorf("the rule %s has no faulty site in testdata", r.ID)
		}
	}
}

func section(a *txtar.Archive, name string) *txtar.File {
	for i := range a.Files {
		if a.Files[i].Name == name {
			return &a.Files[i]
		}
	}
	a.Files = append(a.Files, txtar.File{Name: name})
	return &a.Files[len(a.Files)-1]
}

// faulty lays the reference site out with the case's changes.
func faulty(t *testing.T, a *txtar.Archive) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range reference(t) {
		write(t, dir, name, content)
	}
	for _, f := range a.Files {
		switch f.Name {
		case "want":
		case "replace":
			for line := range strings.Lines(string(f.Data)) {
				replace(t, dir, strings.TrimRight(line, "\n"))
			}
		default:
			write(t, dir, f.Name, f.Data)
		}
	}
	return dir
}

func reference(t *testing.T) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	for _, name := range []string{"site.cue", "example-com.cue", "backup.cue"} {
		content, err := site.Files.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		files[name] = content
	}
	return files
}

func replace(t *testing.T, dir, line string) {
	t.Helper()
	file, rest, ok := strings.Cut(line, ": ")
	old, new, ok2 := strings.Cut(rest, " => ")
	if !ok || !ok2 {
		t.Fatalf("%q is not «file: old => new»", line)
	}
	content, err := os.ReadFile(filepath.Join(dir, file))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(content), old) {
		t.Fatalf("%s has no %q", file, old)
	}
	write(t, dir, file, []byte(strings.Replace(string(content), old, new, 1)))
}

func write(t *testing.T, dir, name string, content []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
		t.Fatal(err)
	}
}

func findings(t *testing.T, dir string) string {
	t.Helper()
	s, err := compiler.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, f := range s.Findings {
		pos := s.Pos(f)
		pos.File = filepath.Base(pos.File)
		text := fmt.Sprintf("%s: %s: %s [%s]\n", pos, f.Severity, f.Message, f.Rule)
		if f.Hint != "" {
			text += "    hint: " + f.Hint + "\n"
		}
		if f.Fix != nil {
			text += "    fix: " + f.Fix.Path + ": " + f.Fix.Value + "\n"
		}
		lines = append(lines, text)
	}
	return strings.Join(lines, "")
}

// TestReferenceSiteIsGood holds that no rule fires on a good site.
func TestReferenceSiteIsGood(t *testing.T) {
	if got := findings(t, faulty(t, &txtar.Archive{})); got != "" {
		t.Errorf("the reference site is blamed:\n%s", got)
	}
}

func TestRulesAreDocumented(t *testing.T) {
	ids := map[string]bool{}
	for _, r := range check.Rules() {
		if ids[r.ID] || r.ID == "" || r.Title == "" || r.Why == "" || !slices.Contains([]check.Severity{check.Error, check.Warning}, r.Severity) {
			t.Errorf("rule %+v lacks something or has the id of another", r)
		}
		ids[r.ID] = true
	}
}
