// Package need says what a test needs of its machine: a missing program skips the test by name on a
// laptop and fails it in CI (environment CI=true), so that a skip can never hide there.
package need

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Program returns the path of the first of the named programs that is installed, looking in PATH and
// in the system administration folders. Without one the test skips, or fails in CI.
func Program(t testing.TB, names ...string) string {
	t.Helper()
	for _, name := range names {
		if path, ok := find(name); ok {
			return path
		}
	}
	Missing(t, "program "+names[0])
	return ""
}

// Missing ends the test because what is not there: a skip on a laptop, a failure in CI.
func Missing(t testing.TB, what string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is missing; .ci/setup installs it", what)
	}
	t.Skipf("%s is missing; .ci/setup installs it", what)
}

func find(name string) (string, bool) {
	if path, err := exec.LookPath(name); err == nil {
		return path, true
	}
	for _, dir := range []string{"/usr/sbin", "/usr/local/sbin", "/sbin", "/usr/lib/dovecot", "/usr/lib/postfix/sbin"} {
		path := filepath.Join(dir, name)
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return path, true
		}
	}
	return "", false
}
