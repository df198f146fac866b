package rotate_test

import (
	"crypto"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/emersion/go-msgauth/dkim"

	"github.com/mailplan/mailplan/compiler/emit/cloudflare/dkimkey"
	"github.com/mailplan/mailplan/compiler/rotate"
	"github.com/mailplan/mailplan/compiler/sandbox/cloudflare"
)

type key struct {
	selector string
	private  []byte
}

var signer = regexp.MustCompile(`selector = "([^"]+)"; path = "/etc/rspamd/dkim/(.+)\.[^.]+\.key"`)

// signing is what Rspamd signs with, by domain. Key files must be nobody else's to read.
func (w *world) signing() map[string]key {
	conf, err := os.ReadFile(w.hosted("config/rspamd/local.d/dkim_signing.conf"))
	w.check(err)
	out := map[string]key{}
	for _, m := range signer.FindAllStringSubmatch(string(conf), -1) {
		name := w.hosted("config/rspamd/dkim/" + m[2] + "." + m[1] + ".key")
		info, err := os.Stat(name)
		w.check(err)
		if info.Mode().Perm()&0o077 != 0 {
			w.Fatalf("%s may be read by others: %v", name, info.Mode())
		}
		private, err := os.ReadFile(name)
		w.check(err)
		out[m[2]] = key{m[1], private}
	}
	return out
}

// day ends a day: resolvers remember it, a message is signed for each domain, and the week's messages are verified.
func (w *world) day() {
	server, err := cloudflare.New(filepath.Join(w.box, "edge"), cloudflare.Options{})
	w.check(err)
	zone := map[string][]string{}
	for _, d := range w.load().Model.Domains {
		for _, s := range d.Selectors {
			name := s.Name + "._domainkey." + d.Name
			zone[name] = server.TXT(name)
		}
	}
	w.history = append(w.history, zone)
	w.signIn()
	w.backup()
	for domain, k := range w.signing() {
		w.sent = append(w.sent, message{w.now, w.sign(domain, k)})
	}
	w.sent = slices.DeleteFunc(w.sent, func(m message) bool { return w.now.Sub(m.at) > 7*24*time.Hour })
	for _, m := range w.sent {
		for lag := range min(3, len(w.history)) {
			w.verify(m, lag)
		}
	}
}

// seen is a name as a resolver has it that is so many days behind.
func (w *world) seen(name string, lag int) []string {
	if i := len(w.history) - 1 - lag; i >= 0 {
		return w.history[i][name]
	}
	return nil
}

func (w *world) everywhere(domain, selector, secret string) bool {
	private, ok := w.values().m[secret]
	if !ok {
		return false
	}
	_, p, err := dkimkey.Public([]byte(private))
	w.check(err)
	for lag := range 3 {
		if !rotate.Publishes(w.seen(selector+"._domainkey."+domain, lag), p) {
			return false
		}
	}
	return true
}

func (w *world) sign(domain string, k key) string {
	private, err := parse(k.private)
	w.check(err)
	var b strings.Builder
	mail := fmt.Sprintf("From: x@%s\r\nTo: y@elsewhere.example\r\nSubject: %s\r\n\r\nHello.\r\n", domain, w.now)
	w.check(dkim.Sign(&b, strings.NewReader(mail), &dkim.SignOptions{Domain: domain, Selector: k.selector, Signer: private, Hash: crypto.SHA256}))
	return b.String()
}

func parse(private []byte) (crypto.Signer, error) {
	if block, _ := pem.Decode(private); block != nil {
		k, err := x509.ParsePKCS8PrivateKey(block.Bytes)
		if err != nil {
			return nil, err
		}
		return k.(crypto.Signer), nil
	}
	seed, err := base64.StdEncoding.DecodeString(string(private))
	if err != nil {
		return nil, err
	}
	return ed25519.NewKeyFromSeed(seed), nil
}

func (w *world) verify(m message, lag int) {
	w.Helper()
	results, err := dkim.VerifyWithOptions(strings.NewReader(m.signed), &dkim.VerifyOptions{LookupTXT: func(name string) ([]string, error) {
		if texts := w.seen(strings.TrimSuffix(name, "."), lag); len(texts) > 0 {
			return texts, nil
		}
		return nil, errors.New("no such name")
	}})
	w.check(err)
	for _, r := range results {
		if r.Err != nil {
			w.Fatalf("%s: a message of %s signed on %s does not verify at a resolver %d days behind: %v",
				w.now.Format(time.DateOnly), r.Domain, m.at.Format(time.DateOnly), lag, r.Err)
		}
	}
	w.verified++
}
