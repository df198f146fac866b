package emittest

import (
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mailplan/mailplan/compiler/model"
)

// Layout writes the files that lie below folder (relative to the project) into a new folder, marks
// replaced by what secret says, and returns that folder. A nil secret gives each its own name in letters.
func Layout(t testing.TB, files []model.File, folder string, secret func(string) string) string {
	t.Helper()
	if secret == nil {
		secret = func(name string) string { return "value-of-" + strings.Map(plain, name) }
	}
	dir := t.TempDir()
	for _, f := range files {
		rest, ok := strings.CutPrefix(f.Path, path.Join(model.ProjectDir, folder)+"/")
		if !ok {
			continue
		}
		place := filepath.Join(dir, rest)
		if err := os.MkdirAll(filepath.Dir(place), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(place, f.Fill(secret), f.Mode|0o200); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func plain(r rune) rune {
	if r == '/' || r == '.' || r == '@' || r == '_' {
		return '-'
	}
	return r
}

// Text is the content of the file at path (relative to the project); the test ends if there is none.
func Text(t testing.TB, files []model.File, path string) string {
	t.Helper()
	i := slices.IndexFunc(files, func(f model.File) bool { return f.Path == model.ProjectDir+"/"+path })
	if i < 0 {
		t.Fatalf("no file %s", path)
	}
	return string(files[i].Content)
}

// Emit runs an emitter twice, fails if it is not deterministic, if a file with a secret can be read by
// others, or if a file does not say who reads it, and returns the files.
func Emit(t testing.TB, emit func(*model.Site) ([]model.File, error), s *model.Site) []model.File {
	t.Helper()
	files, err := emit(s)
	if err != nil {
		t.Fatal(err)
	}
	again, err := emit(s)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(files, again); diff != "" {
		t.Errorf("a second run differs:\n%s", diff)
	}
	for _, f := range files {
		if len(f.Secrets()) > 0 && f.Mode&0o077 != 0 {
			t.Errorf("%s holds a secret and has mode %o", f.Path, f.Mode)
		}
		if f.From == "" {
			t.Errorf("%s does not say what of the site asks for it", f.Path)
		}
		if !strings.HasPrefix(f.Path, model.ProjectDir+"/") {
			t.Errorf("%s lies outside the project", f.Path)
		}
	}
	return files
}

// Holds fails for every text that the file at path lacks.
func Holds(t testing.TB, files []model.File, path string, texts ...string) {
	t.Helper()
	content := Text(t, files, path)
	for _, text := range texts {
		if !strings.Contains(content, text) {
			t.Errorf("%s lacks %q:\n%s", path, text, content)
		}
	}
}
