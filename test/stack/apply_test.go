//go:build stack

package stack_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/mailplan/mailplan/compiler"
	"github.com/mailplan/mailplan/compiler/model"
	"github.com/mailplan/mailplan/compiler/sandbox/cloudflare"
	"github.com/mailplan/mailplan/compiler/sandbox/sendgrid"
	"github.com/mailplan/mailplan/compiler/sandbox/tailscale"
	"github.com/mailplan/mailplan/compiler/secrets"
	"github.com/mailplan/mailplan/test/daemon"
	"github.com/mailplan/mailplan/test/sshd"
	"github.com/mailplan/mailplan/test/stack"
)

// canary is what every secret that others issue holds; no command may tell it.
const canary = "canary4711"

// bench is an administrator's machine: mailplan itself, a site, its secrets, and a host behind a real sshd with a real
// Docker engine.
type bench struct {
	t      *testing.T
	bin    string // folder with mailplan and the host's programs
	dir    string // the site's
	site   *compiler.Site
	env    []string
	docker *stack.Docker
	edge   *cloudflare.Server
}

// applied is the site; every service is asked for its health more often than a real one.
const applied = `package site

name: "applied"
host: {connect: "SSH", root: "/srv/mailserver", storage: {fast: "/mnt/ssd", bulk: "/mnt/hdd"}, tls: names: ["imap.example.org"]}
tailnet: {address: "100.64.0.10", hostname: "mail.tail1234.ts.net"}
relay: password: secret: "SENDGRID_API_KEY"
edge: {accountID: "ACCOUNT", tunnel: hostnames: {webmail: "mail.example.org", ingest: "in.example.org"}}
backup: {local: path: "/mnt/backup", recipients: ["RECIPIENT"]}
containers: {
	for name in ["mariadb", "redis", "dovecot", "postfix", "rspamd", "clamav", "roundcube", "mailserver-api", "usermgmt", "nginx", "cloudflared"] {
		(name): health: {interval: "2s", retries: 90}
	}
}
domains: "example.org": {
	dkim: selectors: m1: {}
	users: {
		carol: {password: secret: "users/carol"}
		dave: {}
	}
	aliases: {postmaster: ["carol"], abuse: ["carol"]}
}
`

func newBench(t *testing.T) *bench {
	t.Helper()
	stack.Wipe(t) // of another bench
	stack.StartJournal(t)
	b := &bench{t: t, bin: t.TempDir(), dir: t.TempDir(), docker: stack.StartDocker(t)}
	b.build()
	stack.StartDNS(t, stack.Resolver+":53")
	ssh := sshd.Start(t, "SetEnv "+strings.Join(append(b.docker.Environment(), "PATH="+os.Getenv("PATH")), " "))
	accounts, id := b.accounts()
	key, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	b.write("site.cue", strings.NewReplacer("SSH", ssh.URL, "ACCOUNT", id, "RECIPIENT", key.Recipient().String()).Replace(applied))
	b.env = append(accounts, "SOPS_AGE_KEY="+key.String(), "HOME="+t.TempDir(), "PATH="+os.Getenv("PATH"),
		"MAILPLAN_SSH_KEY="+ssh.KeyFile, "MAILPLAN_KNOWN_HOSTS="+ssh.KnownHosts)
	b.load()
	b.secrets()
	b.images()
	b.certificate()
	return b
}

func (b *bench) build(ldflags ...string) {
	b.t.Helper()
	args := append([]string{"build", "-o", b.bin + "/"}, ldflags...)
	cmd := exec.Command("go", append(args, "../../cmd/mailplan", "../../cmd/mailpland", "../../cmd/mailplan-learn")...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		b.t.Fatalf("%v: %s", err, out)
	}
}

// accounts are the providers', over HTTP.
func (b *bench) accounts() (env []string, id string) {
	b.t.Helper()
	must := func(err error) {
		b.t.Helper()
		if err != nil {
			b.t.Fatal(err)
		}
	}
	serve := func(h http.Handler) string {
		web := httptest.NewServer(h)
		b.t.Cleanup(web.Close)
		return web.URL
	}
	var err error
	b.edge, err = cloudflare.New(b.t.TempDir(), cloudflare.Options{Token: canary})
	must(err)
	_, err = b.edge.AddZone("example.org", "free")
	must(err)
	id, err = b.edge.AccountID()
	must(err)
	relay, err := sendgrid.New(b.t.TempDir(), canary, b.edge.CNAME)
	must(err)
	tailnet, err := tailscale.New(b.t.TempDir(), canary)
	must(err)
	must(tailnet.Join("mail.tail1234.ts.net", "100.64.0.10"))
	return []string{"MAILPLAN_CLOUDFLARE_URL=" + serve(b.edge) + strings.TrimPrefix(cloudflare.BaseURL, "http://cloudflare.sandbox"),
		"MAILPLAN_SENDGRID_URL=" + serve(relay), "MAILPLAN_TAILSCALE_URL=" + serve(tailnet)}, id
}

