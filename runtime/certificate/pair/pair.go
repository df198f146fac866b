// Package pair is a certificate with its private key (X.509 in PEM, RFC 7468), and the folder on disk that servers read
// both from. It knows how the two are replaced without a moment in which they do not belong together, and nothing of who
// issued them.
package pair

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"math/big"
	"time"
)

// Pair is a certificate and its key. Chain has the certificate first, then those that lead to its issuer.
type Pair struct {
	Chain, Key []byte // PEM
	Leaf       *x509.Certificate
}

// Parse refuses a key that is not the certificate's.
func Parse(chain, key []byte) (*Pair, error) {
	both, err := tls.X509KeyPair(chain, key)
	if err != nil {
		return nil, fmt.Errorf("certificate and key: %w", err)
	}
	return &Pair{Chain: chain, Key: key, Leaf: both.Leaf}, nil
}

// New joins a chain with the key that it was asked for with.
func New(chain []byte, key crypto.Signer) (*Pair, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("write the private key: %w", err)
	}
	return Parse(chain, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// NewKey makes a private key that every mail client in use can work with.
func NewKey() (crypto.Signer, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }

// placeholderDays is how long a placeholder is good; it is renewed as any other.
const placeholderDays = 365

// Placeholder signs a pair by itself, so that servers start before an authority has issued one. No client trusts it.
func Placeholder(names []string, now time.Time) (*Pair, error) {
	key, err := NewKey()
	if err != nil {
		return nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{Organization: []string{"mailplan"}, CommonName: "placeholder until one is issued"},
		NotBefore:    now.Add(-time.Hour),
		NotAfter:     now.AddDate(0, 0, placeholderDays),
		DNSNames:     names,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("sign a placeholder: %w", err)
	}
	return New(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), key)
}

// Placeholder says that no authority issued it: it is signed by itself.
func (p *Pair) Placeholder() bool { return string(p.Leaf.RawIssuer) == string(p.Leaf.RawSubject) }

// Lacks are those of the names that the certificate is not for.
func (p *Pair) Lacks(names []string) (missing []string) {
	for _, name := range names {
		if p.Leaf.VerifyHostname(name) != nil {
			missing = append(missing, name)
		}
	}
	return missing
}

// Fingerprint tells certificates apart: SHA-256 in hex.
func (p *Pair) Fingerprint() string {
	sum := sha256.Sum256(p.Leaf.Raw)
	return hex.EncodeToString(sum[:])
}
