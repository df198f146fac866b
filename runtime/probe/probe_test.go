package probe

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"
	"github.com/emersion/go-imap/v2/imapserver/imapmemserver"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/mailplan/mailplan/runtime/config"
)

const secret = "0123456789abcdef"

// system is a door and the mailbox behind it.
type system struct {
	t      *testing.T
	user   *imapmemserver.User
	folder string // where what comes in is stored; empty loses it
	answer string // instead of delivering
	seen   http.Header
	prober *Prober
}

func newSystem(t *testing.T) *system {
	t.Helper()
	s := &system{t: t, user: imapmemserver.NewUser("probe@mailplan.invalid", "none"), folder: "INBOX"}
	for _, box := range []string{"INBOX", "Junk"} {
		if err := s.user.Create(box, nil); err != nil {
			t.Fatal(err)
		}
	}
	door := httptest.NewServer(s)
	t.Cleanup(door.Close)
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte(secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	auth := config.Auth{TokenFiles: []string{file}, Signature: &config.Signature{KeyFiles: []string{file}}}
	conf := &config.Probe{Every: config.Duration(time.Minute), Localpart: "mailplan-probe",
		IMAP: s.serveIMAP(), Mailbox: "probe@mailplan.invalid", Deadline: config.Duration(1500 * time.Millisecond)}
	var err error
	if s.prober, err = New(conf, auth, door.URL); err != nil {
		t.Fatal(err)
	}
	return s
}

// serveIMAP speaks TLS with a certificate that nobody trusts.
func (s *system) serveIMAP() (address string) {
	s.t.Helper()
	web := httptest.NewTLSServer(nil)
	s.t.Cleanup(web.Close)
	mem := imapmemserver.New()
	mem.AddUser(s.user)
	server := imapserver.New(&imapserver.Options{Caps: imap.CapSet{imap.CapIMAP4rev1: {}, imap.CapUIDPlus: {}},
		NewSession: func(*imapserver.Conn) (imapserver.Session, *imapserver.GreetingData, error) {
			return mem.NewSession(), nil, nil
		}})
	ln, err := tls.Listen("tcp", "127.0.0.1:0", web.TLS)
	if err != nil {
		s.t.Fatal(err)
	}
	go server.Serve(ln)
	s.t.Cleanup(func() { server.Close() })
	return ln.Addr().String()
}

// ServeHTTP is the ingest.
func (s *system) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.seen = r.Header
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	if s.answer != "" {
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(w, s.answer)
		return
	}
	if s.folder != "" {
		if _, err := s.user.Append(s.folder, bytes.NewReader(body), &imap.AppendOptions{}); err != nil {
			s.t.Error(err)
		}
	}
	_, _ = io.WriteString(w, `{"status":"delivered","recipients":[{"address":"mailplan-probe@example.com","status":"delivered"}]}`)
}

func (s *system) left() (n uint32) {
	s.t.Helper()
	for _, box := range []string{"INBOX", "Junk"} {
		status, err := s.user.Status(box, &imap.StatusOptions{NumMessages: true})
		if err != nil {
			s.t.Fatal(err)
		}
		n += *status.NumMessages
	}
	return n
}

func TestArrives(t *testing.T) {
	for _, folder := range []string{"INBOX", "Junk"} {
		s := newSystem(t)
		s.folder = folder
		if _, err := s.user.Append("INBOX", strings.NewReader("Subject: of last week\r\n\r\n"), &imap.AppendOptions{Time: time.Now().AddDate(0, 0, -7)}); err != nil {
			t.Fatal(err)
		}
		if err := s.prober.Once(t.Context(), "example.com"); err != nil {
			t.Errorf("%s: %v", folder, err)
		}
		if n := s.left(); n != 0 {
			t.Errorf("%s: %d messages stay behind", folder, n)
		}
		if s.seen.Get("Authorization") != "Bearer "+secret || !strings.HasPrefix(s.seen.Get("X-Mailplan-Signature"), "v1=") ||
			s.seen.Get("X-Rcpt-To") != "mailplan-probe@example.com" {
			t.Errorf("the door was asked with %v", s.seen)
		}
	}
}

// TestFails holds that the error says how far a message came, and the metrics that it did not arrive.
func TestFails(t *testing.T) {
	for _, c := range []struct {
		what   string
		change func(*system)
		says   string
	}{
		{"deferred", func(s *system) {
			s.answer = `{"recipients":[{"status":"deferred","enhanced":"4.3.0","message":"mail store is away"}]}`
		}, "deferred: 4.3.0 mail store is away"},
		{"refused at the door", func(s *system) { s.answer = `{"status":"invalid","message":"bearer token is missing or not valid"}` }, "bearer token"},
		{"lost", func(s *system) { s.folder = "" }, "not in the mailbox"},
		{"mailbox shut", func(s *system) { s.prober.conf.Mailbox = "somebody" }, "cannot be read"},
		{"no mail store", func(s *system) { s.prober.conf.IMAP = closed(t) }, "cannot be read"},
	} {
		s := newSystem(t)
		c.change(s)
		registry := prometheus.NewRegistry()
		schedule := NewSchedule(s.prober, domains, slog.New(slog.DiscardHandler), registry)
		schedule.turn(t.Context(), "example.com")
		if v := testutil.ToFloat64(schedule.success); v != 0 {
			t.Errorf("%s: success is %v", c.what, v)
		}
		if err := s.prober.Once(t.Context(), "example.com"); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", c.what, err, c.says)
		}
	}
}

func domains() ([]string, error) { return []string{"example.com"}, nil }

// TestRounds holds that a domain that comes has its turn, and of one that goes nothing is told any more.
func TestRounds(t *testing.T) {
	s := newSystem(t)
	s.prober.conf.Every = config.Duration(time.Millisecond)
	now := []string{"example.com", "example.org"}
	schedule := NewSchedule(s.prober, func() ([]string, error) { return now, nil }, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	schedule.round(t.Context())
	if n := testutil.CollectAndCount(schedule.success); n != 2 {
		t.Errorf("%d domains had their turn", n)
	}
	now = now[1:]
	schedule.round(t.Context())
	if n := testutil.CollectAndCount(schedule.success); n != 1 {
		t.Errorf("of %d domains is told, one is gone", n)
	}
}

func TestSchedule(t *testing.T) {
	s := newSystem(t)
	registry := prometheus.NewRegistry()
	schedule := NewSchedule(s.prober, domains, slog.New(slog.DiscardHandler), registry)
	schedule.turn(t.Context(), "example.com")
	if testutil.ToFloat64(schedule.success) != 1 || testutil.ToFloat64(schedule.at) == 0 {
		t.Error("a message arrived, and the metrics do not know")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	schedule.turn(ctx, "example.com")
	if testutil.ToFloat64(schedule.success) != 1 {
		t.Error("a daemon that ends counts as a domain that fails")
	}
	schedule.Run(ctx)
}

// closed is an address where nobody listens.
func closed(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}
