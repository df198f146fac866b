package daemon

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/mailplan/mailplan/compiler/model"
)

// Lay writes emitted files to a throw-away folder and returns that of the project, the one with the
// docker-compose.yml.
func Lay(t testing.TB, files []model.File) string {
	t.Helper()
	dir := t.TempDir()
	for _, f := range files {
		path := filepath.Join(dir, filepath.FromSlash(f.Path))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, f.Content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, filepath.FromSlash(model.ProjectDir))
}

// stageCopy copies a file, or a folder with all below it, and fills in secrets as an apply would.
func stageCopy(source, target string) error {
	out, err := exec.Command("cp", "-a", "--no-preserve=ownership", "--", source, target).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, bytes.TrimSpace(out))
	}
	return eachFile(target, fillSecrets)
}

var secretMark = regexp.MustCompile(`\$\{secret:([^}]+)\}`)

// fillSecrets puts a value for each secret mark of a file.
func fillSecrets(path string) error {
	text, err := os.ReadFile(path)
	if err != nil || !secretMark.Match(text) {
		return err
	}
	filled := secretMark.ReplaceAllStringFunc(string(text), func(mark string) string {
		name := secretMark.FindStringSubmatch(mark)[1]
		return "value-of-" + strings.NewReplacer("/", "-", "@", "-", ".", "-", "_", "-").Replace(name)
	})
	return os.WriteFile(path, []byte(filled), 0o600)
}

func eachFile(dir string, do func(path string) error) error {
	return filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		return do(path)
	})
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
