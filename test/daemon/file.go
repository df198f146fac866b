package daemon

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io/fs"
	"math/big"
	"testing"
	"time"
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

// TLS returns a self-signed certificate and its key as the files a server is told to use.
func TLS(t testing.TB, certPath, keyPath string, names ...string) []File {
	t.Helper()
	cert, key, err := selfSigned(names)
	if err != nil {
		t.Fatalf("make a certificate for %v: %v", names, err)
	}
	return []File{{certPath, cert, 0o644}, {keyPath, key, 0o600}}
}

// selfSigned makes a certificate for names, good for an hour, and its key, both in PEM.
func selfSigned(names []string) (cert, key string, err error) {
	if len(names) == 0 {
		names = []string{"mail.example.com"}
	}
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", "", err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: names[0]},
		DNSNames:     names,
		NotBefore:    time.Now().Add(-time.Minute),
		NotAfter:     time.Now().Add(time.Hour),
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		return "", "", err
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return "", "", err
	}
	encode := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	return encode("CERTIFICATE", der), encode("PRIVATE KEY", pkcs8), nil
}