func (b *bench) write(name, text string) {
	b.t.Helper()
	if err := os.WriteFile(filepath.Join(b.dir, name), []byte(text), 0o600); err != nil {
		b.t.Fatal(err)
	}
}

// edit replaces a part of the site.
func (b *bench) edit(old, new string) {
	b.t.Helper()
	text, err := os.ReadFile(filepath.Join(b.dir, "site.cue"))
	if err != nil || !strings.Contains(string(text), old) {
		b.t.Fatalf("the site has no %q: %v", old, err)
	}
	b.write("site.cue", strings.Replace(string(text), old, new, 1))
}

func (b *bench) load() {
	b.t.Helper()
	site, err := compiler.Load(b.dir)
	if err != nil {
		b.t.Fatal(err)
	}
	b.site = site
}

// secrets makes all but the tunnel's token, which only the edge can give.
func (b *bench) secrets() {
	b.t.Helper()
	store, err := secrets.Open(b.dir, b.site.Model, b.getenv)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, e := range store.Missing() {
		value := canary
		if e.Generated {
			if value, err = secrets.NewGenerator(b.site.Model).Make(e.Name); err != nil {
				b.t.Fatal(err)
			}
		}
		if e.Name == "users/carol" {
			value = "carols-password-" + canary
		}
		if err := store.Set(e.Name, value); err != nil {
			b.t.Fatal(err)
		}
	}
	if err := store.Save(time.Now()); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) getenv(name string) string {
	for _, v := range b.env {
		if value, ok := strings.CutPrefix(v, name+"="); ok {
			return value
		}
	}
	return ""
}

// images are there as if they had been pulled, but those that apply builds.
func (b *bench) images() {
	names := []string{"alpine:3.22"}
	b.site.Model.Each(func(_ string, c model.Container) { names = append(names, c.Reference()) })
	b.docker.Build(slices.DeleteFunc(names, func(n string) bool { return strings.HasSuffix(n, "-api:1") || strings.HasPrefix(n, "usermgmt:") })...)
	for _, own := range []string{"mailserver-api:1", "usermgmt:1"} {
		_, _ = b.docker.Try("", "image", "rm", "--force", own) // of an earlier run
	}
}

func (b *bench) certificate() {
	b.t.Helper()
	cert, key := daemon.NewAuthority(b.t).Issue("imap.example.org", "localhost")
	if err := os.MkdirAll("/mnt/ssd/tls", 0o755); err != nil {
		b.t.Fatal(err)
	}
	for name, text := range map[string]string{"fullchain.pem": cert, "privkey.pem": key} {
		path := filepath.Join("/mnt/ssd/tls", name)
		if err := errors.Join(os.WriteFile(path, []byte(text), 0o400), os.Chown(path, 1000, 1000)); err != nil {
			b.t.Fatal(err)
		}
	}
}

// run runs mailplan, demands its exit code, and that it tells no secret.
func (b *bench) run(code int, args ...string) string {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), 12*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(b.bin, "mailplan"), append(args, b.dir)...)
	cmd.Env = b.env
	start := time.Now()
	out, err := cmd.CombinedOutput()
	b.t.Logf("mailplan %s: %.1fs", strings.Join(args, " "), time.Since(start).Seconds())
	if cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != code {
		b.t.Fatalf("mailplan %s: %v, want exit code %d\n%s", strings.Join(args, " "), err, code, out)
	}
	if strings.Contains(string(out), canary) {
		b.t.Errorf("mailplan %s tells a secret", strings.Join(args, " "))
	}
	return string(out)
}

// settled demands that nothing is left to do.
func (b *bench) settled() {
	b.t.Helper()
	if out := b.run(0, "diff"); !strings.Contains(out, "nothing to do") {
		b.t.Errorf("after an apply: %s", out)
	}
}

func (b *bench) compose(args ...string) string {
	b.t.Helper()
	return b.docker.Must("/srv/mailserver", append([]string{"compose"}, args...)...)
}

func (b *bench) sql(statement string) string {
	b.t.Helper()
	return strings.TrimSpace(b.compose("exec", "--no-TTY", "mariadb", "sh", "-c",
		`MYSQL_PWD=$(cat /run/secrets/MYSQL_ROOT_PASSWORD) mariadb --user=root --batch --skip-column-names mailserver --execute "$1"`, "sql", statement))
}

func (b *bench) started(service string) string {
	b.t.Helper()
	return b.docker.Must("", "inspect", "--format", "{{.Id}} {{.State.StartedAt}}", "applied-"+service+"-1")
}

