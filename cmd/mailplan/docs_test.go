package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/format"
	"cuelang.org/go/cue/parser"

	"github.com/mailplan/mailplan/schema"
	"github.com/mailplan/mailplan/test/need"
)

// TestDocs runs every command of the tutorial and of each task's page, in the order of the page, and holds that what the
// page shows of the output is in it. A task's page begins where the tutorial's fourth section ends.
func TestDocs(t *testing.T) {
	for _, program := range []string{"git", "age-keygen", "curl", "bash"} {
		need.Program(t, program)
	}
	home := t.TempDir()
	build(t, filepath.Join(home, "bin"))
	if err := os.WriteFile(filepath.Join(home, ".gitconfig"),
		[]byte("[user]\nname = Test\nemail = test@example.com\n[init]\ndefaultBranch = main\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	env := []string{"HOME=" + home, "PATH=" + filepath.Join(home, "bin") + ":" + os.Getenv("PATH"), "NO_COLOR=1"}
	play(t, "tutorial", env, home)
	begin := filepath.Join(home, "my-mail")
	for _, name := range pageNames() {
		if name == "tutorial" || name == "reference" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "my-mail")
			if out, err := exec.Command("cp", "-a", begin, dir).CombinedOutput(); err != nil { // with modes, which the sandbox minds
				t.Fatalf("%v: %s", err, out)
			}
			play(t, name, env, dir)
		})
	}
}

func build(t *testing.T, dir string) {
	t.Helper()
	for _, program := range []string{"mailplan", "mailpland"} {
		cmd := exec.Command("go", "build", "-o", filepath.Join(dir, program), "../"+program)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("build %s: %v\n%s", program, err, out)
		}
	}
}

var fences = regexp.MustCompile("(?ms)^```(sh|text)\n(.*?)^```$")

// play runs the blocks of a page in one shell, so that a folder that one enters is the next one's.
func play(t *testing.T, page string, env []string, dir string) {
	t.Helper()
	text, err := pages.ReadFile("docs/" + page + ".md")
	if err != nil {
		t.Fatal(err)
	}
	var script strings.Builder
	script.WriteString("set -e -o pipefail\n")
	var shown [][]string // by block: what its output must have
	for _, m := range fences.FindAllStringSubmatch(string(text), -1) {
		if m[1] == "sh" {
			shown = append(shown, nil)
			fmt.Fprintf(&script, "echo '=== block %d' >&2\n%s", len(shown), m[2])
			continue
		}
		shown[len(shown)-1] = strings.Split(strings.TrimSpace(m[2]), "\n")
	}
	cmd := exec.Command("bash", "-c", script.String())
	cmd.Dir, cmd.Env = dir, env
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s", page, err, out.String())
	}
	blocks := strings.Split(out.String(), "=== block ")[1:]
	for i, lines := range shown {
		for _, line := range lines {
			if !strings.Contains(blocks[i], line) {
				t.Errorf("%s: block %d shows %q, and its output is\n%s", page, i+1, line, blocks[i])
			}
		}
	}
}

// TestReference holds that reference.md is what the schema says; MAILPLAN_UPDATE=1 rewrites it.
func TestReference(t *testing.T) {
	want := reference(t)
	if os.Getenv("MAILPLAN_UPDATE") != "" {
		if err := os.WriteFile("docs/reference.md", []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := pages.ReadFile("docs/reference.md")
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Error("docs/reference.md is not what the schema says: MAILPLAN_UPDATE=1 go test ./cmd/mailplan -run Reference")
	}
}

// reference writes down every definition and field of the schema with its comment, the site's own first.
func reference(t *testing.T) string {
	names, err := fs.Glob(schema.Files, "*.cue")
	if err != nil {
		t.Fatal(err)
	}
	slices.SortStableFunc(names, func(a, b string) int { return rank(a) - rank(b) })
	var b strings.Builder
	b.WriteString("# What a site may say\n\nWritten from the schema by a test; `mailplan init` lays the schema itself beside your site, for editors and\n" +
		"`cue vet`. A value with `*` is the default, `!` marks what must be written, `?` what may be left out without one.\n")
	for _, name := range names {
		data, err := schema.Files.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		file, err := parser.ParseFile(name, data, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			if f, ok := d.(*ast.Field); ok {
				definition(t, &b, f)
			}
		}
	}
	return b.String()
}

func rank(name string) int {
	if name == "site.cue" {
		return 0
	}
	if name == "names.cue" {
		return 2
	}
	return 1
}

func definition(t *testing.T, b *strings.Builder, f *ast.Field) {
	name, _, err := ast.LabelName(f.Label)
	if err != nil {
		return
	}
	fmt.Fprintf(b, "\n## %s\n\n%s\n", name, comments(f))
	body, ok := f.Value.(*ast.StructLit)
	if !ok {
		fmt.Fprintf(b, "\n    %s\n", source(t, f.Value))
		return
	}
	b.WriteString("\n| field | value | |\n|---|---|---|\n")
	rows(t, b, "", body)
}

func rows(t *testing.T, b *strings.Builder, prefix string, body *ast.StructLit) {
	for _, d := range body.Elts {
		f, ok := d.(*ast.Field)
		if !ok {
			continue
		}
		label := prefix + source(t, f.Label) + map[string]string{"?": "?", "!": "!"}[f.Constraint.String()]
		if inner, ok := f.Value.(*ast.StructLit); ok && len(inner.Elts) > 0 {
			fmt.Fprintf(b, "| `%s` | | %s |\n", label, cell(comments(f)))
			rows(t, b, label+".", inner)
			continue
		}
		fmt.Fprintf(b, "| `%s` | `%s` | %s |\n", label, cell(source(t, f.Value)), cell(comments(f)))
	}
}

func comments(n ast.Node) string {
	var parts []string
	for _, c := range ast.Comments(n) {
		if c.Doc {
			parts = append(parts, strings.TrimSpace(c.Text()))
		}
	}
	return strings.Join(parts, "\n")
}

func source(t *testing.T, n ast.Node) string {
	text, err := format.Node(n, format.Simplify())
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}

// cell is a text in one line of a table.
func cell(text string) string {
	return strings.NewReplacer("|", `\|`, "\n", " ", "\t", "").Replace(text)
}
