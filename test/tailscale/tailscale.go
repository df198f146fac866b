// Package tailscale stands in for Tailscale's command line in tests: `tailscale cert` as far as a keeper of certificates
// meets it. It keeps certificates from one call to the next as the tailnet's daemon does, issues another one only when it
// must, and is as strict about flags and names. A test's TestMain lets [Called] be first.
package tailscale

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"
)

const variable = "MAILPLAN_TEST_TAILSCALE"

// State is what the stand-in keeps, and what a test sets.
type State struct {
	Domain string        // the host's name in the tailnet, the only one that there are certificates for
	Life   time.Duration // of a certificate
	Ahead  time.Duration // of the real clock
	Refuse string        // what it says instead of a certificate
	Hang   bool          // it never answers
	Issued int           // certificates so far
	Calls  int
	Chain  string `json:",omitempty"` // what it holds, in PEM
	Key    string `json:",omitempty"`
}

// CLI is the program with its state.
type CLI struct {
	t       testing.TB
	dir     string
	Program string
}

// New makes one for a domain. Its certificates live for 90 days.
func New(t testing.TB, domain string) *CLI {
	t.Helper()
	c := &CLI{t: t, dir: t.TempDir()}
	c.Program = filepath.Join(c.dir, "tailscale")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	script := fmt.Sprintf("#!/bin/sh\n%s=%q exec %q \"$@\"\n", variable, c.dir, self)
	if err := os.WriteFile(c.Program, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	c.Set(func(s *State) { s.Domain, s.Life = domain, 90*24*time.Hour })
	return c
}

// Set changes the state.
func (c *CLI) Set(change func(*State)) {
	c.t.Helper()
	s, err := load(c.dir)
	if err == nil {
		change(&s)
		err = s.save(c.dir)
	}
	if err != nil {
		c.t.Fatal(err)
	}
}

// State is what it is now.
func (c *CLI) State() State {
	c.t.Helper()
	s, err := load(c.dir)
	if err != nil {
		c.t.Fatal(err)
	}
	return s
}

// Called says whether this process is the program, and runs it then.
func Called() (code int, called bool) {
	dir := os.Getenv(variable)
	if dir == "" {
		return 0, false
	}
	if err := cert(dir, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1, true
	}
	return 0, true
}

func load(dir string) (s State, err error) {
	data, err := os.ReadFile(filepath.Join(dir, "state.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err == nil {
		err = json.Unmarshal(data, &s)
	}
	return s, err
}

func (s State) save(dir string) error {
	data, err := json.Marshal(s)
	if err != nil {
		return err
	}
	temporary := filepath.Join(dir, "state.json.new")
	if err := os.WriteFile(temporary, data, 0o600); err != nil {
		return err
	}
	return os.Rename(temporary, filepath.Join(dir, "state.json"))
}

// cert is `tailscale cert`.
func cert(dir string, args []string, out io.Writer) error {
	if len(args) == 0 || args[0] != "cert" {
		return fmt.Errorf("the stand-in knows cert only, not %q", args)
	}
	flags := flag.NewFlagSet("cert", flag.ContinueOnError)
	certFile, keyFile := flags.String("cert-file", "", ""), flags.String("key-file", "", "")
	validity := flags.Duration("min-validity", 0, "")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	if flags.NArg() != 1 || *certFile != "-" || *keyFile != "-" {
		return errors.New("usage: tailscale cert [flags] <domain>")
	}
	s, err := load(dir)
	if err != nil {
		return err
	}
	s.Calls++
	if s.Hang {
		time.Sleep(time.Hour)
	}
	if err := errors.Join(s.have(flags.Arg(0), *validity), s.save(dir)); err != nil {
		return err
	}
	_, err = io.WriteString(out, s.Chain+s.Key)
	return err
}

// have holds a certificate for the domain that is good for so long.
func (s *State) have(domain string, validity time.Duration) error {
	now := time.Now().Add(s.Ahead)
	switch {
	case s.Refuse != "":
		return errors.New(s.Refuse)
	case domain != s.Domain:
		return fmt.Errorf("invalid domain %q; only %q is permitted", domain, s.Domain)
	case validity > s.Life:
		return fmt.Errorf("no certificate is good for %s", validity)
	}
	if block, _ := pem.Decode([]byte(s.Chain)); block != nil {
		held, err := x509.ParseCertificate(block.Bytes)
		if err == nil && held.VerifyHostname(domain) == nil && now.Add(validity).Before(held.NotAfter) {
			return nil
		}
	}
	return s.issue(domain, now)
}

// issue makes a certificate, and the authority of that.
func (s *State) issue(domain string, now time.Time) error {
	s.Issued++
	authority, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	issuer := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "stand-in for the tailnet's authority"}, IsCA: true,
		BasicConstraintsValid: true, NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(10, 0, 0)}
	leaf := &x509.Certificate{SerialNumber: big.NewInt(int64(1 + s.Issued)), Subject: pkix.Name{CommonName: domain}, DNSNames: []string{domain},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(s.Life - time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	der, err := x509.CreateCertificate(rand.Reader, leaf, issuer, key.Public(), authority)
	if err != nil {
		return err
	}
	root, err := x509.CreateCertificate(rand.Reader, issuer, issuer, authority.Public(), authority)
	if err != nil {
		return err
	}
	private, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return err
	}
	text := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	s.Chain, s.Key = text("CERTIFICATE", der)+text("CERTIFICATE", root), text("EC PRIVATE KEY", private)
	return nil
}
