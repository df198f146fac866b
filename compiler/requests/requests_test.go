package requests

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mailplan/mailplan/compiler/draft"
	"github.com/mailplan/mailplan/runtime/accounts"
)

const site = `package site

name: "home"
relay: password: secret: "KEY"
edge: {
	accountID: "0123456789abcdef0123456789abcdef"
	tunnel: hostnames: {webmail: "mail.example.com", ingest: "mail-api.example.com"}
}
domains: "example.com": users: {root: role: "admin", bob: {}}
domains: "münchen.example": users: {chef: role: "domainAdmin", gast: {}, boss: role: "admin", weg: {role: "domainAdmin", state: "retired"}}
`

// TestMay holds who may ask for what, whatever the console's database says.
func TestMay(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "site.cue"), []byte(site), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ by, address, domain, refused string }{
		{"root@example.com", "bob@example.com", "example.com", ""},
		{"root@example.com", "gast@xn--mnchen-3ya.example", "xn--mnchen-3ya.example", ""},
		{"chef@xn--mnchen-3ya.example", "gast@münchen.example", "xn--mnchen-3ya.example", ""},
		{"chef@xn--mnchen-3ya.example", "bob@example.com", "xn--mnchen-3ya.example", "is not in"},
		{"chef@xn--mnchen-3ya.example", "bob@example.com", "example.com", "does not administer"},
		{"chef@xn--mnchen-3ya.example", "boss@münchen.example", "münchen.example", "administrator of the whole site"},
		{"weg@münchen.example", "gast@münchen.example", "münchen.example", "is no administrator"},
		{"bob@example.com", "bob@example.com", "example.com", "is no administrator"},
		{"nobody@example.com", "bob@example.com", "example.com", "is no administrator"},
		{"root@example.com", "x@elsewhere.example", "elsewhere.example", "is not in"},
		{"root@example.com", "bob", "example.com", "is not in"},
	} {
		d, err := draft.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		quota := 77
		err = Make(d, accounts.Edit{By: test.by, Address: test.address, Domain: test.domain, Verb: accounts.SetUser, QuotaMB: &quota}, "2026-11-22")
		switch {
		case test.refused == "" && (err != nil || len(d.Names()) != 1):
			t.Errorf("%s may not change %s: %v", test.by, test.address, err)
		case test.refused != "" && (err == nil || !strings.Contains(err.Error(), test.refused) || len(d.Names()) > 0):
			t.Errorf("%s changes %s of %s: %v, want it refused: %s", test.by, test.address, test.domain, err, test.refused)
		}
	}
}
