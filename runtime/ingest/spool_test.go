package ingest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/mailplan/mailplan/runtime/config"
)

// spooled is a server with its metrics, and what the edge would tell it.
type spooled struct {
	t        *testing.T
	conf     *config.Ingest
	registry *prometheus.Registry
	server   *Server
}

func newSpooled(t *testing.T, conf *config.Ingest) *spooled {
	t.Helper()
	e := &spooled{t: t, conf: conf, registry: prometheus.NewRegistry()}
	var err error
	if e.server, err = New(conf, slog.New(slog.DiscardHandler), e.registry); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.server.Close() })
	return e
}

// tell posts a body and returns the status and what it said.
func (e *spooled) tell(body string, change ...func(*http.Request)) (int, string) {
	e.t.Helper()
	req := httptest.NewRequestWithContext(context.Background(), http.MethodPost, "/v1/ingest", strings.NewReader(body))
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", standingType)
	for _, c := range change {
		c(req)
	}
	w := httptest.NewRecorder()
	e.server.Handler().ServeHTTP(w, req)
	return w.Code, w.Body.String()
}

// shown are the metrics of the spool.
func (e *spooled) shown() map[string]string {
	e.t.Helper()
	w := httptest.NewRecorder()
	promhttp.HandlerFor(e.registry, promhttp.HandlerOpts{}).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	all := map[string]string{}
	for line := range strings.Lines(w.Body.String()) {
		if rest, ok := strings.CutPrefix(line, "mailpland_edge_spool_"); ok {
			name, value, _ := strings.Cut(strings.TrimSpace(rest), " ")
			all[name] = value
		}
	}
	return all
}

func settingsOf(t *testing.T) *config.Ingest {
	conf := settings(t)
	conf.Maildir = &config.Maildir{Root: t.TempDir()}
	return conf
}

