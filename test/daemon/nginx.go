package daemon

import (
	"path/filepath"
	"testing"
)

// nginxMain stands for the nginx.conf of the nginx image, which reads the site's files from conf.d.
const nginxMain = `user nginx;
pid /run/nginx.pid;
events {}
http {
	include /etc/nginx/mime.types;
	include /etc/nginx/conf.d/*.conf;
}
`

// Nginx checks dir with `nginx -t`: its nginx.conf, if any, and its conf.d, or dir itself as conf.d, in
// /etc/nginx of the nginx image. It returns the whole configuration.
func Nginx(t testing.TB, dir string, files ...File) (string, error) {
	t.Helper()
	r := nginxRoot(t)
	if exists(filepath.Join(dir, "nginx.conf")) || exists(filepath.Join(dir, "conf.d")) {
		r.Overlay(dir, "/etc/nginx")
	} else {
		r.Mount(dir, "/etc/nginx/conf.d")
	}
	r.Add(files...)
	return checkNginx(r)
}

func nginxRoot(t testing.TB) *Root {
	t.Helper()
	r := NewTrixieRoot(t)
	r.User("nginx", 101)
	r.Write("/etc/nginx/nginx.conf", nginxMain, 0o644)
	return r
}

func checkNginx(r *Root) (string, error) {
	r.t.Helper()
	result := r.Script("nginx -q -t; nginx -q -T")
	return result.Stdout, result.refused()
}
