package daemon

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mailplan/mailplan/test/need"
)

// PHP checks the syntax of every .php file under dir with PHP 8.4, the Roundcube image's.
func PHP(t testing.TB, dir string) error {
	t.Helper()
	r := NewTrixieRoot(t)
	r.Mount(dir, "/srv/site")
	return r.Script(`find /srv/site -name '*.php' | xargs -r -n 1 php -d display_errors=stderr -d error_reporting=-1 -l >/dev/null`).refused()
}

// JavaScript checks the syntax of every .mjs and .js file under dir with Node.
func JavaScript(t testing.TB, dir string) error {
	t.Helper()
	node := need.Program(t, "node")
	return eachFile(dir, func(path string) error {
		if ext := filepath.Ext(path); ext != ".mjs" && ext != ".js" {
			return nil
		}
		return run(exec.CommandContext(t.Context(), node, "--check", path))
	})
}

// Terraform checks that the .tf files under dir parse and are formatted as Terraform would.
func Terraform(t testing.TB, dir string) error {
	t.Helper()
	return run(exec.CommandContext(t.Context(), need.Program(t, "terraform"), "fmt", "-check", "-diff", "-recursive", dir))
}

// Compose checks the project of dir, a docker-compose.yml with its .env.example as .env, and returns it
// as Docker Compose resolves it.
func Compose(t testing.TB, dir string) (string, error) {
	t.Helper()
	if exec.CommandContext(t.Context(), need.Program(t, "docker"), "compose", "version").Run() != nil {
		need.Missing(t, "docker compose")
	}
	project := filepath.Join(t.TempDir(), "project")
	if err := os.CopyFS(project, os.DirFS(dir)); err != nil {
		return "", err
	}
	if env, err := os.ReadFile(filepath.Join(dir, ".env.example")); err == nil {
		if err := os.WriteFile(filepath.Join(project, ".env"), env, 0o600); err != nil {
			return "", err
		}
	}
	cmd := exec.CommandContext(t.Context(), "docker", "compose", "--profile", "*", "config")
	cmd.Dir = project
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	result := Result{Err: cmd.Run(), Stdout: stdout.String(), Stderr: strings.ReplaceAll(stderr.String(), "level=warning", "warning")}
	return result.Stdout, result.refused()
}

func eachFile(dir string, do func(path string) error) error {
	return filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		return do(path)
	})
}

// run runs a command that is silent when content.
func run(cmd *exec.Cmd) error {
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", filepath.Base(cmd.Path), err, strings.TrimSpace(string(out)))
	}
	return nil
}
