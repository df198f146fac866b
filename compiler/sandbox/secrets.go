package sandbox

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/mailplan/mailplan/compiler/apply/host"
	"github.com/mailplan/mailplan/compiler/emit/cloudflare/dkimkey"
	"github.com/mailplan/mailplan/compiler/model"
)

// secrets stands in for the encrypted secrets file: it makes every value up when it is first needed and keeps it.
type secrets struct {
	file   string
	values map[string]string
	dkim   map[string]model.Selector // by the name of the private key's secret
}

func openSecrets(dir string, s *model.Site) (*secrets, error) {
	v := &secrets{file: filepath.Join(dir, "secrets.json"), values: map[string]string{}, dkim: map[string]model.Selector{}}
	for _, d := range s.Domains {
		for _, sel := range d.Selectors {
			v.dkim[sel.Key.Secret] = sel
		}
	}
	data, err := os.ReadFile(v.file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, fmt.Errorf("read the stand-in secrets: %w", err)
	default:
		if err := json.Unmarshal(data, &v.values); err != nil {
			return nil, fmt.Errorf("read the stand-in secrets %s: %w", v.file, err)
		}
	}
	return v, v.fill(s)
}

// fill makes up what the inventory lists and the file lacks, and writes it once.
func (v *secrets) fill(s *model.Site) error {
	made := false
	for _, entry := range s.Inventory() {
		if _, ok := v.values[entry.Name]; ok {
			continue
		}
		value, err := v.make(entry.Name)
		if err != nil {
			return err
		}
		v.values[entry.Name], made = value, true
	}
	if !made {
		return nil
	}
	data, err := json.MarshalIndent(v.values, "", " ")
	if err != nil {
		return err
	}
	return host.WriteFile(v.file, append(data, '\n'), 0o600, nil)
}

func (v *secrets) make(name string) (string, error) {
	if sel, ok := v.dkim[name]; ok {
		return makeKey(sel)
	}
	random := make([]byte, 24)
	if _, err := rand.Read(random); err != nil {
		return "", fmt.Errorf("make up %s: %w", name, err)
	}
	return base64.RawURLEncoding.EncodeToString(random), nil
}

func makeKey(sel model.Selector) (string, error) {
	var key any
	var err error
	if sel.Algorithm == "ed25519" {
		_, key, err = ed25519.GenerateKey(rand.Reader)
	} else {
		key, err = rsa.GenerateKey(rand.Reader, sel.Bits)
	}
	if err != nil {
		return "", fmt.Errorf("make the DKIM key %s: %w", sel.Name, err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return "", fmt.Errorf("make the DKIM key %s: %w", sel.Name, err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), nil
}

// value is what host.Host asks for.
func (v *secrets) value(name string) (string, error) {
	s, ok := v.values[name]
	if !ok {
		return "", fmt.Errorf("the secret %s, which the sandbox does not have", name)
	}
	return s, nil
}

// publicKey derives the p= value of a DKIM key.
func (v *secrets) publicKey(name string) (string, error) {
	private, err := v.value(name)
	if err != nil {
		return "", err
	}
	_, p, err := dkimkey.Public([]byte(private))
	return p, err
}
