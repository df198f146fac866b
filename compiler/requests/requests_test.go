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

// TestDomains holds who may change which domain, and that each change is of the lines it means only.
func TestDomains(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "site.cue"), []byte(site+"domains: \"example.com\": dkim: selectors: {old: state: \"active\", next: state: \"published\"}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	const root, chef, munich = "root@example.com", "chef@xn--mnchen-3ya.example", "xn--mnchen-3ya.example"
	all := "gast@münchen.example"
	for _, test := range []struct {
		edit    accounts.Edit
		refused string
		lines   string
	}{
		{accounts.Edit{By: root, Verb: accounts.AddDomain, Address: "new.example", Domain: "new.example", Postmaster: "carol"}, "", "new.example"},
		{accounts.Edit{By: root, Verb: accounts.AddDomain, Address: "example.com", Domain: "example.com", Postmaster: "carol"}, "is not in", ""},
		{accounts.Edit{By: chef, Verb: accounts.AddDomain, Address: "new.example", Domain: "new.example", Postmaster: "carol"}, "does not administer", ""},
		{accounts.Edit{By: chef, Verb: accounts.SetDomain, Address: munich, Domain: munich, CatchAll: &all, DMARC: "reject"}, "", "catchAll"},
		{accounts.Edit{By: chef, Verb: accounts.SetDomain, Address: "example.com", Domain: "example.com", DMARC: "none"}, "does not administer", ""},
		{accounts.Edit{By: chef, Verb: accounts.SetDomain, Address: "example.com", Domain: munich, DMARC: "none"}, "is not in", ""},
		{accounts.Edit{By: chef, Verb: accounts.RetireDomain, Address: munich, Domain: munich}, "does not administer", ""},
		{accounts.Edit{By: root, Verb: accounts.RetireDomain, Address: munich, Domain: munich}, "", "retired"},
		{accounts.Edit{By: chef, Verb: accounts.AddSelector, Address: munich, Domain: munich, Selector: "s2027", Algorithm: "ed25519"}, "", "s2027"},
		{accounts.Edit{By: root, Verb: accounts.SetSelector, Address: "example.com", Domain: "example.com", Selector: "next", KeyState: "active"}, "", "retired"},
		{accounts.Edit{By: root, Verb: accounts.SetSelector, Address: "example.com", Domain: "example.com", Selector: "none", KeyState: "active"}, "none", ""},
		{accounts.Edit{By: "bob@example.com", Verb: accounts.SetDomain, Address: "example.com", Domain: "example.com", DMARC: "none"}, "is no administrator", ""},
	} {
		d, err := draft.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		err = Make(d, test.edit, "2026-11-22")
		var patch strings.Builder
		for _, f := range d.Patches() {
			for _, l := range f.Lines {
				patch.WriteString(l.Sign + l.Text + "\n")
			}
		}
		switch {
		case test.refused == "" && (err != nil || !strings.Contains(patch.String(), test.lines)):
			t.Errorf("%+v: %v\n%s", test.edit, err, patch.String())
		case test.refused != "" && (err == nil || !strings.Contains(err.Error(), test.refused)):
			t.Errorf("%+v: %v, want it refused: %s", test.edit, err, test.refused)
		}
	}
}
