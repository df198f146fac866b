package ingest

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc/oidctest"
	"github.com/emersion/go-smtp"

	"github.com/mailplan/mailplan/runtime/config"
)

// smarthost is go-smtp's server with a memory, in Postfix's place.
type smarthost struct {
	mu   sync.Mutex
	sent []string // "from -> to\nmessage"
	full bool
}

func (s *smarthost) NewSession(*smtp.Conn) (smtp.Session, error) { return &hop{host: s}, nil }

type hop struct {
	host     *smarthost
	from, to string
}

func (h *hop) Mail(from string, _ *smtp.MailOptions) error { h.from = from; return nil }
func (h *hop) Rcpt(to string, _ *smtp.RcptOptions) error   { h.to = to; return nil }
func (h *hop) Reset()                                      {}
func (h *hop) Logout() error                               { return nil }

func (h *hop) Data(r io.Reader) error {
	b, err := io.ReadAll(r)
	h.host.mu.Lock()
	defer h.host.mu.Unlock()
	if h.host.full {
		return &smtp.SMTPError{Code: 452, EnhancedCode: smtp.EnhancedCode{4, 3, 1}, Message: "queue is full"}
	}
	h.host.sent = append(h.host.sent, h.from+" -> "+h.to+"\n"+string(b))
	return err
}

// outsideSettings have a smarthost, SRS and a Maildir.
func outsideSettings(t *testing.T) (*config.Ingest, *smarthost) {
	host := &smarthost{}
	server := smtp.NewServer(host)
	server.Domain = "localhost"
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go server.Serve(ln)
	t.Cleanup(func() { server.Close() })
	conf := settings(t)
	key := filepath.Join(t.TempDir(), "srs")
	if err := os.WriteFile(key, []byte("a-key-for-rewriting-senders"), 0o600); err != nil {
		t.Fatal(err)
	}
	conf.Maildir = &config.Maildir{Root: t.TempDir()}
	conf.Smarthost = &config.Smarthost{Address: ln.Addr().String()}
	conf.SRS = &config.SRS{Domain: "example.com", KeyFiles: []string{key}}
	return conf, host
}

// TestOutsideTargets sends to an alias with an outside target, tries again while the smarthost refuses,
// bounces back, and closes a loop.
func TestOutsideTargets(t *testing.T) {
	conf, host := outsideSettings(t)
	e := start(t, conf)
	message := []byte("Message-ID: <1@b>\r\nX-Spam: Yes\r\nX-Mailplan-Delivery: forged\r\nSubject: to crm\r\n\r\nhello\r\n")
	host.full = true
	if code, res := e.post(t, "s@b.example", []string{"crm@example.com"}, message); code != 503 {
		t.Errorf("smarthost full: %d %+v", code, res)
	}
	host.full = false
	for n := range 2 {
		if code, res := e.post(t, "s@b.example", []string{"crm@example.com"}, message); code != 200 || res.Recipients[0].Duplicate != (n == 1) {
			t.Errorf("try %d: %d %+v", n, code, res)
		}
	}
	if len(host.sent) != 1 || !strings.HasPrefix(host.sent[0], "SRS0=") || !strings.Contains(host.sent[0], "@example.com -> crm@partner.example\n") ||
		strings.Contains(host.sent[0], "X-Spam") || strings.Contains(host.sent[0], "forged") || !strings.Contains(host.sent[0], "Delivered-To: crm@example.com\r\n") {
		t.Fatalf("sent: %q", host.sent)
	}
	if files, _ := filepath.Glob(filepath.Join(conf.Maildir.Root, "example.com", "alice", "new", "*")); len(files) != 1 {
		t.Errorf("alice has %d messages, want 1", len(files))
	}
	rewritten, _, _ := strings.Cut(host.sent[0], " -> ")
	if code, res := e.post(t, "", []string{rewritten}, []byte("Subject: bounce\r\n\r\n")); code != 200 || !strings.HasPrefix(host.sent[1], " -> s@b.example\n") {
		t.Errorf("bounce: %d %+v, sent %q", code, res, host.sent)
	}
	_, looping, _ := strings.Cut(host.sent[0], "\n")
	if code, res := e.post(t, rewritten, []string{"crm@example.com"}, []byte("Received: from x by y\r\n"+looping)); code != 200 || len(host.sent) != 2 {
		t.Errorf("loop: %d %+v, %d sent", code, res, len(host.sent))
	}
}

