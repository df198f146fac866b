package check

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/mailplan/mailplan/compiler/model"
)

func dkimRules() []Rule {
	return []Rule{
		{ID: "dkim-none", Severity: Warning, Title: "every domain signs",
			Why: "unsigned mail relies on SPF alone and fails wherever it is forwarded", find: dkimNone},
		{ID: "dkim-active", Severity: Error, Title: "exactly one selector of a domain is active",
			Why: "with none nothing is signed, with two it is open which key does", find: dkimActive},
		{ID: "dkim-key", Severity: Error, Holes: "C-148", Title: "a public key is what its selector says",
			Why: "every signature made with the private key would fail to verify", find: dkimKey},
		{ID: "dkim-weak", Severity: Warning, Title: "RSA keys have at least 2048 bits (RFC 8301)",
			Why: "large receivers give 1024 bits less trust", find: dkimWeak},
		{ID: "dkim-shared", Severity: Error, Title: "each selector has a key of its own",
			Why: "a key shared by two selectors can't be rotated or revoked alone", find: dkimShared},
		{ID: "dkim-single", Severity: Error, Title: "a selector has one record (RFC 6376 3.6.2.2)",
			Why: "which of two keys a receiver takes is left to chance", find: dkimSingle},
	}
}

func eachSelector(c *checker, f func(d model.Domain, s model.Selector, path string)) {
	for _, d := range c.site.Domains {
		for _, s := range d.Selectors {
			f(d, s, selectorPath(d, s))
		}
	}
}

func selectorPath(d model.Domain, s model.Selector) string {
	return d.Path() + ".dkim.selectors." + model.Label(s.Name)
}

func dkimNone(c *checker) {
	c.active(func(d model.Domain) {
		if len(d.Selectors) == 0 {
			c.report(d.Path(), "%s signs nothing", d.Name).hint("dkim: selectors: mail2026: {}").
				fix(d.Path()+".dkim.selectors.mail2026", "{}")
		}
	})
}

func dkimActive(c *checker) {
	c.active(func(d model.Domain) {
		n := 0
		for _, s := range d.Selectors {
			if s.State == model.Active {
				n++
			}
		}
		if n != 1 && len(d.Selectors) > 0 {
			c.report(d.Path()+".dkim.selectors", "%s has %d active selectors", d.Name, n).
				hint("published keys wait in DNS, one active key signs, retired ones still verify")
		}
	})
}

func dkimKey(c *checker) {
	eachSelector(c, func(d model.Domain, s model.Selector, path string) {
		if s.PublicKey == "" {
			return
		}
		if err := matches(s); err != nil {
			c.report(path+".publicKey", "the public key of %s._domainkey.%s %v", s.Name, d.Name, err)
		}
	})
}

// matches says how the public key differs from what the selector declares.
func matches(s model.Selector) error {
	der, err := base64.StdEncoding.DecodeString(s.PublicKey)
	if err != nil {
		return fmt.Errorf("is not base64: %w", err)
	}
	if s.Algorithm == "ed25519" {
		if len(der) != 32 {
			return fmt.Errorf("has %d bytes, an ed25519 key has 32 (RFC 8463)", len(der))
		}
		return nil
	}
	key, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return errors.New("is no RSA key in DER (RFC 6376 3.6.1)")
	}
	public, ok := key.(*rsa.PublicKey)
	if !ok {
		return errors.New("is a key, but no RSA key")
	}
	if bits := public.N.BitLen(); bits != s.Bits {
		return fmt.Errorf("has %d bits, declared are %d", bits, s.Bits)
	}
	return nil
}

func dkimWeak(c *checker) {
	eachSelector(c, func(d model.Domain, s model.Selector, path string) {
		if s.Algorithm == "rsa" && s.Bits < 2048 && s.State != model.Revoked && s.State != model.Retired {
			c.report(path+".bits", "%s._domainkey.%s has %d bits", s.Name, d.Name, s.Bits).
				hint("a new selector with 2048 bits, published first, then made active")
		}
	})
}

func dkimShared(c *checker) {
	keys, secrets := map[string]string{}, map[string]string{}
	eachSelector(c, func(d model.Domain, s model.Selector, path string) {
		name := s.Name + "._domainkey." + d.Name
		if other, ok := keys[s.PublicKey]; ok && s.PublicKey != "" {
			c.report(path+".publicKey", "%s has the public key of %s", name, other)
		}
		if other, ok := secrets[s.Key.Secret]; ok {
			c.report(path+".key", "%s has the private key of %s", name, other)
		}
		keys[s.PublicKey], secrets[s.Key.Secret] = name, name
	})
}

func dkimSingle(c *checker) {
	eachRecord(c, func(d model.Domain, r model.Record, path string) {
		for _, s := range d.Selectors {
			if r.Name == s.Name+"._domainkey" {
				c.report(path, "%s gets a second record: mailplan writes it from the selector %s", r.Name+"."+d.Name, s.Name)
			}
		}
	})
}
