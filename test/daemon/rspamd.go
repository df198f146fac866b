package daemon

import (
	"path/filepath"
	"testing"
)

// Rspamd checks dir with Rspamd 3.12: its folders local.d and override.d, or dir itself as local.d, are
// in /etc/rspamd. It returns the whole configuration that results.
func Rspamd(t testing.TB, dir string, files ...File) (string, error) {
	t.Helper()
	r := rspamdRoot(t)
	if exists(filepath.Join(dir, "local.d")) || exists(filepath.Join(dir, "override.d")) {
		r.Overlay(dir, "/etc/rspamd")
	} else {
		r.Mount(dir, "/etc/rspamd/local.d")
	}
	r.Add(files...)
	return checkRspamd(r)
}

func rspamdRoot(t testing.TB) *Root {
	t.Helper()
	r := NewTrixieRoot(t)
	// A name that is not known is an error: services of the project, and hosts of Rspamd's own files.
	r.Hosts("redis", "clamav", "fuzzy1.rspamd.com", "fuzzy2.rspamd.com")
	return r
}

func checkRspamd(r *Root) (string, error) {
	r.t.Helper()
	result := r.Script("rspamadm configtest -s >&2; rspamadm configdump")
	return result.Stdout, result.refused()
}
