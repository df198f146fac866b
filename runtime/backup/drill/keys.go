package drill

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// found is what of keys and certificates came back in a class.
type found struct {
	keys  []crypto.PublicKey // public halves of the private keys
	certs []*x509.Certificate
	texts map[string][]byte // DKIM public keys of DNS texts, by file
}

// keys matches the certificates and DNS texts of the classes tls and dkim with their private keys.
func (d *Drill) keys(r *Receipt, scratch string) {
	for _, class := range []string{"tls", "dkim"} {
		if d.Snapshot.Head.Class(class) == nil {
			continue
		}
		f, err := readKeys(filepath.Join(scratch, class))
		if err == nil {
			err = f.match(r.Started)
		}
		detail := ""
		if f != nil {
			detail = fmt.Sprintf("%d private keys fit %d certificates and %d DNS texts", len(f.keys), len(f.certs), len(f.texts))
		}
		r.add("keys "+class, detail, err)
	}
}

func readKeys(dir string) (*found, error) {
	f := &found{texts: map[string][]byte{}}
	return f, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		info, err := entry.Info()
		if err != nil || info.Size() > 1<<20 {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		return f.read(rel, data)
	})
}

var dkimText = regexp.MustCompile(`(?s)v=DKIM1.*?\bp=([A-Za-z0-9+/=\s"]+)`)

func (f *found) read(name string, data []byte) error {
	first := len(f.certs)
	for rest := data; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if err := f.block(name, block, len(f.certs) == first); err != nil {
			return err
		}
	}
	// Rspamd's form of an Ed25519 key: the bare seed.
	if seed, err := base64.StdEncoding.DecodeString(string(data)); err == nil && len(seed) == ed25519.SeedSize && strings.HasSuffix(name, ".key") {
		f.keys = append(f.keys, ed25519.NewKeyFromSeed(seed).Public())
	}
	if m := dkimText.FindSubmatch(data); m != nil {
		text := strings.NewReplacer(`"`, "", " ", "", "\t", "", "\n", "", "\r", "").Replace(string(m[1]))
		key, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return fmt.Errorf("%s: DKIM text: %w", name, err)
		}
		f.texts[name] = key
	}
	return nil
}

// block takes one PEM block: a private key, or the first certificate of a chain.
func (f *found) block(name string, block *pem.Block, first bool) error {
	if block.Type == "CERTIFICATE" {
		if !first {
			return nil
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		f.certs = append(f.certs, cert)
		return nil
	}
	if !strings.HasSuffix(block.Type, "PRIVATE KEY") {
		return nil
	}
	key, err := parseKey(block.Bytes)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	f.keys = append(f.keys, key.Public())
	return nil
}

func parseKey(der []byte) (crypto.Signer, error) {
	if key, err := x509.ParsePKCS8PrivateKey(der); err == nil {
		if signer, ok := key.(crypto.Signer); ok {
			return signer, nil
		}
	}
	if key, err := x509.ParsePKCS1PrivateKey(der); err == nil {
		return key, nil
	}
	if key, err := x509.ParseECPrivateKey(der); err == nil {
		return key, nil
	}
	return nil, fmt.Errorf("not a private key which can be read")
}

// match looks for a private key to each certificate in force and each DNS text.
func (f *found) match(now time.Time) error {
	var wrong []error
	if len(f.keys) == 0 {
		wrong = append(wrong, fmt.Errorf("no private key came back"))
	}
	for _, cert := range f.certs {
		if now.Before(cert.NotAfter) && !f.has(func(k crypto.PublicKey) bool { return equal(k, cert.PublicKey) }) {
			wrong = append(wrong, fmt.Errorf("the certificate of %s has no private key", cert.Subject))
		}
	}
	for name, text := range f.texts {
		if !f.has(func(k crypto.PublicKey) bool { return isText(k, text) }) {
			wrong = append(wrong, fmt.Errorf("the DNS text %s has no private key", name))
		}
	}
	return joined(wrong)
}

func (f *found) has(fits func(crypto.PublicKey) bool) bool {
	for _, k := range f.keys {
		if fits(k) {
			return true
		}
	}
	return false
}

func equal(a, b crypto.PublicKey) bool {
	comparable, ok := a.(interface{ Equal(crypto.PublicKey) bool })
	return ok && comparable.Equal(b)
}

// isText reports whether a DKIM text publishes the key: RSA as SubjectPublicKeyInfo or RSAPublicKey
// (RFC 6376, 3.6.1 and its erratum), Ed25519 as its 32 bytes (RFC 8463, 3).
func isText(key crypto.PublicKey, text []byte) bool {
	switch k := key.(type) {
	case *rsa.PublicKey:
		spki, err := x509.MarshalPKIXPublicKey(k)
		return err == nil && bytes.Equal(spki, text) || bytes.Equal(x509.MarshalPKCS1PublicKey(k), text)
	case ed25519.PublicKey:
		return bytes.Equal(k, text)
	case *ecdsa.PublicKey:
		return false // DKIM knows no ECDSA
	}
	return false
}

// bundles has git clone every bundle, which reads and checks all it holds.
func (d *Drill) bundles(ctx context.Context, r *Receipt, scratch string) {
	for _, c := range d.of("git") {
		bundle := filepath.Join(scratch, c.Name, filepath.Base(c.Path)+".bundle")
		clone := filepath.Join(scratch, ".clone-"+c.Name)
		out, err := exec.CommandContext(ctx, "git", "clone", "--quiet", "--bare", bundle, clone).CombinedOutput()
		if err != nil {
			err = fmt.Errorf("%w: %s", err, lastLine(out))
		}
		r.add("git "+c.Name, "the bundle clones", err)
	}
}
