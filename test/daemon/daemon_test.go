package daemon_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// accepts returns a check that a configuration was accepted and that the program showed text.
func accepts(t *testing.T, text string) func(string, error) {
	return func(shown string, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("refused: %v", err)
		}
		if !strings.Contains(shown, text) {
			t.Errorf("shown settings lack %q:\n%s", text, shown)
		}
	}
}

// refuses returns a check that a configuration was refused with words that hold text.
func refuses(t *testing.T, text string) func(string, error) {
	return func(_ string, err error) {
		t.Helper()
		if err == nil {
			t.Fatalf("accepted, want a refusal that says %q", text)
		}
		if !strings.Contains(err.Error(), text) {
			t.Errorf("refused, but without %q: %v", text, err)
		}
	}
}

// variant copies dir with one text of one file replaced.
func variant(t *testing.T, dir, name, from, to string) string {
	t.Helper()
	changed := t.TempDir()
	if err := os.CopyFS(changed, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(changed, name)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(data), from) {
		t.Fatalf("%s has no %q", path, from)
	}
	if err := os.WriteFile(path, []byte(strings.ReplaceAll(string(data), from, to)), 0o644); err != nil {
		t.Fatal(err)
	}
	return changed
}
