package live_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"

	"github.com/mailplan/mailplan/compiler"
	"github.com/mailplan/mailplan/compiler/apply"
	"github.com/mailplan/mailplan/compiler/live"
	"github.com/mailplan/mailplan/compiler/plan"
	"github.com/mailplan/mailplan/compiler/sandbox/cloudflare"
	"github.com/mailplan/mailplan/test/acme"
	"github.com/mailplan/mailplan/test/need"
	"github.com/mailplan/mailplan/test/sshd"
)

// TestCertificate brings up a new host over SSH: its own daemon lays a placeholder down and has a real ACME server issue
// the certificate, against records in the account. While the account refuses those, all else is done already.
func TestCertificate(t *testing.T) {
	need.Root(t)
	account, err := cloudflare.New(t.TempDir(), cloudflare.Options{Token: canary})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := account.AddZone("example.org", "free"); err != nil {
		t.Fatal(err)
	}
	id, err := account.AccountID()
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(account)
	t.Cleanup(web.Close)
	api := web.URL + strings.TrimPrefix(cloudflare.BaseURL, "http://cloudflare.sandbox")
	pebble := acme.Start(t, acme.Options{Texts: account.TXT})
	engine, told := standInEngine(t)
	ssh := sshd.Start(t, "SetEnv SSL_CERT_FILE="+pebble.Trust+" MAILPLAN_CLOUDFLARE_URL="+api+" PATH="+engine+":"+os.Getenv("PATH"))
	root, dir := filepath.Join(t.TempDir(), "srv"), t.TempDir()
	write(t, filepath.Join(dir, "site.cue"), `package site

name: "small"
host: {connect: "`+ssh.URL+`", root: "`+root+`", storage: {fast: "`+root+`-ssd", bulk: "`+root+`-hdd"}, tls: directory: "`+pebble.Directory+`"}
relay: password: secret: "SENDGRID_API_KEY"
edge: accountID: "`+id+`"
backup: local: path: "`+root+`-backup"
domains: "example.org": {
	dkim: selectors: m1: {}
	users: carol: {}
}
`)
	site, err := compiler.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	key, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	r := rig{site: site, root: root, env: map[string]string{"SOPS_AGE_KEY": key.String(), "HOME": t.TempDir(), "XDG_STATE_HOME": t.TempDir(),
		"MAILPLAN_SSH_KEY": ssh.KeyFile, "MAILPLAN_KNOWN_HOSTS": ssh.KnownHosts, "MAILPLAN_CLOUDFLARE_URL": api}}
	r.fill(t)
	bin := hostPrograms(t)

	account.Inject(cloudflare.Fault{Kind: cloudflare.Refused, Pattern: "POST /zones/{zone}/dns_records"})
	if _, err := r.apply(t, bin); err == nil || !strings.Contains(err.Error(), "certificate for imap.example.org, smtp.example.org") || strings.Contains(err.Error(), canary) {
		t.Fatalf("while the account refuses: %v", err)
	}
	if leaf := r.certificate(t); leaf.Subject.CommonName != "placeholder until one is issued" {
		t.Errorf("in place meanwhile: %s", leaf.Subject)
	}
	if _, err := os.Stat(filepath.Join(root, "config/runtime/accounts.json")); err != nil {
		t.Errorf("something else waits for the certificate: %v", err)
	}
	if n, err := r.apply(t, bin); err != nil || n != 1 {
		t.Fatalf("then: %d steps, %v", n, err)
	}
	if _, err := r.certificate(t).Verify(x509.VerifyOptions{DNSName: "smtp.example.org", Roots: pebble.Roots(t)}); err != nil {
		t.Error(err)
	}
	if n, err := r.apply(t, bin); err != nil || n != 0 {
		t.Errorf("at last: %d steps, %v", n, err)
	}
	if said, err := os.ReadFile(told); err != nil || !strings.Contains(string(said), "exec -T dovecot doveadm reload") || !strings.Contains(string(said), "exec -T postfix postfix reload") {
		t.Errorf("servers were told: %s, %v", said, err)
	}
	if left := account.TXT("_acme-challenge.imap.example.org"); len(left) > 0 {
		t.Errorf("left in the zone: %q", left)
	}
}

// apply carries out host and edge and returns the number of steps.
func (r rig) apply(t *testing.T, bin string) (int, error) {
	t.Helper()
	ctx := context.Background()
	tree, err := r.site.Tree()
	if err != nil {
		t.Fatal(err)
	}
	to, err := live.Open(ctx, live.Options{Dir: r.site.Source.Dir, Site: r.site.Model, Tree: tree, Planes: []string{"host", "edge"}, Holder: "the test",
		Env: r.getenv, Programs: bin})
	if err != nil {
		t.Fatal(err)
	}
	defer to.Close()
	p, err := to.Plan(ctx, r.site.Model, "", "")
	if err != nil {
		t.Fatal(err)
	}
	return len(p.Changes), apply.Run(ctx, p, to.Planes, to.Journal, func(int, int, plan.Change) {})
}

// certificate is what servers would read; its key must fit.
func (r rig) certificate(t *testing.T) *x509.Certificate {
	t.Helper()
	folder := r.root + "-ssd/tls"
	both, err := tls.LoadX509KeyPair(filepath.Join(folder, "fullchain.pem"), filepath.Join(folder, "privkey.pem"))
	if err != nil {
		t.Fatal(err)
	}
	return both.Leaf
}

// standInEngine is a folder with a docker that notes what it is told; every service runs.
func standInEngine(t *testing.T) (dir, told string) {
	t.Helper()
	dir = t.TempDir()
	told = filepath.Join(dir, "told")
	script := "#!/bin/sh\necho \"$@\" >>" + told + "\necho id\n"
	if err := os.WriteFile(filepath.Join(dir, "docker"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	return dir, told
}

// hostPrograms are built as for a release.
func hostPrograms(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.Command("go", "build", "-o", dir+"/", "../../cmd/mailpland", "../../cmd/mailplan-learn")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return dir
}
