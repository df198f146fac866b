package certificate_test

import (
	"context"
	"crypto/x509"
	"errors"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mailplan/mailplan/compiler/sandbox/cloudflare"
	"github.com/mailplan/mailplan/runtime/certificate"
	"github.com/mailplan/mailplan/runtime/certificate/challenge"
	"github.com/mailplan/mailplan/runtime/certificate/pair"
	"github.com/mailplan/mailplan/runtime/config"
	"github.com/mailplan/mailplan/test/acme"
)

var names = []string{"imap.example.com", "smtp.example.com"}

const (
	token = "token-canary-4711"
	mark  = "mailplan-acme home"
)

// bench is a keeper between a real ACME server and a stand-in of Cloudflare, whose zones are the server's DNS.
type bench struct {
	t       *testing.T
	edge    *cloudflare.Server
	api     string
	acme    *acme.Server
	keeper  *certificate.Keeper
	now     time.Time
	reloads int
	broken  error // of the reload
	log     strings.Builder
	lie     func(name string) []string // in place of the zones, for the authority alone
}

func newBench(t *testing.T, validity time.Duration, env ...string) *bench {
	t.Helper()
	b := &bench{t: t, now: time.Now()}
	var err error
	if b.edge, err = cloudflare.New(t.TempDir(), cloudflare.Options{Token: token}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.edge.AddZone("example.com", cloudflare.Free); err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(b.edge)
	t.Cleanup(web.Close)
	b.api = web.URL + strings.TrimPrefix(cloudflare.BaseURL, "http://cloudflare.sandbox")
	b.acme = acme.Start(t, acme.Options{Validity: validity, Env: env, Texts: func(name string) []string {
		if b.lie != nil {
			return b.lie(name)
		}
		return b.edge.TXT(name)
	}})
	dir := t.TempDir()
	b.keeper = b.make(config.Certificate{Names: names, Folder: filepath.Join(dir, "tls"), UID: -1, State: filepath.Join(dir, "state"), WarnDays: 21})
	return b
}

// make is a keeper of the same folders, as a new process has.
func (b *bench) make(c config.Certificate) *certificate.Keeper {
	solver := &challenge.Solver{Zones: []string{"example.com"}, Mark: mark,
		DNS: &challenge.Cloudflare{API: b.api, Token: token, HTTP: http.DefaultClient, Sleep: challenge.Sleep},
		Names: challenge.Servers{Patience: time.Second, Silence: time.Second, Pause: 50 * time.Millisecond,
			Texts: func(_ context.Context, _, name string) ([]string, error) { return b.edge.TXT(name), nil }}}
	authority := &certificate.ACME{Directory: b.acme.Directory, Email: "admin@example.com", KeyFile: filepath.Join(c.State, "account.pem"), HTTP: b.acme.HTTP, Solver: solver}
	k := certificate.New(c, authority, func(context.Context) error { b.reloads++; return b.broken }, slog.New(slog.NewTextHandler(&b.log, nil)))
	k.Now, k.Random = func() time.Time { return b.now }, func() float64 { return 0.5 }
	return k
}

func (b *bench) pass(byHand bool) {
	b.t.Helper()
	if err := b.keeper.Pass(b.t.Context(), byHand); err != nil {
		b.t.Fatalf("pass: %v\n%s", err, b.log.String())
	}
}

func (b *bench) pair() *pair.Pair {
	b.t.Helper()
	p, err := pair.Folder{Path: b.keeper.Config.Folder}.Load()
	if err != nil {
		b.t.Fatal(err)
	}
	return p
}

func (b *bench) status() certificate.Status {
	b.t.Helper()
	s, err := b.keeper.Status()
	if err != nil {
		b.t.Fatal(err)
	}
	return s
}

// clean demands that nothing of a challenge is left, and that nobody was told a secret.
func (b *bench) clean() {
	b.t.Helper()
	for _, name := range names {
		if left := b.edge.TXT("_acme-challenge." + name); len(left) > 0 {
			b.t.Errorf("%s is left with %q", name, left)
		}
	}
	if strings.Contains(b.log.String(), token) || strings.Contains(b.log.String(), "PRIVATE KEY") {
		b.t.Errorf("the log tells a secret:\n%s", b.log.String())
	}
}

// TestLife has one issued, lets nothing happen until it is time, and renews it: another key, the same account, servers
// told once each time.
func TestLife(t *testing.T) {
	b := newBench(t, 90*24*time.Hour)
	if err := b.keeper.Provide(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s := b.status(); s.State != certificate.Placeholder || b.reloads != 0 {
		t.Fatalf("before the first: %+v, %d reloads", s, b.reloads)
	}
	b.pass(false)
	first := b.pair()
	if s := b.status(); s.State != certificate.Good || !s.Served || b.reloads != 1 {
		t.Fatalf("after the first: %+v, %d reloads", s, b.reloads)
	}
	for _, name := range names {
		if _, err := first.Leaf.Verify(x509.VerifyOptions{DNSName: name, Roots: b.acme.Roots(t)}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	b.modes()
	account := b.read("account.pem")
	b.pass(false)
	third := 30 * 24 * time.Hour // what is left at two thirds; the authority's window is a day around it
	if s := b.status(); b.reloads != 1 || s.RenewAt.Sub(first.Leaf.NotAfter.Add(-third)).Abs() > time.Minute {
		t.Fatalf("to be renewed at %s, %d reloads; it ends %s", s.RenewAt, b.reloads, s.NotAfter)
	}
	b.now = b.status().RenewAt.Add(time.Second)
	b.keeper = b.make(b.keeper.Config) // after a restart
	b.pass(false)
	second := b.pair()
	if second.Fingerprint() == first.Fingerprint() || string(second.Key) == string(first.Key) || b.reloads != 2 {
		t.Errorf("not renewed with another key, or %d reloads", b.reloads)
	}
	if b.read("account.pem") != account {
		t.Error("a new account was made")
	}
	b.clean()
}

func (b *bench) read(name string) string {
	b.t.Helper()
	data, err := os.ReadFile(filepath.Join(b.keeper.Config.State, name))
	if err != nil {
		b.t.Fatal(err)
	}
	return string(data)
}

// modes demands that nobody else can read a key.
func (b *bench) modes() {
	b.t.Helper()
	for _, path := range []string{filepath.Join(b.keeper.Config.Folder, "privkey.pem"), filepath.Join(b.keeper.Config.State, "account.pem")} {
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != 0o600 {
			b.t.Errorf("%s: %v %v", path, info.Mode(), err)
		}
	}
}

// TestSuggested: when the authority wants it sooner, it is done sooner (a mass revocation, say).
func TestSuggested(t *testing.T) {
	b := newBench(t, 90*24*time.Hour)
	b.pass(false)
	first := b.pair()
	b.pass(false) // asks for the window, and when to ask again
	b.acme.Suggest(t, first.Chain, b.now.Add(-2*time.Hour), b.now.Add(-time.Hour))
	b.now = b.now.Add(7 * time.Hour)
	b.pass(false)
	if b.pair().Fingerprint() == first.Fingerprint() {
		t.Errorf("not renewed though the authority asks for it: %+v\n%s", b.status(), b.log.String())
	}
	b.clean()
}

// TestOtherNames: a name more is a reason, a name fewer is none.
func TestOtherNames(t *testing.T) {
	b := newBench(t, 0)
	c := b.keeper.Config
	c.Names = names[:1]
	b.keeper = b.make(c)
	b.pass(false)
	first := b.pair().Fingerprint()
	c.Names = names
	b.keeper = b.make(c)
	if s := b.status(); s.State != certificate.OtherNames || strings.Join(s.Lacks, " ") != names[1] {
		t.Errorf("status: %+v", s)
	}
	b.pass(false)
	second := b.pair().Fingerprint()
	c.Names = names[1:]
	b.keeper = b.make(c)
	b.pass(false)
	if first == second || b.pair().Fingerprint() != second {
		t.Error("want a new one for a name more, and none for a name fewer")
	}
	b.clean()
}

// TestTrouble: what passes is waited for.
func TestTrouble(t *testing.T) {
	records := "/zones/{zone}/dns_records"
	for name, tt := range map[string]struct {
		env    []string
		faults []cloudflare.Fault
	}{
		"nonces refused": {env: []string{"PEBBLE_WFE_NONCEREJECT=40"}},
		"asked too often": {faults: []cloudflare.Fault{{Kind: cloudflare.TooMany, Pattern: "POST " + records, RetryAfter: time.Second},
			{Kind: cloudflare.TooMany, Pattern: "DELETE " + records + "/{id}", RetryAfter: time.Second}}},
		"provider in trouble": {faults: []cloudflare.Fault{{Kind: cloudflare.ServerError, Pattern: "POST " + records}, {Kind: cloudflare.ServerError, Pattern: "GET /zones"}}},
		"answer lost":         {faults: []cloudflare.Fault{{Kind: cloudflare.DropAfter, Pattern: "POST " + records}, {Kind: cloudflare.DropAfter, Pattern: "DELETE " + records + "/{id}"}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, 0, tt.env...)
			for _, f := range tt.faults {
				b.edge.Inject(f)
			}
			b.pass(false)
			if s := b.status(); s.State != certificate.Good {
				t.Errorf("status: %+v\n%s", s, b.log.String())
			}
			b.clean()
		})
	}
}

// TestFailure: a name that cannot be proved rests longer each time, what is in use stays in use, and by hand it is tried
// at once.
func TestFailure(t *testing.T) {
	b := newBench(t, 0)
	b.lie = func(string) []string { return []string{"something else"} }
	var rests []time.Duration
	for range 3 {
		if err := b.keeper.Pass(t.Context(), false); err == nil || !strings.Contains(err.Error(), "example.com") {
			t.Fatalf("a wrong record proves the name: %v", err)
		}
		s := b.status()
		rests = append(rests, s.NextTry.Sub(b.now))
		b.now = s.NextTry.Add(-time.Second)
		b.pass(false) // rests
		b.now = s.NextTry
		b.clean()
	}
	if rests[0] != 15*time.Minute || rests[1] != 30*time.Minute || rests[2] != time.Hour {
		t.Errorf("rests %v", rests)
	}
	if s := b.status(); s.State != certificate.Placeholder || s.Failures != 3 || s.LastError == "" || b.reloads != 1 {
		t.Errorf("status: %+v, %d reloads", s, b.reloads)
	}
	b.lie, b.now = nil, b.now.Add(-time.Minute)
	b.pass(true)
	if s := b.status(); s.Failures != 0 || s.LastError != "" || len(s.Lacks) > 0 || b.reloads != 2 {
		t.Errorf("after it was mended: %+v, %d reloads", s, b.reloads)
	}
}

// TestToken: a token without its rights is named as the reason, and is itself not told.
func TestToken(t *testing.T) {
	b := newBench(t, 0)
	solver := &challenge.Solver{Zones: []string{"example.com"}, Mark: mark,
		DNS: &challenge.Cloudflare{API: b.api, Token: "another", HTTP: http.DefaultClient, Sleep: challenge.Sleep}}
	b.keeper.Authority.(*certificate.ACME).Solver = solver
	err := b.keeper.Pass(t.Context(), false)
	if err == nil || !strings.Contains(err.Error(), "cloudflare answers 40") {
		t.Errorf("a wrong token: %v", err)
	}
	var refused *challenge.Refusal
	if !errors.As(err, &refused) {
		t.Errorf("%T hides what the provider said", err)
	}
	b.clean()
}

// TestReloadFails: servers are told again until it works.
func TestReloadFails(t *testing.T) {
	b := newBench(t, 0)
	b.broken = errors.New("docker is away")
	if err := b.keeper.Pass(t.Context(), false); !errors.Is(err, b.broken) || b.status().Served {
		t.Fatalf("%v, %+v", err, b.status())
	}
	b.broken = nil
	b.pass(false)
	b.pass(false)
	if !b.status().Served || b.reloads != 2 {
		t.Errorf("%+v, %d reloads", b.status(), b.reloads)
	}
}

// TestFiles: with nobody to ask, what somebody else puts in place is told to servers, and its end is warned of.
func TestFiles(t *testing.T) {
	b := newBench(t, 0)
	b.pass(false)
	b.keeper.Authority = nil
	folder := b.keeper.Config.Folder
	other, err := pair.Placeholder([]string{"imap.example.com"}, b.now)
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{"fullchain.pem": other.Chain, "privkey.pem": other.Key} {
		path := filepath.Join(folder, name)
		if err := errors.Join(os.Remove(path), os.WriteFile(path, data, 0o600)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
	}
	b.pass(false)
	if b.reloads != 2 || b.pair().Fingerprint() != other.Fingerprint() {
		t.Errorf("%d reloads", b.reloads)
	}
}
