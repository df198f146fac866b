// Package need says what a test needs of its machine: a missing program skips the test by name on a
// laptop and fails it in CI (environment CI=true), so that a skip can never hide there.
package need

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Cache is the folder that .ci/setup fills: bin/ with programs built by `go install`, npm/ with npm
// packages, trixie/ with a Debian 13 root. The environment MAILPLAN_CACHE overrides its place.
func Cache() string {
	if dir := os.Getenv("MAILPLAN_CACHE"); dir != "" {
		return dir
	}
	return "/var/cache/mailplan"
}

// Program returns the path of the first of the named programs that is installed, looking in PATH, in
// the system administration folders and in the cache. Without one the test skips, or fails in CI.
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

// Root ends the test where it does not run as root, which mount namespaces need.
func Root(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		Missing(t, "the right to mount (run as root)")
	}
}

// Trixie returns the Debian 13 root that .ci/setup makes. Without it the test skips, or fails in CI.
func Trixie(t testing.TB) string {
	t.Helper()
	dir := filepath.Join(Cache(), "trixie")
	if _, err := os.Stat(filepath.Join(dir, "usr/bin/doveconf")); err != nil {
		Missing(t, "the Debian 13 root "+dir)
	}
	return dir
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
	dirs := []string{filepath.Join(Cache(), "bin"),
		"/usr/sbin", "/usr/local/sbin", "/sbin", "/usr/lib/dovecot", "/usr/lib/postfix/sbin"}
	for _, dir := range dirs {
		path := filepath.Join(dir, name)
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return path, true
		}
	}
	return "", false
}
