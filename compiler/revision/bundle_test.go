package revision_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mailplan/mailplan/compiler/revision"
	"github.com/mailplan/mailplan/test/need"
)

// TestBundle holds that Git itself clones a bundle, with its history and branch.
func TestBundle(t *testing.T) {
	program, dir := need.Program(t, "git"), t.TempDir()
	git := func(args ...string) string {
		t.Helper()
		cmd := exec.Command(program, append([]string{"-c", "user.name=a", "-c", "user.email=a@example.com"}, args...)...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	write := func(text string) {
		if err := os.WriteFile(filepath.Join(dir, "site.cue"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	git("init", "--quiet", "--initial-branch", "main")
	if _, err := revision.Bundle(dir); err == nil {
		t.Error("a repository without a commit has a bundle")
	}
	for _, text := range []string{"package site\n", "package site\n\nname: \"home\"\n"} {
		write(text)
		git("add", ".")
		git("commit", "--quiet", "--message", "a step")
	}
	bundle, err := revision.Bundle(dir)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "site.bundle")
	if err := os.WriteFile(file, bundle, 0o600); err != nil {
		t.Fatal(err)
	}
	git("bundle", "verify", file)
	clone := filepath.Join(t.TempDir(), "clone")
	git("clone", "--quiet", file, clone)
	if got, err := os.ReadFile(filepath.Join(clone, "site.cue")); err != nil || !strings.Contains(string(got), "home") {
		t.Errorf("%v: %s", err, got)
	}
	if got := git("-C", clone, "log", "--oneline", "main"); strings.Count(got, "\n") != 1 {
		t.Errorf("the clone's history:\n%s", got)
	}
	git("clone", "--quiet", "--depth", "1", "file://"+dir, clone+"2")
	if _, err := revision.Bundle(clone + "2"); err == nil || !strings.Contains(err.Error(), "shallow") {
		t.Errorf("a shallow clone: %v", err)
	}
}
