package certificate_test

import (
	"context"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mailplan/mailplan/runtime/certificate"
	"github.com/mailplan/mailplan/runtime/certificate/pair"
	"github.com/mailplan/mailplan/runtime/config"
	"github.com/mailplan/mailplan/test/tailscale"
)

const tailnetName = "mail.tail1234.ts.net"

// tailnet is a keeper whose certificates are the tailnet's.
type tailnet struct {
	bench
	cli *tailscale.CLI
}

func newTailnet(t *testing.T) *tailnet {
	t.Helper()
	n := &tailnet{bench: bench{t: t, now: time.Now()}, cli: tailscale.New(t, tailnetName)}
	dir := t.TempDir()
	c := config.Certificate{Names: []string{tailnetName}, Folder: filepath.Join(dir, "tls"), UID: -1, State: filepath.Join(dir, "state"), WarnDays: 21}
	authority := &certificate.Tailscale{Program: n.cli.Program, Folder: pair.Folder{Path: c.Folder}}
	n.keeper = certificate.New(c, authority, func(context.Context) error { n.reloads++; return n.broken }, slog.New(slog.NewTextHandler(&n.log, nil)))
	n.keeper.Now, n.keeper.Random = func() time.Time { return n.now }, func() float64 { return 0.5 }
	return n
}

// after lets time go by, for the keeper and the tailnet.
func (n *tailnet) after(d time.Duration) {
	n.t.Helper()
	n.now = n.now.Add(d)
	n.cli.Set(func(s *tailscale.State) { s.Ahead += d })
}

// TestTailnet has the tailnet's certificate put in place over a placeholder, renewed at two thirds of its time though the
// tailnet still holds a good one, and servers told once each time.
func TestTailnet(t *testing.T) {
	n := newTailnet(t)
	if err := n.keeper.Provide(t.Context()); err != nil {
		t.Fatal(err)
	}
	n.pass(false)
	first := n.pair()
	if s := n.status(); s.State != certificate.Good || !s.Served || n.reloads != 1 || len(s.Lacks) > 0 {
		t.Fatalf("after the first: %+v, %d reloads", s, n.reloads)
	}
	for range 5 {
		n.after(11 * 24 * time.Hour)
		n.pass(false)
	}
	if n.pair().Fingerprint() != first.Fingerprint() || n.cli.State().Calls != 1 {
		t.Errorf("renewed at once: %d calls", n.cli.State().Calls)
	}
	n.after(7 * 24 * time.Hour)
	n.pass(false)
	n.pass(false)
	if second := n.pair(); second.Fingerprint() == first.Fingerprint() || n.reloads != 2 || n.cli.State().Issued != 2 {
		t.Errorf("after 62 days: %d reloads, %d issued\n%s", n.reloads, n.cli.State().Issued, n.log.String())
	}
	if strings.Contains(n.log.String(), "PRIVATE KEY") {
		t.Error("the log tells a secret")
	}
}

// TestTailnetHolds takes what the tailnet holds already, and renews that when it is late.
func TestTailnetHolds(t *testing.T) {
	n := newTailnet(t)
	n.pass(false)
	held := n.pair()
	lost := newTailnet(t)
	lost.cli.Set(func(s *tailscale.State) { *s = n.cli.State() })
	lost.after(80 * 24 * time.Hour)
	lost.pass(false)
	if lost.pair().Fingerprint() != held.Fingerprint() {
		t.Error("a new one was issued, although one was held")
	}
	lost.pass(false)
	if lost.pair().Fingerprint() == held.Fingerprint() || lost.cli.State().Issued != 2 {
		t.Error("what has ten days left was not renewed")
	}
}

// TestTailnetRefuses holds that a refusal leaves what is in place, says what to do, and is not repeated at once.
func TestTailnetRefuses(t *testing.T) {
	for refusal, want := range map[string]string{
		"your Tailscale account does not support getting TLS certs": "enable HTTPS certificates",
		"acme: rate limited": "rate limited",
	} {
		n := newTailnet(t)
		n.cli.Set(func(s *tailscale.State) { s.Refuse = refusal })
		err := n.keeper.Pass(t.Context(), false)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q becomes %v", refusal, err)
		}
		n.pass(false) // it rests
		if s := n.status(); s.State != certificate.Placeholder || s.Failures != 1 || n.cli.State().Calls != 1 && n.cli.State().Calls != 0 {
			t.Errorf("%q: %+v, %d calls", refusal, s, n.cli.State().Calls)
		}
		n.cli.Set(func(s *tailscale.State) { s.Refuse = "" })
		n.after(time.Hour)
		n.pass(false)
		if s := n.status(); s.State != certificate.Good || s.Failures != 0 {
			t.Errorf("%q is over: %+v", refusal, s)
		}
	}
	n := newTailnet(t)
	n.cli.Set(func(s *tailscale.State) { s.Domain = "other.tail1234.ts.net" })
	if err := n.keeper.Pass(t.Context(), false); err == nil || !strings.Contains(err.Error(), `only "other.tail1234.ts.net" is permitted`) {
		t.Errorf("another host's name: %v", err)
	}
}

// TestTailnetStopped: a program that hangs is ended with the pass, and the next one goes on.
func TestTailnetStopped(t *testing.T) {
	n := newTailnet(t)
	n.cli.Set(func(s *tailscale.State) { s.Hang = true })
	ctx, stop := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer stop()
	if err := n.keeper.Pass(ctx, false); err == nil {
		t.Fatal("a program that hangs has ended")
	}
	n.cli.Set(func(s *tailscale.State) { s.Hang = false })
	n.pass(false)
	if s := n.status(); s.State != certificate.Good || s.Failures != 0 {
		t.Errorf("status: %+v", s)
	}
}
