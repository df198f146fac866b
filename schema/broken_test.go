package schema_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/mailplan/mailplan/compiler/decode"
	"github.com/mailplan/mailplan/schema"
)

// TestBroken holds one broken site per file of testdata/broken: what stands in its folder, and in want the
// exact problems. A site whose comment does not say "alone" gets testdata/base.cue as well, which together
// with one domain is valid. MAILPLAN_UPDATE=1 rewrites want.
func TestBroken(t *testing.T) {
	names, err := filepath.Glob("testdata/broken/*.txtar")
	if err != nil || len(names) < 70 {
		t.Fatalf("%d broken sites, %v", len(names), err)
	}
	for _, name := range names {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			got := problems(t, archive) + "\n"
			if strings.Contains(got, "hunter2") || strings.Contains(got, "tr0ub4dor") {
				t.Errorf("a password is printed:\n%s", got)
			}
			if os.Getenv("MAILPLAN_UPDATE") == "1" {
				update(t, name, archive, got)
			}
			if diff := cmp.Diff(want(archive), got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// problems loads and decodes the site of an archive and prints what is wrong with it.
func problems(t *testing.T, archive *txtar.Archive) string {
	t.Helper()
	src, err := schema.LoadFS(siteFS(t, archive), "site")
	if err == nil {
		_, err = decode.Site(src)
	}
	if err == nil {
		t.Fatal("the site is not broken")
	}
	if _, ok := err.(schema.Problems); !ok {
		t.Fatalf("not the author's problem: %v", err)
	}
	return err.Error()
}

func siteFS(t *testing.T, archive *txtar.Archive) fstest.MapFS {
	t.Helper()
	files := fstest.MapFS{}
	if !strings.Contains(string(archive.Comment), "alone") {
		base, err := os.ReadFile("testdata/base.cue")
		if err != nil {
			t.Fatal(err)
		}
		files["base.cue"] = &fstest.MapFile{Data: base}
	}
	for _, f := range archive.Files {
		if f.Name != "want" {
			files[f.Name] = &fstest.MapFile{Data: f.Data}
		}
	}
	return files
}

func want(archive *txtar.Archive) string {
	for _, f := range archive.Files {
		if f.Name == "want" {
			return string(f.Data)
		}
	}
	return ""
}

func update(t *testing.T, name string, archive *txtar.Archive, got string) {
	t.Helper()
	files := archive.Files[:0:0]
	for _, f := range archive.Files {
		if f.Name != "want" {
			files = append(files, f)
		}
	}
	archive.Files = append(files, txtar.File{Name: "want", Data: []byte(got)})
	if err := os.WriteFile(name, txtar.Format(archive), 0o644); err != nil {
		t.Fatal(err)
	}
}
