// Package dkimkey turns a private key into the DKIM key record that others verify with (RFC 6376 section
// 3.6.1; Ed25519: RFC 8463). RSA keys are PEM, Ed25519 keys the 32 bytes of their seed in base64: that is
// what Rspamd signs with. It knows nothing of domains, selectors or DNS, and its errors never hold key material.
package dkimkey

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
)

// minBits is the shortest RSA key that verifiers accept (RFC 8301 section 3.2).
const minBits = 1024

// Revoked is the record of a key that no longer holds: an empty p= (RFC 6376 section 3.6.1).
const Revoked = "v=DKIM1; p="

// Text is the record of a known public key, p being its base64 form. The algorithm is rsa or ed25519.
func Text(algorithm, p string) string {
	return "v=DKIM1; k=" + algorithm + "; p=" + p
}

// Record derives the record from a private key.
func Record(private []byte) (string, error) {
	algorithm, p, err := Public(private)
	if err != nil {
		return "", err
	}
	return Text(algorithm, p), nil
}

// Public derives the algorithm (rsa, ed25519) and the p= value from a private key: RSA in PEM (PKCS #8 or PKCS #1),
// or the seed of an Ed25519 key in base64, with nothing around it.
func Public(private []byte) (algorithm, p string, err error) {
	key, err := parse(private)
	if err != nil {
		return "", "", err
	}
	switch key := key.(type) {
	case *rsa.PrivateKey:
		if bits := key.N.BitLen(); bits < minBits {
			return "", "", fmt.Errorf("dkim key: %d bits are too few, verifiers want at least %d", bits, minBits)
		}
		der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
		if err != nil {
			return "", "", fmt.Errorf("dkim key: encode the public key: %w", err)
		}
		return "rsa", base64.StdEncoding.EncodeToString(der), nil
	case ed25519.PrivateKey:
		// The bare 32 bytes, not a SubjectPublicKeyInfo (RFC 8463 section 4.2).
		return "ed25519", base64.StdEncoding.EncodeToString(key.Public().(ed25519.PublicKey)), nil
	}
	return "", "", fmt.Errorf("dkim key: %T signs nothing in DKIM, make an RSA or Ed25519 key", key)
}

// Seed is the form of an Ed25519 key that Rspamd reads. It takes PEM for RSA only, and a line end for a mistake.
func Seed(key ed25519.PrivateKey) string { return base64.StdEncoding.EncodeToString(key.Seed()) }

func parseSeed(text []byte) (ed25519.PrivateKey, bool) {
	seed := make([]byte, base64.StdEncoding.DecodedLen(len(text)))
	n, err := base64.StdEncoding.Strict().Decode(seed, text)
	if err != nil || n != ed25519.SeedSize || bytes.ContainsAny(text, "\r\n") {
		return nil, false
	}
	return ed25519.NewKeyFromSeed(seed[:n]), true
}

func parse(private []byte) (any, error) {
	if key, ok := parseSeed(private); ok {
		return key, nil
	}
	block, _ := pem.Decode(private)
	if block == nil {
		return nil, errors.New("dkim key: neither PEM with a block PRIVATE KEY or RSA PRIVATE KEY nor an Ed25519 seed, 32 bytes in base64 on one line")
	}
	switch block.Type {
	case "PRIVATE KEY":
		key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("dkim key: %w", err)
		}
		if _, ok := key.(ed25519.PrivateKey); ok {
			return nil, errors.New("dkim key: Rspamd does not sign with an Ed25519 key in PEM, give its seed: 32 bytes in base64")
		}
		return key, nil
	case "RSA PRIVATE KEY":
		key, err := x509.ParsePKCS1PrivateKey(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("dkim key: %w", err)
		}
		return key, nil
	}
	return nil, fmt.Errorf("dkim key: PEM block %q, want PRIVATE KEY or RSA PRIVATE KEY", block.Type)
}
