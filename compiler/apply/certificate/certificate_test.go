package certificate_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mailplan/mailplan/compiler/apply"
	"github.com/mailplan/mailplan/compiler/apply/certificate"
	"github.com/mailplan/mailplan/compiler/apply/host"
	"github.com/mailplan/mailplan/compiler/emit/emittest"
	"github.com/mailplan/mailplan/compiler/plan"
)

// bench is a host whose program puts into place what the test wants.
type bench struct {
	t     *testing.T
	root  string
	plane *certificate.Plane
	ran   []string
	makes map[string]func() // by the verb's flag
}

func newBench(t *testing.T) *bench {
	b := &bench{t: t, root: t.TempDir(), makes: map[string]func(){}}
	owners, err := host.OpenRecordedOwners(filepath.Join(t.TempDir(), "owners.json"))
	if err != nil {
		t.Fatal(err)
	}
	b.plane = &certificate.Plane{Site: emittest.Site(), Now: time.Now, Programs: []host.Program{{Name: "mailpland"}},
		Host: &host.Host{Root: "/srv/mailserver", Files: host.Local{Prefix: b.root, Owners: owners}},
		Run: func(_ context.Context, _ io.Reader, argv ...string) ([]byte, error) {
			b.ran = append(b.ran, strings.Join(argv, " "))
			if do := b.makes[argv[2]]; do != nil {
				do()
				return nil, nil
			}
			return nil, errors.New("the authority says no")
		}}
	return b
}

// lay puts a certificate in place: by itself or by an authority, for the names, until end.
func (b *bench) lay(authority bool, end time.Time, names ...string) {
	b.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		b.t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "own"}, DNSNames: names,
		NotBefore: end.AddDate(0, 0, -90), NotAfter: end}
	parent := template
	if authority {
		parent = &x509.Certificate{Subject: pkix.Name{CommonName: "authority"}}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), key)
	if err != nil {
		b.t.Fatal(err)
	}
	dir := filepath.Join(b.root, b.plane.Site.CertificateFolder())
	if err := errors.Join(os.MkdirAll(dir, 0o700), os.WriteFile(filepath.Join(dir, "privkey.pem"), nil, 0o600),
		os.WriteFile(filepath.Join(dir, "fullchain.pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600)); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) plan() plan.Plan {
	b.t.Helper()
	p, err := apply.Plan(b.t.Context(), apply.Request{Site: "home"}, []apply.Plane{b.plane})
	if err != nil {
		b.t.Fatal(err)
	}
	return p
}

func (b *bench) apply() error {
	return apply.Run(b.t.Context(), b.plan(), []apply.Plane{b.plane}, apply.Open(filepath.Join(b.t.TempDir(), "journal")), func(int, int, plan.Change) {})
}

// TestNewHost: a placeholder comes first, the certificate last; a failure leaves the placeholder and a plan with the rest.
func TestNewHost(t *testing.T) {
	b := newBench(t)
	names := b.plane.Site.Host.TLS.Names
	soon := time.Now().AddDate(0, 0, 80)
	b.makes["--placeholder"] = func() { b.lay(false, soon, names...) }
	if err := b.apply(); err == nil || !strings.Contains(err.Error(), "the authority says no") || len(b.ran) != 2 {
		t.Fatalf("%v, ran %q", err, b.ran)
	}
	if p := b.plan(); len(p.Changes) != 1 || p.Changes[0].Before != "a placeholder" || p.Changes[0].Phase != plan.Last {
		t.Fatalf("left to do: %+v", p.Changes)
	}
	b.makes["--once"] = func() { b.lay(true, soon, names...) }
	if err := b.apply(); err != nil {
		t.Fatal(err)
	}
	if p := b.plan(); !p.Empty() {
		t.Errorf("left to do: %+v", p.Changes)
	}
	if want := "/srv/mailserver/bin/mailpland certificate --once --config /srv/mailserver/config/runtime/certificate.json"; b.ran[2] != want {
		t.Errorf("ran %q, want %q", b.ran[2], want)
	}
}

// TestStates: what is planned, and what somebody is told of.
func TestStates(t *testing.T) {
	in := func(days int) time.Time { return time.Now().AddDate(0, 0, days) }
	names := emittest.Site().Host.TLS.Names
	for name, tt := range map[string]struct {
		lay           func(b *bench)
		before, tells string
	}{
		"good":        {func(b *bench) { b.lay(true, in(60), names...) }, "", ""},
		"ends soon":   {func(b *bench) { b.lay(true, in(10), names...) }, "", "in 9 days, and was not renewed"},
		"ended":       {func(b *bench) { b.lay(true, in(-1), names...) }, "ended", "ended"},
		"a name more": {func(b *bench) { b.lay(true, in(60), names[0]) }, "not for " + names[1], "not for " + names[1]},
		"none":        {func(*bench) {}, "", "there is none in /mnt/ssd/mailserver/tls"},
	} {
		b := newBench(t)
		tt.lay(b)
		p := b.plan()
		found, err := b.plane.Watch(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if tt.before != "" && (len(p.Changes) != 1 || !strings.HasPrefix(p.Changes[0].Before, tt.before)) {
			t.Errorf("%s: planned %+v", name, p.Changes)
		}
		if tt.tells == "" && (len(found) > 0 || !p.Empty()) || tt.tells != "" && (len(found) != 1 || !strings.Contains(found[0].Message, tt.tells)) {
			t.Errorf("%s: told %v, planned %d", name, found, len(p.Changes))
		}
	}
}

// TestNoProgram: a host without the daemon, to which this apply brings none, is asked for nothing.
func TestNoProgram(t *testing.T) {
	b := newBench(t)
	b.plane.Programs = nil
	b.lay(false, time.Now().AddDate(0, 0, 60), "another.example")
	if p := b.plan(); !p.Empty() {
		t.Errorf("planned %+v", p.Changes)
	}
}

// TestFiles: where somebody else puts it there, only servers' start is seen to.
func TestFiles(t *testing.T) {
	b := newBench(t)
	b.plane.Site.Host.TLS.Source = "files"
	if p := b.plan(); len(p.Changes) != 1 || p.Changes[0].Kind != certificate.KindPair {
		t.Errorf("planned %+v", p.Changes)
	}
	b.lay(true, time.Now().AddDate(0, 0, 60), "another.example")
	if p := b.plan(); !p.Empty() {
		t.Errorf("planned %+v", p.Changes)
	}
}

// TestTailnet: the tailnet's certificate is asked for like an authority's, by the program that stands for tailscale.
func TestTailnet(t *testing.T) {
	b := newBench(t)
	tls := &b.plane.Site.Host.TLS
	tls.Source, tls.Names = "tailscale", []string{"mail.tail1234.ts.net"}
	soon := time.Now().AddDate(0, 0, 80)
	b.makes["--placeholder"] = func() { b.lay(false, soon, tls.Names...) }
	b.makes["--once"] = func() { b.lay(true, soon, tls.Names...) }
	if needs := b.plan().Changes[0].Needs; !slices.Contains(needs, "host/file//srv/mailserver/scripts/tailscale") {
		t.Errorf("it does not wait for its program: %q", needs)
	}
	if err := b.apply(); err != nil || len(b.ran) != 2 {
		t.Fatalf("%v, ran %q", err, b.ran)
	}
	if p := b.plan(); !p.Empty() {
		t.Errorf("left to do: %+v", p.Changes)
	}
}
