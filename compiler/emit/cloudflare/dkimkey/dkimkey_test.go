package dkimkey_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"strings"
	"testing"

	"github.com/emersion/go-msgauth/dkim"

	"github.com/mailplan/mailplan/compiler/emit/cloudflare/dkimkey"
)

func pkcs8(t *testing.T, key any) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

func newRSA(t *testing.T, bits int) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// A mail signed with the private key verifies with the derived record, by an independent verifier.
func TestRecordVerifies(t *testing.T) {
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rsaKey := newRSA(t, 2048)
	pkcs1 := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(rsaKey)})
	for _, c := range []struct {
		name   string
		signer crypto.Signer
		pem    []byte
	}{
		{"rsa pkcs8", rsaKey, pkcs8(t, rsaKey)},
		{"rsa pkcs1", rsaKey, pkcs1},
		{"ed25519", edKey, []byte(dkimkey.Seed(edKey))},
	} {
		t.Run(c.name, func(t *testing.T) {
			record, err := dkimkey.Record(c.pem)
			if err != nil {
				t.Fatal(err)
			}
			verify(t, c.signer, record)
		})
	}
}

func verify(t *testing.T, signer crypto.Signer, record string) {
	t.Helper()
	const mail = "From: alice@example.com\r\nSubject: hello\r\n\r\nhello\r\n"
	var signed bytes.Buffer
	if err := dkim.Sign(&signed, strings.NewReader(mail), &dkim.SignOptions{Domain: "example.com", Selector: "s", Signer: signer}); err != nil {
		t.Fatal(err)
	}
	lookup := func(string) ([]string, error) { return []string{record}, nil }
	results, err := dkim.VerifyWithOptions(&signed, &dkim.VerifyOptions{LookupTXT: lookup})
	if err != nil || len(results) != 1 || results[0].Err != nil {
		t.Errorf("record %q: %+v, %v", record, results, err)
	}
}

func TestRecordRefuses(t *testing.T) {
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		pem  []byte
		want string
	}{
		"empty":             {nil, "neither PEM"},
		"ed25519 PEM":       {pkcs8(t, ed25519.NewKeyFromSeed(make([]byte, 32))), "give its seed"},
		"seed and line end": {[]byte(dkimkey.Seed(ed25519.NewKeyFromSeed(make([]byte, 32))) + "\n"), "on one line"},
		"certificate":       {pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE"}), `PEM block "CERTIFICATE"`},
		"broken":            {pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("x")}), "dkim key: "},
		"ecdsa":             {pkcs8(t, ec), "make an RSA or Ed25519 key"},
	} {
		if _, err := dkimkey.Record(c.pem); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}
