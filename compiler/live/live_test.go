package live_test

import (
	"context"
	"errors"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/mailplan/mailplan/compiler"
	"github.com/mailplan/mailplan/compiler/apply"
	"github.com/mailplan/mailplan/compiler/apply/access"
	"github.com/mailplan/mailplan/compiler/apply/edge"
	"github.com/mailplan/mailplan/compiler/apply/host"
	"github.com/mailplan/mailplan/compiler/live"
	"github.com/mailplan/mailplan/compiler/plan"
	"github.com/mailplan/mailplan/compiler/sandbox/cloudflare"
	"github.com/mailplan/mailplan/compiler/secrets"
	"github.com/mailplan/mailplan/test/need"
	"github.com/mailplan/mailplan/test/sshd"
)

// rig is a site whose host is behind a real sshd and whose account is a stand-in that serves over HTTP.
type rig struct {
	site *compiler.Site
	root string
	env  map[string]string
}

func newRig(t *testing.T) rig {
	t.Helper()
	need.Root(t) // the files of the services have owners
	ssh := sshd.Start(t)
	url, id := serve(t)
	root := filepath.Join(t.TempDir(), "srv")
	dir := t.TempDir()
	write(t, filepath.Join(dir, "site.cue"), `package site

name: "small"
host: {connect: "`+ssh.URL+`", root: "`+root+`", storage: {fast: "`+root+`-ssd", bulk: "`+root+`-hdd"}}
relay: password: secret: "SENDGRID_API_KEY"
edge: {
	accountID: "`+id+`"
	tunnel: hostnames: console: "account.example.org"
	access: verify: team: "small"
}
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
	return rig{site: site, root: root, env: map[string]string{
		"SOPS_AGE_KEY": key.String(), "HOME": t.TempDir(), "XDG_STATE_HOME": t.TempDir(),
		"MAILPLAN_SSH_KEY": ssh.KeyFile, "MAILPLAN_KNOWN_HOSTS": ssh.KnownHosts,
		"MAILPLAN_CLOUDFLARE_URL": url,
	}}
}

// serve runs the stand-in and returns the API's root and the account's id.
func serve(t *testing.T) (url, id string) {
	t.Helper()
	server, err := cloudflare.New(t.TempDir(), cloudflare.Options{Token: canary})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := server.AddZone("example.org", "free"); err != nil {
		t.Fatal(err)
	}
	if id, err = server.AccountID(); err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(server)
	t.Cleanup(web.Close)
	return web.URL + strings.TrimPrefix(cloudflare.BaseURL, "http://cloudflare.sandbox"), id
}

func (r rig) getenv(name string) string { return r.env[name] }

const canary = "canary-of-the-edge"

// fill makes all secrets; those that others issue are canaries.
func (r rig) fill(t *testing.T) {
	t.Helper()
	store, err := secrets.Open(r.site.Source.Dir, r.site.Model, r.getenv)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range store.Missing() {
		value := canary
		if e.Generated {
			if value, err = secrets.NewGenerator(r.site.Model).Make(e.Name); err != nil {
				t.Fatal(err)
			}
		}
		if err := store.Set(e.Name, value); err != nil {
			t.Fatal(err)
		}
	}
	if err := store.Save(time.Now()); err != nil {
		t.Fatal(err)
	}
}

func (r rig) open(t *testing.T, holder string, planes ...string) (*live.Target, error) {
	t.Helper()
	tree, err := r.site.Tree()
	if err != nil {
		t.Fatal(err)
	}
	return live.Open(context.Background(), live.Options{Dir: r.site.Source.Dir, Site: r.site.Model, Tree: tree, Planes: planes, Holder: holder, Env: r.getenv})
}

// plan is one of planes, and what keeps it from being made.
func (r rig) plan(t *testing.T, planes ...string) (plan.Plan, error) {
	t.Helper()
	to, err := r.open(t, "", planes...)
	if err != nil {
		t.Fatal(err)
	}
	defer to.Close()
	return to.Plan(context.Background(), r.site.Model, "", "")
}

// converge applies and returns how many steps it took.
func (r rig) converge(t *testing.T, planes ...string) int {
	t.Helper()
	ctx := context.Background()
	to, err := r.open(t, "the test", planes...)
	if err != nil {
		t.Fatal(err)
	}
	defer to.Close()
	p, err := to.Plan(ctx, r.site.Model, "", "")
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	if err := p.JSON(&text); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(text.String(), canary) {
		t.Error("the plan tells a secret")
	}
	if err := apply.Run(ctx, p, to.Planes, to.Journal, func(int, int, plan.Change) {}); err != nil {
		t.Fatal(err)
	}
	return len(p.Changes)
}

// TestApply brings a site up on a host over SSH and in an account over HTTP, plane by plane; then there is nothing left.
func TestApply(t *testing.T) {
	r := newRig(t)
	r.fill(t)
	if _, err := r.plan(t, "host"); err == nil || !strings.Contains(err.Error(), "the token of tunnel small, which is still to be made: apply the edge with it") {
		t.Errorf("the host before there is a tunnel: %v", err)
	}
	if n := r.converge(t, "host", "edge"); n < 50 {
		t.Errorf("host and edge took %d steps", n)
	}
	if n := r.converge(t, "host", "edge"); n != 0 {
		t.Errorf("a second time both took %d steps", n)
	}
	if n := r.converge(t, "host"); n != 0 {
		t.Errorf("the host alone took %d steps", n)
	}
	token, err := os.ReadFile(filepath.Join(r.root, "secrets", "TUNNEL_TOKEN"))
	if err != nil || len(token) < 20 {
		t.Errorf("the tunnel's token on the host: %q, %v", token, err)
	}
	if a, b := r.audience(t), r.application(t, "account.example.org"); a != b {
		t.Errorf("the console takes tokens for %q, Access gives them for %q", a, b)
	}
	info, err := os.Stat(filepath.Join(r.root, ".env"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf(".env on the host: %v, %v", info, err)
	}
	if _, err := r.open(t, "", "postbox"); err == nil || !strings.Contains(err.Error(), `no plane "postbox"`) {
		t.Errorf("an unknown plane: %v", err)
	}
}

// audience is whose tokens the console takes.
func (r rig) audience(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(r.root, "config", "runtime", "access.aud"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// application is the AUD tag that the account has for a host name.
func (r rig) application(t *testing.T, name string) string {
	t.Helper()
	account := edge.New(edge.Config{Token: canary, AccountID: r.site.Model.Edge.AccountID, BaseURL: r.env["MAILPLAN_CLOUDFLARE_URL"]})
	apps, err := account.Apps(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(apps, func(a edge.App) bool { return a.Domain == name })
	if i < 0 {
		t.Fatalf("no application before %s", name)
	}
	return apps[i].AUD
}

// TestAnotherConsole moves the console to another name: the new application's tag is known only when it is made.
func TestAnotherConsole(t *testing.T) {
	r := newRig(t)
	r.fill(t)
	r.converge(t, "host", "edge")
	was := r.audience(t)
	file := filepath.Join(r.site.Source.Dir, "site.cue")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	write(t, file, strings.Replace(string(text), "account.example.org", "people.example.org", 1))
	if r.site, err = compiler.Load(r.site.Source.Dir); err != nil {
		t.Fatal(err)
	}
	p, err := r.plan(t, "host", "edge")
	if err != nil {
		t.Fatal(err)
	}
	app := slices.IndexFunc(p.Changes, func(c plan.Change) bool { return c.Kind == access.KindApp && c.Verb == plan.Create })
	tag := slices.IndexFunc(p.Changes, func(c plan.Change) bool { return strings.HasSuffix(c.ID, "/access.aud") })
	if app < 0 || tag < app {
		t.Errorf("the application is step %d and its tag step %d", app, tag)
	}
	r.converge(t, "host", "edge")
	if is := r.audience(t); is == was || is != r.application(t, "people.example.org") {
		t.Errorf("the tag was %q and is %q", was, is)
	}
	if n := r.converge(t, "host", "edge"); n != 0 {
		t.Errorf("after it %d steps are left", n)
	}
}

// TestNothingIsTouchedWithoutSecrets names all that are missing at once, and only those that the chosen planes use.
func TestNothingIsTouchedWithoutSecrets(t *testing.T) {
	r := newRig(t)
	_, err := r.open(t, "the test")
	for _, name := range []string{"CLOUDFLARE_API_TOKEN (Cloudflare API)", "SENDGRID_API_KEY", "dkim/example.org/m1", "MYSQL_ROOT_PASSWORD"} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("error %v, want it to name %s", err, name)
		}
	}
	_, err = r.open(t, "the test", "edge")
	if err == nil || strings.Contains(err.Error(), "MYSQL_ROOT_PASSWORD") || !strings.Contains(err.Error(), "dkim/example.org/m1") {
		t.Errorf("of the edge: %v", err)
	}
	if _, err := os.Stat(r.root); err == nil {
		t.Error("the host was touched")
	}
}

// TestOneAtATime refuses a second apply and says who is at work; looking is free.
func TestOneAtATime(t *testing.T) {
	r := newRig(t)
	r.fill(t)
	first, err := r.open(t, "alice since noon", "host")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.open(t, "bob", "host"); !errors.Is(err, host.ErrLocked) || !strings.Contains(err.Error(), "alice since noon") {
		t.Errorf("a second apply: %v", err)
	}
	look, err := r.open(t, "", "host")
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(look.Close(), first.Close()); err != nil {
		t.Error(err)
	}
	again, err := r.open(t, "bob", "host")
	if err != nil {
		t.Fatal(err)
	}
	again.Close()
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
