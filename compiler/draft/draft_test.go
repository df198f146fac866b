package draft

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mailplan/mailplan/compiler/model"
)

const base = `package site

name: "home"
tailnet: {address: "100.64.0.10", hostname: "mail.tail1234.ts.net"}
relay: password: secret: "KEY"
edge: {
	accountID: "0123456789abcdef0123456789abcdef"
	tunnel: hostnames: {webmail: "mail.example.com", ingest: "mail-api.example.com"}
}
`

func open(t *testing.T, files map[string]string) *Draft {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	d, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestPlaces holds that each edit goes to the file where its author would put it.
func TestPlaces(t *testing.T) {
	d := open(t, map[string]string{
		"a.cue":       base,
		"example.cue": "package site\n\ndomains: \"example.com\": {\n\tdkim: selectors: m1: {}\n\taliases: {postmaster: [\"ann\"], abuse: [\"ann\"]}\n}\n",
		"people.cue":  "package site\n\ndomains: \"example.com\": users: {\n\tann: {}\n}\n",
		"users.csv":   "address,quotaMB\nx@example.org,1\ny@example.org,2\n",
		"z.cue":       "package site\n\ndomains: \"example.org\": {dkim: selectors: m1: {}, aliases: {postmaster: [\"x\"], abuse: [\"x\"]}}\n",
	})
	quota := 7
	for _, err := range []error{
		d.AddUser("ben@example.com", User{QuotaMB: &quota}),
		d.AddUser("w@example.org", User{QuotaMB: &quota}),
		d.AddAlias("info@example.com", []string{"ann@example.com", "x@example.org"}),
		d.SetSecretDay("KEY", "2026-11-22"),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := d.Check(); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"example.cue": "package site\n\ndomains: \"example.com\": {\n\tdkim: selectors: m1: {}\n\taliases: {postmaster: [\"ann\"], abuse: [\"ann\"], info: [\"ann\", \"x@example.org\"]}\n}\n",
		"people.cue":  "package site\n\ndomains: \"example.com\": users: {\n\tann: {}\n\tben: {quotaMB: 7}\n}\n",
		"users.csv":   "address,quotaMB\nw@example.org,7\nx@example.org,1\ny@example.org,2\n",
		"z.cue":       "package site\n\ndomains: \"example.org\": {dkim: selectors: m1: {}, aliases: {postmaster: [\"x\"], abuse: [\"x\"]}}\n\nsecrets: names: KEY: rotated: \"2026-11-22\"\n",
	}
	got := map[string]string{}
	for name, content := range d.edited {
		got[name] = string(content)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestRefused holds that what is no good is told before a file changes.
func TestRefused(t *testing.T) {
	one := base + "domains: \"example.com\": {\n\tdkim: selectors: m1: {}\n\tusers: ann: {}\n\taliases: {postmaster: [\"ann\"], abuse: [\"ann\"]}\n}\n"
	role, retired := "owner", model.Retired
	for why, edit := range map[string]func(*Draft) error{
		"no such domain":        func(d *Draft) error { return d.AddUser("x@example.org", User{}) },
		"no address":            func(d *Draft) error { return d.AddUser("x", User{}) },
		"a localpart not taken": func(d *Draft) error { return d.AddUser("a b@example.com", User{}) },
		"an unknown role":       func(d *Draft) error { return d.SetUser("ann@example.com", User{Role: &role}) },
		"aliases that dangle":   func(d *Draft) error { return d.SetUser("ann@example.com", User{State: &retired}) },
		"its own heir":          func(d *Draft) error { return d.Redirect("ann@example.com", "ann") },
		"an alias of a user":    func(d *Draft) error { return d.AddAlias("ann@example.com", []string{"bob"}) },
		"a folder as a domain":  func(d *Draft) error { return d.AddDomain("../x.example", "m1", "ann@example.com", Domain{}) },
		"the key that signs":    func(d *Draft) error { return d.RemoveSelector("example.com", "m1") },
		"text that is code":     func(d *Draft) error { return d.AddAlias("x@example.com", []string{`"], b: ["`}) },
	} {
		d := open(t, map[string]string{"site.cue": one})
		err := edit(d)
		if err == nil {
			_, err = d.Check()
		}
		if err == nil {
			t.Errorf("%s: taken, as %v", why, d.Patches())
		}
	}
}

// TestWriteKeepsOthersEdits holds that a file which somebody else saved meanwhile is not overwritten.
func TestWriteKeepsOthersEdits(t *testing.T) {
	d := open(t, map[string]string{"site.cue": base + "domains: \"example.com\": users: ann: {}\n"})
	if err := d.AddUser("ben@example.com", User{}); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(d.dir, "site.cue")
	theirs := base + "domains: \"example.com\": users: {ann: {}, theirs: {}}\n"
	if err := os.WriteFile(name, []byte(theirs), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := d.Write(); err == nil || !strings.Contains(err.Error(), "somebody else") {
		t.Errorf("%v", err)
	}
	if content, err := os.ReadFile(name); err != nil || string(content) != theirs {
		t.Errorf("%s %v", content, err)
	}
}
