package secrets

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"

	"filippo.io/age"

	"github.com/mailplan/mailplan/compiler/emit/cloudflare/dkimkey"
	"github.com/mailplan/mailplan/compiler/model"
)

// letters are those of made passwords: none that a shell, a URL, an .env file or an option parser gives a meaning.
const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

// length of a made password: 32 of 62 letters are 190 bits.
const length = 32

// Generator makes the secrets that a site needs and nobody issues.
type Generator struct {
	selectors map[string]model.Selector // by the name of the private key's secret
}

// NewGenerator knows the DKIM keys of a site.
func NewGenerator(s *model.Site) Generator {
	g := Generator{selectors: map[string]model.Selector{}}
	for _, d := range s.Domains {
		for _, sel := range d.Selectors {
			g.selectors[sel.Key.Secret] = sel
		}
	}
	return g
}

// Make makes up a value: a DKIM key by its selector, RSA in PEM (PKCS #8), Ed25519 as Rspamd has it, an Ed25519 seed for signing backups, an
// age identity for drills, else a password of letters and digits.
func (g Generator) Make(name string) (string, error) {
	sel, dkim := g.selectors[name]
	switch {
	case dkim:
		return makeKey(sel)
	case name == model.SecretBackupSigning:
		seed := make([]byte, ed25519.SeedSize)
		if _, err := rand.Read(seed); err != nil {
			return "", fmt.Errorf("make %s: %w", name, err)
		}
		return base64.StdEncoding.EncodeToString(seed), nil
	case name == model.SecretBackupDrill:
		identity, err := age.GenerateX25519Identity()
		if err != nil {
			return "", fmt.Errorf("make %s: %w", name, err)
		}
		return identity.String(), nil
	}
	return password(name)
}

// Check refuses a value that its user would not take; it never tells the value.
func (g Generator) Check(name, value string) error {
	sel, dkim := g.selectors[name]
	switch {
	case dkim:
		algorithm, _, err := dkimkey.Public([]byte(value))
		if err == nil && algorithm != sel.Algorithm {
			err = fmt.Errorf("%s is an %s key, the selector %s declares %s", name, algorithm, sel.Name, sel.Algorithm)
		}
		return err
	case name == model.SecretBackupSigning:
		seed, err := base64.StdEncoding.DecodeString(value)
		if err != nil || len(seed) != ed25519.SeedSize {
			return fmt.Errorf("%s: want 32 bytes in base64", name)
		}
	case name == model.SecretBackupDrill:
		if _, err := age.ParseX25519Identity(value); err != nil {
			return fmt.Errorf("%s: want an age identity (AGE-SECRET-KEY-1…)", name)
		}
	case strings.ContainsAny(value, "\r\n\x00"):
		return fmt.Errorf("%s: want one line", name)
	}
	return nil
}

func password(name string) (string, error) {
	b := make([]byte, length)
	for i := range b {
		n, err := rand.Int(rand.Reader, big.NewInt(int64(len(letters))))
		if err != nil {
			return "", fmt.Errorf("make %s: %w", name, err)
		}
		b[i] = letters[n.Int64()]
	}
	return string(b), nil
}

func makeKey(sel model.Selector) (string, error) {
	if sel.Algorithm == "ed25519" {
		_, key, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			return "", fmt.Errorf("make the DKIM key %s: %w", sel.Name, err)
		}
		return dkimkey.Seed(key), nil
	}
	key, err := rsa.GenerateKey(rand.Reader, sel.Bits)
	if err != nil {
		return "", fmt.Errorf("make the DKIM key %s: %w", sel.Name, err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return "", fmt.Errorf("make the DKIM key %s: %w", sel.Name, err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), nil
}
