package ingest

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mailplan/mailplan/runtime/config"
)

const token = "correct-horse-battery-staple"

const tableJSON = `{"domains": {
	"example.com": {"users": ["alice", "bob"], "subaddress": "+", "aliases": {"sales": ["alice", "bob"], "loop": ["pool"], "pool": ["loop"],
		"crm": ["alice", "crm@partner.example"]}},
	"catch.example": {"catchAll": ["alice@example.com"]}}}`

// endpoint is an ingest server of one test, with its own files and log.
type endpoint struct {
	*httptest.Server
	server *Server
	conf   *config.Ingest
	log    *logBuffer
	busy   sync.WaitGroup // requests, until their line is in the log: who asked has its answer before
}

// logged is the log of all requests that have been answered.
func (e *endpoint) logged() string {
	e.busy.Wait()
	return e.log.String()
}

// logBuffer collects log lines while others read them.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (l *logBuffer) Reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.b.Reset()
}

// settings are a configuration with a token, a table and a ledger, and no mail store yet.
func settings(t testing.TB) *config.Ingest {
	dir := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return &config.Ingest{
		Listen: "127.0.0.1:0", Hostname: "test.example",
		MaxMessageBytes: 26 << 20, MaxRecipients: 10, MaxDeliveries: 32,
		Auth:   config.Auth{TokenFiles: []string{write("token", token+"\n")}},
		Table:  write("table.json", tableJSON),
		Trace:  config.Trace{By: []string{"cloudflare-email.net"}},
		Ledger: &config.Ledger{Path: filepath.Join(dir, "ledger.db")},
		Spill:  config.Spill{Dir: dir, MaxBytes: 1 << 30},
	}
}

func start(t testing.TB, conf *config.Ingest) *endpoint {
	t.Helper()
	e := &endpoint{conf: conf, log: &logBuffer{}}
	var err error
	e.server, err = New(conf, slog.New(slog.NewJSONHandler(e.log, nil)), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	handler := e.server.Handler()
	e.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e.busy.Add(1)
		defer e.busy.Done()
		handler.ServeHTTP(w, r)
	}))
	e.Config.MaxHeaderBytes = 32 << 10 // as serve has it
	e.Start()
	t.Cleanup(func() { e.Server.Close(); e.server.Close() })
	return e
}

// post sends a message and returns the status and the answer.
func (e *endpoint) post(t testing.TB, from string, to []string, message []byte) (int, result) {
	t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, e.URL+"/v1/ingest", bytes.NewReader(message))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "message/rfc822")
	req.Header.Set("X-Mail-From", from)
	req.Header["X-Rcpt-To"] = to
	return e.do(t, req)
}

func (e *endpoint) do(t testing.TB, req *http.Request) (int, result) {
	t.Helper()
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	var res result
	if err := json.Unmarshal(body, &res); err != nil && resp.Header.Get("Content-Type") == "application/json" {
		t.Fatalf("answer %q: %v", body, err)
	}
	return resp.StatusCode, res
}

// below is a delivered message without what the mail store and we put on top of it: everything from
// the line that begins with mark.
func below(message []byte, mark string) string {
	_, rest, found := strings.Cut("\n"+string(message), "\n"+mark)
	if !found {
		return string(message)
	}
	return mark + rest
}