// signsIn asks Dovecot.
func (b *bench) signsIn(user, password string) bool {
	b.t.Helper()
	_, err := b.docker.Try("/srv/mailserver", "compose", "exec", "--no-TTY", "dovecot", "doveadm", "auth", "test", user, password)
	return err == nil
}

// step is a part of the test with a name of its own; the ones after it need what it did.
func (b *bench) step(name string, run func(*testing.T)) {
	whole := b.t
	ok := whole.Run(name, func(t *testing.T) {
		b.t = t
		run(t)
	})
	if b.t = whole; !ok {
		whole.FailNow()
	}
}

// TestApply brings a whole site up by one mailplan apply over SSH, and keeps it as declared: edge, relay and tailnet
// over HTTP, files by SFTP, the project in a real Docker engine, accounts in its MariaDB.
func TestApply(t *testing.T) {
	b := newBench(t)
	b.run(0, "apply")
	b.settled()
	if got := b.sql("SELECT GROUP_CONCAT(email ORDER BY email) FROM users"); got != "carol@example.org,dave@example.org" {
		t.Errorf("users in MariaDB: %q", got)
	}
	if !b.signsIn("carol@example.org", "carols-password-"+canary) || b.signsIn("carol@example.org", "a guess") {
		t.Error("Dovecot does not know carol's password, or takes any")
	}
	if token, err := os.ReadFile("/srv/mailserver/secrets/TUNNEL_TOKEN"); err != nil || len(token) < 20 {
		t.Errorf("the tunnel's token, without which its container does not start: %d bytes, %v", len(token), err)
	}

	b.step("a user leaves, an alias moves", func(t *testing.T) {
		before := b.started("dovecot")
		b.edit("dave: {}", `dave: {state: "retired", since: "2026-11-01"}`)
		b.edit(`abuse: ["carol"]`, `abuse: ["carol", "desk@partner.example"]`)
		if out := b.run(0, "apply", "--allow", "lock-out"); !strings.Contains(out, "locked out: dave@example.org") {
			t.Errorf("the headline: %s", out)
		}
		b.settled()
		if got := b.sql("SELECT state FROM users WHERE email LIKE 'dave@%'"); got != "retired" {
			t.Errorf("dave is %q", got)
		}
		if got := b.sql("SELECT COUNT(*) FROM aliases WHERE source = 'abuse@example.org'"); got != "2" {
			t.Errorf("abuse has %s targets", got)
		}
		if b.started("dovecot") != before {
			t.Error("Dovecot was restarted for it")
		}
	})
	b.step("somebody meddles", func(t *testing.T) {
		b.sql("UPDATE users SET quota_mb = 1 WHERE email = 'carol@example.org'")
		if out := b.run(2, "status"); !strings.Contains(out, "drift: accounts: update user carol@example.org") {
			t.Errorf("status: %s", out)
		}
		b.run(0, "apply")
		b.settled()
	})
	b.step("a new version of mailplan", func(t *testing.T) {
		api, mariadb := b.started("mailserver-api"), b.started("mariadb")
		b.build("-ldflags=-X=main.unused=new")
		if out := b.run(0, "apply"); !strings.Contains(out, "service mailserver-api") || !strings.Contains(out, "(rebuild)") {
			t.Errorf("the plan: %s", out)
		}
		b.settled()
		if b.started("mailserver-api") == api || b.started("mariadb") != mariadb {
			t.Error("the new program does not run, or more was restarted than what has it")
		}
	})
	b.step("a definition that does not start", func(t *testing.T) {
		b.edit(`(name): health: {interval: "2s", retries: 90}`, `(name): health: {interval: "2s", retries: 90}`+"\n\t}\n\tnginx: image: \"alpine:3.22\"\n\tif true {")
		before, _ := os.ReadFile("/srv/mailserver/docker-compose.yml")
		if out := b.run(1, "apply"); !strings.Contains(out, "put back: ") || !strings.Contains(out, "docker-compose.yml") {
			t.Errorf("said: %s", out)
		}
		if after, _ := os.ReadFile("/srv/mailserver/docker-compose.yml"); string(after) != string(before) {
			t.Error("the compose file is not as it was")
		}
		b.edit(`nginx: image: "alpine:3.22"`, "")
		b.run(0, "apply")
		b.settled()
	})
	b.step("purge without a drill", func(t *testing.T) {
		b.edit(`state: "retired"`, `state: "purged"`)
		out := b.run(3, "apply", "--confirm", "applied", "--allow", "purge")
		if !strings.Contains(out, "no restore was ever tried") || !strings.Contains(out, "--allow untested-backup") {
			t.Errorf("said: %s", out)
		}
	})
}