// TestOwnFrom sends on through a smarthost that takes no author of a foreign domain.
func TestOwnFrom(t *testing.T) {
	conf, host := outsideSettings(t)
	conf.Smarthost.OwnFrom = true
	e := start(t, conf)
	send := func(from, to, author string) string {
		t.Helper()
		if code, res := e.post(t, from, []string{to}, []byte("From: "+author+"\r\nSubject: x\r\n\r\nhello\r\n")); code != 200 {
			t.Fatalf("%d %+v", code, res)
		}
		return host.sent[len(host.sent)-1]
	}
	sent := send("s@b.example", "crm@example.com", "Eve <s@b.example>")
	for _, want := range []string{"\r\nFrom: \"Eve via example.com\" <crm@example.com>\r\n", "\r\nReply-To: Eve <s@b.example>\r\n"} {
		if !strings.Contains(sent, want) || strings.Count(sent, "\r\nFrom: ") != 1 {
			t.Errorf("sent without %q: %q", want, sent)
		}
	}
	rewritten, _, _ := strings.Cut(sent, " -> ")
	if bounce := send("", rewritten, "MAILER-DAEMON@partner.example"); !strings.Contains(bounce, "via example.com\" <postmaster@example.com>\r\n") {
		t.Errorf("bounce: %q", bounce)
	}
	if own := send("s@b.example", "crm@example.com", "alice@example.com"); !strings.Contains(own, "From: alice@example.com\r\n") || strings.Contains(own, "X-Original-From") {
		t.Errorf("an author of ours: %q", own)
	}
}

// TestAccessToken wants a token of the right team, audience and time.
func TestAccessToken(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	team := &oidctest.Server{PublicKeys: []oidctest.PublicKey{{PublicKey: key.Public(), KeyID: "k", Algorithm: "RS256"}}}
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/cdn-cgi/access/certs" {
			r.URL.Path = "/keys"
		}
		team.ServeHTTP(w, r)
	}))
	defer web.Close()
	team.SetIssuer(web.URL)
	conf := settings(t)
	conf.Maildir = &config.Maildir{Root: t.TempDir()}
	conf.Auth.Access = &config.Access{Issuer: web.URL, Audience: "our-aud"}
	e := start(t, conf)
	sign := func(aud string, until time.Time) string {
		claims, _ := json.Marshal(map[string]any{"iss": web.URL, "aud": []string{aud}, "exp": until.Unix(), "sub": "worker"})
		return oidctest.SignIDToken(key, "k", "RS256", string(claims))
	}
	for name, c := range map[string]struct {
		token string
		want  int
	}{
		"right":          {sign("our-aud", time.Now().Add(time.Hour)), 200},
		"other audience": {sign("other", time.Now().Add(time.Hour)), 403},
		"expired":        {sign("our-aud", time.Now().Add(-time.Hour)), 403},
		"none":           {"", 403},
		"garbage":        {"a.b.c", 403},
	} {
		req, _ := http.NewRequest("POST", e.URL+"/v1/ingest", strings.NewReader("Subject: x\r\n\r\n"))
		req.Header = http.Header{"Authorization": {"Bearer " + token}, "Content-Type": {"message/rfc822"}, "X-Mail-From": {""},
			"X-Rcpt-To": {"alice@example.com"}, "Cf-Access-Jwt-Assertion": {c.token}}
		if code, res := e.do(t, req); code != c.want {
			t.Errorf("%s: %d %s, want %d", name, code, res.Message, c.want)
		}
	}
}

// TestWrongSettingsAreToldTogether has several files wrong at once.
func TestWrongSettingsAreToldTogether(t *testing.T) {
	conf := settings(t)
	conf.Table = filepath.Join(t.TempDir(), "none.json")
	conf.Auth.TokenFiles = []string{filepath.Join(t.TempDir(), "none")}
	conf.SRS = &config.SRS{Domain: "x.example", KeyFiles: []string{filepath.Join(t.TempDir(), "none")}}
	_, err := New(conf, nil, nil)
	for _, part := range []string{"ingest.auth", "ingest.table", "ingest.srs.keyFiles"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%s is not named: %v", part, err)
		}
	}
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("cause is lost: %v", err)
	}
}

// TestSpillIsBounded posts more than the store for waiting messages holds.
func TestSpillIsBounded(t *testing.T) {
	conf := settings(t)
	conf.Maildir = &config.Maildir{Root: t.TempDir()}
	conf.Spill.MaxBytes = 1 << 20
	e := start(t, conf)
	big := []byte("Message-ID: <b@x>\r\n\r\n" + strings.Repeat("line\r\n", 400_000))
	if code, res := e.post(t, "", []string{"alice@example.com"}, big); code != 503 || res.Recipients[0].Enhanced != "4.3.1" {
		t.Errorf("%d %+v", code, res)
	}
	if used := e.server.spill.used.Load(); used != 0 {
		t.Errorf("%d bytes still taken", used)
	}
	if code, _ := e.post(t, "", []string{"alice@example.com"}, big[:900_000]); code != 200 {
		t.Errorf("a smaller one: %d", code)
	}
}
