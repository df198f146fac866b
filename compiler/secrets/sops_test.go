package secrets_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/google/go-cmp/cmp"

	"github.com/mailplan/mailplan/compiler/secrets"
	"github.com/mailplan/mailplan/test/need"
)

const plain = `# kept by the team
SENDGRID_API_KEY: canary-relay
users:
    alice: "canary alice: \"#1\""
    # on leave
    bob: canary-bob
dkim/example.org/m1: |
    -----BEGIN PRIVATE KEY-----
    canary-key
    -----END PRIVATE KEY-----
port: 587
ratio: 1.50
enabled: true
hosts:
    - a.example
    - b.example
note_unencrypted: anybody reads this
empty: ""
`

// TestReadsWhatSopsWrote holds names, values, types and MAC of a file made by the sops command, under each of its rules.
func TestReadsWhatSopsWrote(t *testing.T) {
	id := identity(t)
	for _, rule := range [][]string{nil, {"--encrypted-regex", "^(SENDGRID|alice|dkim)"}, {"--unencrypted-regex", "^port$"},
		{"--encrypted-suffix", "KEY"}, {"--mac-only-encrypted", "--unencrypted-suffix", "_open"}} {
		f, err := secrets.Parse(sops(t, id, []byte(plain), append([]string{"--encrypt", "--age", id.Recipient().String()}, rule...)...))
		if err != nil {
			t.Fatalf("%v: %v", rule, err)
		}
		if err := f.Unlock([]age.Identity{id}); err != nil {
			t.Fatalf("%v: %v", rule, err)
		}
		got := map[string]string{}
		for _, name := range f.Names() {
			got[name], _ = f.Value(name)
		}
		want := map[string]string{"SENDGRID_API_KEY": "canary-relay", "users/alice": `canary alice: "#1"`, "users/bob": "canary-bob",
			"dkim/example.org/m1": "-----BEGIN PRIVATE KEY-----\ncanary-key\n-----END PRIVATE KEY-----\n",
			"port":                "587", "ratio": "1.5", "enabled": "True", "note_unencrypted": "anybody reads this", "empty": ""}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%v: %s", rule, d)
		}
	}
}

// TestSopsReadsWhatWeWrote changes a file of sops, makes one of our own, adds and takes away recipients; sops opens
// each, its MAC holds, comments and order stay, and values that did not change keep their bytes.
func TestSopsReadsWhatWeWrote(t *testing.T) {
	one, two := identity(t), identity(t)
	sealed := sops(t, one, []byte(plain), "encrypt", "--age", one.Recipient().String())
	f := open(t, sealed, one)
	set(t, f, "users/carol", "canary-carol")
	set(t, f, "users/bob", "canary bob\nthe second")
	set(t, f, "backup/signing", "canary-seed")
	both := marshal(t, f, one.Recipient().String(), two.Recipient().String())
	if line := lineOf(sealed, "alice:"); !bytes.Contains(both, line) {
		t.Error("a value that did not change was sealed anew")
	}
	want := strings.NewReplacer("bob: canary-bob", "bob: |-\n        canary bob\n        the second\n    carol: canary-carol",
		"empty: \"\"\n", "empty: \"\"\nbackup/signing: canary-seed\n", "ratio: 1.50", "ratio: 1.5",
		"\"canary alice: \\\"#1\\\"\"", "'canary alice: \"#1\"'").Replace(plain)
	for _, id := range []*age.X25519Identity{one, two} {
		if d := cmp.Diff(want, string(sops(t, id, both, "decrypt"))); d != "" {
			t.Error(d)
		}
	}
	f = open(t, both, two)
	only := marshal(t, f, two.Recipient().String())
	if d := cmp.Diff(want, string(sops(t, two, only, "decrypt"))); d != "" {
		t.Error(d)
	}
	f, err := secrets.Parse(only)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Unlock([]age.Identity{one}); err == nil || !strings.Contains(err.Error(), two.Recipient().String()) {
		t.Errorf("a recipient that was taken away: %v", err)
	}
	if bytes.Contains(only, lineOf(sealed, "alice:")) {
		t.Error("who was taken away can still open values with the old data key")
	}
	fresh, err := secrets.New()
	if err != nil {
		t.Fatal(err)
	}
	set(t, fresh, "a/b", "canary")
	if got := string(sops(t, one, marshal(t, fresh, one.Recipient().String()), "decrypt")); got != "a/b: canary\n" {
		t.Errorf("a new file: %q", got)
	}
}

func sops(t *testing.T, id *age.X25519Identity, in []byte, args ...string) []byte {
	t.Helper()
	name := filepath.Join(t.TempDir(), "secrets.sops.yaml")
	if err := os.WriteFile(name, in, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(need.Program(t, "sops"), append(args, name)...)
	cmd.Env = append(os.Environ(), "SOPS_AGE_KEY="+id.String(), "HOME="+t.TempDir())
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("sops %v: %v\n%s\n%s", args, err, stderr.Bytes(), in)
	}
	return out
}

func identity(t *testing.T) *age.X25519Identity {
	t.Helper()
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func open(t *testing.T, data []byte, id age.Identity) *secrets.File {
	t.Helper()
	f, err := secrets.Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Unlock([]age.Identity{id}); err != nil {
		t.Fatal(err)
	}
	return f
}

func set(t *testing.T, f *secrets.File, name, value string) {
	t.Helper()
	if err := f.Set(name, value); err != nil {
		t.Fatal(err)
	}
}

func marshal(t *testing.T, f *secrets.File, recipients ...string) []byte {
	t.Helper()
	data, err := f.Marshal(recipients, time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func lineOf(data []byte, word string) []byte {
	for line := range bytes.Lines(data) {
		if bytes.Contains(line, []byte(word)) {
			return line
		}
	}
	return nil
}
