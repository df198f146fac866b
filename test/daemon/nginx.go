package daemon

import (
	"os"
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

// Nginx checks dir with `nginx -t`: as /etc/nginx if it holds a nginx.conf, else as /etc/nginx/conf.d of
// the nginx image.
func Nginx(t testing.TB, dir string, files ...File) (string, error) {
	t.Helper()
	r := NewTrixieRoot(t)
	r.User("nginx", 101)
	if _, err := os.Stat(filepath.Join(dir, "nginx.conf")); err == nil {
		r.Mount(dir, "/etc/nginx.site")
	} else {
		r.Mount(dir, "/etc/nginx.site/conf.d")
		r.Write("/etc/nginx/nginx.conf", nginxMain, 0o644)
	}
	r.Add(files...)
	result := r.Script("cp -a /etc/nginx.site/. /etc/nginx/; nginx -q -t; nginx -T -q")
	return result.Stdout, result.refused("[warn] could not build optimal")
}
