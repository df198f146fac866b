// Package examples_test compiles every example and compares everything that follows from it with what is kept in its
// want folder: the tree, what vet says, and the plan that brings the site up from nothing.
package examples_test

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mailplan/mailplan/compiler"
	"github.com/mailplan/mailplan/compiler/apply/declared"
	"github.com/mailplan/mailplan/compiler/model"
	"github.com/mailplan/mailplan/compiler/plan"
)

// dirs are the examples, and the reference site, whose expected output is kept here too.
func dirs(t *testing.T) map[string]string {
	t.Helper()
	sites, err := filepath.Glob("*/site")
	if err != nil || len(sites) < 3 {
		t.Fatal("examples are missing: ", err)
	}
	out := map[string]string{"reference": "../site"}
	for _, s := range sites {
		out[filepath.Dir(s)] = s
	}
	return out
}

func TestExamples(t *testing.T) {
	for name, dir := range dirs(t) {
		t.Run(name, func(t *testing.T) {
			got := everything(t, dir)
			again := everything(t, dir)
			if d := cmp.Diff(got, again); d != "" {
				t.Errorf("a second run differs: %s", d)
			}
			want := filepath.Join(name, "want")
			if os.Getenv("MAILPLAN_UPDATE") != "" {
				rewrite(t, want, got)
				return
			}
			if d := cmp.Diff(read(t, want), got); d != "" {
				t.Errorf("MAILPLAN_UPDATE=1 go test ./examples rewrites %s; read what changes:\n%s", want, d)
			}
		})
	}
}

// everything maps the names below want/ to their content; modes and owners stand in tree.txt.
func everything(t *testing.T, dir string) map[string]string {
	t.Helper()
	site, err := compiler.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	tree, err := site.Tree()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{"findings.txt": findings(site), "tree.txt": list(tree), "plan.txt": bringUp(t, site, tree)}
	for _, f := range tree.Files {
		// Under its own name it would keep the expected .env and secrets out of Git.
		name := strings.Replace(f.Path, "/.gitignore", "/gitignore", 1)
		out["tree/"+name] = string(f.Content)
	}
	return out
}

func findings(site *compiler.Site) string {
	var lines []string
	for _, f := range site.Findings {
		pos := site.Pos(f)
		line := fmt.Sprintf("%s:%d: %s: %s [%s]\n", filepath.Base(pos.File), pos.Line, f.Severity, f.Message, f.Rule)
		if f.Hint != "" {
			line += "    hint: " + f.Hint + "\n"
		}
		lines = append(lines, line)
	}
	slices.Sort(lines)
	return strings.Join(lines, "")
}

func list(tree model.Tree) string {
	var b strings.Builder
	for _, f := range tree.Files {
		fmt.Fprintf(&b, "%04o %d:%d %s  %s\n", f.Mode, f.UID, f.GID, f.Path, strings.Join(f.Reads, " "))
	}
	return b.String()
}

func bringUp(t *testing.T, site *compiler.Site, tree model.Tree) string {
	t.Helper()
	objects, err := declared.Objects(context.Background(), site.Model, tree)
	if err != nil {
		t.Fatal(err)
	}
	p, err := plan.New(site.Model.Name, "", compiler.Digest(tree), nil, objects)
	if err != nil {
		t.Fatal(err)
	}
	p.Headline = plan.NewHeadline(model.Accounts{}, site.Model.Accounts())
	var b bytes.Buffer
	if err := p.Text(&b, plan.Style{}); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func read(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		rel, _ := filepath.Rel(dir, path)
		out[filepath.ToSlash(rel)] = string(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func rewrite(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	for name, content := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
