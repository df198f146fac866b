package daemon

import (
	"os"
	"path/filepath"
	"testing"
)

// Rspamd checks dir with Rspamd 3.12: its folders local.d and override.d (or dir itself, as local.d) are
// those of /etc/rspamd, its other files lie beside them. It returns the whole configuration that
// results.
func Rspamd(t testing.TB, dir string, files ...File) (string, error) {
	t.Helper()
	r := NewTrixieRoot(t)
	r.Mount(dir, "/etc/rspamd.site"+layout(dir, "local.d", "override.d"))
	r.Hosts("redis", "valkey", "clamav", "unbound")   // services; an unknown name is an error
	r.Hosts("fuzzy1.rspamd.com", "fuzzy2.rspamd.com") // named by Rspamd's own configuration
	r.Add(files...)
	result := r.Script("cp -a /etc/rspamd.site/. /etc/rspamd/; rspamadm configtest -s >&2; rspamadm configdump")
	return result.Stdout, result.refused()
}

// layout returns "" if dir holds one of the folders, else the first of them as the place for dir.
func layout(dir string, folders ...string) string {
	for _, folder := range folders {
		if _, err := os.Stat(filepath.Join(dir, folder)); err == nil {
			return ""
		}
	}
	return "/" + folders[0]
}
