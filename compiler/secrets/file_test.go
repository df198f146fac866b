package secrets_test

import (
	"strings"
	"testing"

	"filippo.io/age"

	"github.com/mailplan/mailplan/compiler/secrets"
)

// TestTampering changes a sealed file in every way an attacker with write access to Git could.
func TestTampering(t *testing.T) {
	id := identity(t)
	f, err := secrets.New()
	if err != nil {
		t.Fatal(err)
	}
	set(t, f, "A", "canary-a")
	set(t, f, "B", "canary-b")
	good := string(marshal(t, f, id.Recipient().String()))
	a, b := string(lineOf([]byte(good), "A: ")), string(lineOf([]byte(good), "B: "))
	for name, bad := range map[string]string{
		"swapped values": strings.NewReplacer(a, "A:"+b[2:], b, "B:"+a[2:]).Replace(good),
		"renamed":        strings.Replace(good, "A: ", "C: ", 1),
		"taken away":     strings.Replace(good, a, "", 1),
		"emptied":        strings.Replace(good, a, "A: \"\"\n", 1),
		"readable":       strings.Replace(good, a, "A: mine\n", 1),
		"added readable": strings.Replace(good, a, a+"x_unencrypted: mine\n", 1),
		"reordered":      strings.Replace(good, a+b, b+a, 1),
		"other day":      strings.Replace(good, "2026-03-01T", "2026-03-02T", 1),
		"no mac":         strings.Replace(good, "    mac: ENC", "    mack: ENC", 1),
	} {
		if bad == good {
			t.Fatalf("%s: the test changes nothing", name)
		}
		f, err := secrets.Parse([]byte(bad))
		if err == nil {
			err = f.Unlock([]age.Identity{id})
		}
		if err == nil {
			t.Errorf("%s: opened", name)
		} else if strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: the error tells a value: %v", name, err)
		}
	}
}

// TestRefusals are files that no apply could work with, and what the error says of them.
func TestRefusals(t *testing.T) {
	const block = "sops:\n    lastmodified: \"2026-03-01T12:00:00Z\"\n"
	for text, want := range map[string]string{
		"A: b\n":                         "not encrypted",
		"- a\n":                          "want names and values",
		"A: x\nA: y\n" + block:           "A stands twice",
		"a/b: x\na:\n    b: y\n" + block: "a/b stands twice",
		"A: &x y\nB: *x\n" + block:       "anchors",
		"1: x\n" + block:                 "a name must be text",
		"A: x\n---\nB: y\n" + block:      "more than one",
		"A: x\n" + block + "    key_groups: [{age: []}]\n":                          "several people",
		"A: x\n" + block + "    encrypted_regex: \"(\"\n":                           "missing closing",
		"A: x\n" + block + "    encrypted_comment_regex: \"x\"\n":                   "by comment",
		"A: x\nsops:\n    lastmodified: yesterday\n":                                "lastmodified",
		"A: " + strings.Repeat("{a: ", 20) + strings.Repeat("}", 20) + "\n" + block: "deeper",
	} {
		if _, err := secrets.Parse([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

// FuzzParse reads anything without harm; what it can read and was never sealed does not open.
func FuzzParse(f *testing.F) {
	f.Add([]byte("A: ENC[AES256_GCM,data:eA==,iv:eA==,tag:eA==,type:str]\nsops:\n    age:\n        - recipient: age1x\n          enc: |\n            x\n    lastmodified: \"2026-03-01T12:00:00Z\"\n    mac: x\n"))
	f.Add([]byte("a: {b: [1, 2.5, true, null, 2026-01-01]}\nsops: {lastmodified: 2026-03-01T12:00:00Z, encrypted_regex: ^x}\n"))
	id, err := age.GenerateX25519Identity()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := secrets.Parse(data)
		if err != nil {
			return
		}
		file.Names()
		if file.Unlock([]age.Identity{id}) == nil {
			t.Error("a file that nobody sealed opens")
		}
	})
}