// TestSpoolIsShown holds that metrics say what the edge told last, also after a restart, and no older report that was
// overtaken.
func TestSpoolIsShown(t *testing.T) {
	conf := settingsOf(t)
	e := newSpooled(t, conf)
	if got := e.shown(); len(got) > 0 {
		t.Errorf("before anything was told: %v", got)
	}
	at := time.Now().Truncate(time.Second)
	text := func(at time.Time, rest string) string {
		return fmt.Sprintf(`{"at":%q,%s}`, at.UTC().Format(time.RFC3339), rest)
	}
	for _, body := range []string{
		text(at, `"waiting":3,"oldest":"`+at.Add(-time.Hour).UTC().Format(time.RFC3339)+`","dead":2,"more":true`),
		text(at.Add(-time.Minute), `"waiting":0,"dead":0`),
	} {
		if code, said := e.tell(body); code != http.StatusNoContent {
			t.Errorf("%s: %d %s", body, code, said)
		}
	}
	float := func(t time.Time) string { return strconv.FormatFloat(float64(t.Unix()), 'g', -1, 64) }
	want := map[string]string{"waiting": "3", "dead_letters": "2", "report_timestamp_seconds": float(at), "oldest_timestamp_seconds": float(at.Add(-time.Hour))}
	if diff := cmp.Diff(want, e.shown()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	e.server.Close()
	e = newSpooled(t, conf)
	if diff := cmp.Diff(want, e.shown()); diff != "" {
		t.Errorf("after a restart (-want +got):\n%s", diff)
	}
	if code, said := e.tell(text(at.Add(time.Minute), `"waiting":0,"dead":0`)); code != http.StatusNoContent {
		t.Errorf("none waits: %d %s", code, said)
	}
	if _, ok := e.shown()["oldest_timestamp_seconds"]; ok {
		t.Error("nothing waits, and yet the oldest is shown")
	}
	e.server.Close()
	if err := os.WriteFile(filepath.Join(filepath.Dir(conf.Ledger.Path), "edge-spool.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := newSpooled(t, conf).shown(); len(got) > 0 {
		t.Errorf("of a file that is broken: %v", got)
	}
}

// TestBadReports holds that a report passes the gates of a message, and that what is wrong with one changes nothing.
func TestBadReports(t *testing.T) {
	e := newSpooled(t, settingsOf(t))
	now := time.Now().UTC().Format(time.RFC3339)
	good := `{"at":"` + now + `","waiting":0,"dead":0}`
	digest := sha256.Sum256([]byte("other"))
	for _, c := range []struct {
		name, body string
		change     func(*http.Request)
		want       int
		said       string
	}{
		{"no token", good, func(r *http.Request) { r.Header.Del("Authorization") }, 401, "bearer"},
		{"wrong token", good, header("Authorization", "Bearer wrong-wrong-wrong-wrong"), 401, "bearer"},
		{"PUT", good, func(r *http.Request) { r.Method = http.MethodPut }, 405, "only POST"},
		{"too large", `{"at":"` + strings.Repeat("x", maxStanding) + `"}`, nil, 413, "bytes"},
		{"empty", "", nil, 400, "no JSON"},
		{"no JSON", "waiting", nil, 400, "no JSON"},
		{"more than one", good + good, nil, 400, "no JSON"},
		{"unknown field", `{"at":"` + now + `","waiting":0,"dead":0,"x":1}`, nil, 400, "no JSON"},
		{"text for a number", `{"at":"` + now + `","waiting":"0","dead":0}`, nil, 400, "no JSON"},
		{"no time", `{"waiting":0,"dead":0}`, nil, 400, "at is missing"},
		{"of tomorrow", `{"at":"` + time.Now().Add(24*time.Hour).UTC().Format(time.RFC3339) + `","waiting":0,"dead":0}`, nil, 400, "future"},
		{"below nothing", `{"at":"` + now + `","waiting":-1,"dead":0}`, nil, 400, "below 0"},
		{"since when is not said", `{"at":"` + now + `","waiting":1,"dead":0}`, nil, 400, "oldest is missing"},
		{"oldest of none", `{"at":"` + now + `","waiting":0,"dead":0,"oldest":"` + now + `"}`, nil, 400, "nothing waits"},
		{"digest of another body", good, func(r *http.Request) { Sign(r.Header, []byte("k"), digest, "n", time.Now()) }, 400, "does not match"},
	} {
		change := c.change
		if change == nil {
			change = func(*http.Request) {}
		}
		code, said := e.tell(c.body, change)
		var r result
		if code != c.want || json.Unmarshal([]byte(said), &r) != nil || !strings.Contains(r.Message, c.said) || r.Status != statusInvalid {
			t.Errorf("%s: %d %s, want %d %q", c.name, code, said, c.want, c.said)
		}
	}
	if got := e.shown(); len(got) > 0 {
		t.Errorf("afterwards %v is shown", got)
	}
}

// TestSignedReport holds that where messages must be signed reports must be, too, and each is good once.
func TestSignedReport(t *testing.T) {
	conf := settingsOf(t)
	key := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(key, []byte("a key for signatures"), 0o600); err != nil {
		t.Fatal(err)
	}
	conf.Auth.Signature = &config.Signature{KeyFiles: []string{key}}
	e := newSpooled(t, conf)
	body := `{"at":"` + time.Now().UTC().Format(time.RFC3339) + `","waiting":0,"dead":1}`
	sign := func(secret string) func(*http.Request) {
		return func(r *http.Request) {
			data, _ := io.ReadAll(r.Body)
			r.Body = io.NopCloser(bytes.NewReader(data))
			Sign(r.Header, []byte(secret), sha256.Sum256(data), "nonce-nonce-nonce", time.Now())
		}
	}
	for _, c := range []struct {
		name   string
		change func(*http.Request)
		want   int
	}{
		{"not signed", func(*http.Request) {}, 403},
		{"by another key", sign("another key of some size"), 403},
		{"signed", sign("a key for signatures"), 204},
		{"a second time", sign("a key for signatures"), 403},
	} {
		if code, said := e.tell(body, c.change); code != c.want {
			t.Errorf("%s: %d %s", c.name, code, said)
		}
	}
	if got := e.shown()["dead_letters"]; got != "1" {
		t.Errorf("dead letters: %q", got)
	}
}
