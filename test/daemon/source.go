package daemon

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mailplan/mailplan/test/need"
)

// PHP checks the syntax of every .php file under dir, as /var/roundcube/config, with PHP 8.4.
func PHP(t testing.TB, dir string) (string, error) {
	t.Helper()
	r := NewTrixieRoot(t)
	r.Mount(dir, "/var/roundcube/config")
	return checkPHP(r)
}

func checkPHP(r *Root) (string, error) {
	r.t.Helper()
	result := r.Script(`find /var/roundcube/config -name '*.php' |
		xargs -r -n 1 php -d display_errors=stderr -d error_reporting=-1 -l`)
	return result.Stdout, result.refused()
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
	cmd := exec.CommandContext(t.Context(), need.Program(t, "terraform"), "fmt", "-check", "-diff", "-recursive", "-no-color", dir)
	cmd.Env = append(os.Environ(), "TF_CLI_CONFIG_FILE="+os.DevNull, "CHECKPOINT_DISABLE=1")
	return run(cmd)
}

// run runs a command that is silent when content.
func run(cmd *exec.Cmd) error {
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", filepath.Base(cmd.Path), err, strings.TrimSpace(string(out)))
	}
	return nil
}
