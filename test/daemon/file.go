package daemon

import (
	"io/fs"
	"testing"
)

// File is one that the configuration names but the tree does not hold, such as a secret.
type File struct {
	Path string // where the program looks for it
	Text string
	Mode fs.FileMode
}

// Where a root has the host's certificate, as compose mounts it for Dovecot and Postfix.
const (
	CertPath = "/etc/mailplan/tls/fullchain.pem"
	KeyPath  = "/etc/mailplan/tls/privkey.pem"
)

// TLS returns a certificate of an authority nobody trusts, and its key, as the files a server is told
// to use.
func TLS(t testing.TB, certPath, keyPath string, names ...string) []File {
	t.Helper()
	cert, key := NewAuthority(t).Issue(append(names, "mail.example.com")...)
	return []File{{certPath, cert, 0o644}, {keyPath, key, 0o600}}
}
