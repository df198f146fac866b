package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestNobodyIsLostByMistake holds the exit code of a plan that goes too far, and that it names the people: the users' file
// is gone, a domain has another name, the repository is empty. Nothing of what lives changes.
func TestNobodyIsLostByMistake(t *testing.T) {
	dir, box := t.TempDir(), filepath.Join(t.TempDir(), "box")
	put := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	apply := func() (code int, said string) {
		var out bytes.Buffer
		code = Run(context.Background(), []string{"apply", dir, "--sandbox", box}, strings.NewReader(""), &out, &out)
		return code, out.String()
	}
	const users = "address\na@example.org\nb@example.org\nc@example.org\n"
	put("site.cue", `package site

name: "small"
relay: password: secret: "SENDGRID_API_KEY"
edge: {accountID: "0123456789abcdef0123456789abcdef", tunnel: hostnames: {webmail: "mail.web.example", ingest: "in.web.example"}}
domains: "web.example": {}
`)
	put("mail.cue", "package site\n\ndomains: \"example.org\": {}\n")
	put("users.csv", users)
	if code, said := apply(); code != exitDone {
		t.Fatalf("%d: %s", code, said)
	}
	before := files(t, box)
	for what, mistake := range map[string]func(){
		"the users' file is gone": func() { put("users.csv", "address\n") },
		"the domain has another name": func() {
			put("users.csv", strings.ReplaceAll(users, "example.org", "example.net"))
			put("mail.cue", "package site\n\ndomains: \"example.net\": {}\n")
		},
		"the domain is gone, users and all": func() { put("users.csv", "address\n"); put("mail.cue", "package site\n") },
	} {
		put("users.csv", users)
		put("mail.cue", "package site\n\ndomains: \"example.org\": {}\n")
		mistake()
		code, said := apply()
		if code != exitRefused {
			t.Errorf("%s: exit code %d, want %d\n%s", what, code, exitRefused, said)
		}
		for _, must := range []string{"a@example.org, b@example.org, c@example.org", "[lock-out]", "nothing was changed"} {
			if !strings.Contains(said, must) {
				t.Errorf("%s: does not say %q:\n%s", what, must, said)
			}
		}
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if code, _ := apply(); code != exitFailed {
		t.Errorf("an empty repository: exit code %d", code)
	}
	if after := files(t, box); strings.Join(after, "\n") != strings.Join(before, "\n") {
		t.Error("the host is not as it was")
	}
}
