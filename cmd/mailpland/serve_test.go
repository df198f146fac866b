package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mailplan/mailplan/runtime/config"
	"github.com/mailplan/mailplan/test/mailstore"
)

// mailpland runs one command line in this process.
func mailpland(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	var out, err bytes.Buffer
	code = Run(ctx, args, &out, &err)
	return code, out.String(), err.String()
}

// TestWrongConfigurationListensNowhere has an unknown key, a missing token file and a wrong address.
func TestWrongConfigurationListensNowhere(t *testing.T) {
	d := newDaemon(t, func(c *config.Ingest) { c.Maildir = &config.Maildir{Root: t.TempDir()} })
	good, err := os.ReadFile(d.path)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ change, want string }{
		"unknown key":   {strings.Replace(string(good), `"listen"`, `"lissen"`, 1), "ingest.lissen: unknown setting"},
		"two stores":    {strings.Replace(string(good), `"maildir"`, `"lmtp": {"address": "x:24"}, "maildir"`, 1), "exactly one of lmtp and maildir"},
		"no token file": {strings.Replace(string(good), `/token"`, `/other"`, 1), "ingest.auth: read secret"},
		"not JSON":      {"{", "unexpected end of JSON"},
	} {
		if err := os.WriteFile(d.path, []byte(c.change), 0o600); err != nil {
			t.Fatal(err)
		}
		code, _, stderr := mailpland(t, "serve", "--config", d.path)
		if code != 1 || !strings.Contains(stderr, c.want) {
			t.Errorf("%s: exit %d: %s", name, code, stderr)
		}
		if conn, err := net.Dial("tcp", d.conf.Ingest.Listen); err == nil {
			conn.Close()
			t.Errorf("%s: it listens", name)
		}
	}
}

// TestLedgerVerbs delivers, looks at the ledger of the running daemon and of the stopped one, and
// replays a kept message.
func TestLedgerVerbs(t *testing.T) {
	root := t.TempDir()
	d := newDaemon(t, func(c *config.Ingest) { c.Maildir = &config.Maildir{Root: root} })
	d.start(t)
	message := []byte("Message-ID: <1@b>\r\nSubject: kept\r\n\r\nhello\r\n")
	if code, _ := d.post("s@b.example", "u01+tag@example.com", message, false); code != 200 {
		t.Fatalf("post: %d", code)
	}
	kept := filepath.Join(t.TempDir(), "kept.eml")
	if err := os.WriteFile(kept, message, 0o600); err != nil {
		t.Fatal(err)
	}
	if code, out, stderr := mailpland(t, "ledger", "replay", "--config", d.path, "--from", "s@b.example", "--to", "u01@example.com", kept); code != 0 || !strings.Contains(out, `"duplicate":true`) {
		t.Errorf("replay: exit %d: %s%s", code, out, stderr)
	}
	if code, out, stderr := mailpland(t, "health", "--ready", "--config", d.path); code != 0 || !strings.Contains(out, `"ledger":"ok"`) {
		t.Errorf("health: exit %d: %s%s", code, out, stderr)
	}
	look := func(when string) {
		t.Helper()
		if code, out, stderr := mailpland(t, "ledger", "list", "--config", d.path); code != 0 || strings.Count(out, "\n") != 1 || !strings.Contains(out, "delivered  u01@example.com") {
			t.Errorf("%s: list: exit %d: %s%s", when, code, out, stderr)
		}
		if _, out, _ := mailpland(t, "ledger", "list", "--state", "in-doubt", "--json", "--config", d.path); out != "" {
			t.Errorf("%s: in doubt: %s", when, out)
		}
		if code, out, stderr := mailpland(t, "ledger", "verify", "--config", d.path); code != 0 || !strings.Contains(out, "delivered 1") {
			t.Errorf("%s: verify: exit %d: %s%s", when, code, out, stderr)
		}
	}
	time.Sleep(time.Second) // an outcome is written soon, not at once
	look("running")
	d.stop(t)
	look("stopped")
	if files, _ := filepath.Glob(filepath.Join(root, "example.com", "u01", "new", "*")); len(files) != 1 {
		t.Errorf("%d copies in the mailbox", len(files))
	}
}

// stop is SIGTERM: the daemon must end well.
func (p *daemon) stop(t *testing.T) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cmd.Process.Signal(syscall.SIGTERM)
	if err := p.cmd.Wait(); err != nil {
		t.Errorf("stopped with %v: %s", err, p.stderr.String())
	}
	p.cmd = nil
}

// TestStopFinishesWhatItAccepted stops the daemon while a message is half sent.
func TestStopFinishesWhatItAccepted(t *testing.T) {
	d := newDaemon(t, func(c *config.Ingest) { c.Maildir = &config.Maildir{Root: t.TempDir()} })
	d.start(t)
	c, err := net.Dial("tcp", d.conf.Ingest.Listen)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintf(c, "POST /v1/ingest HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer %s\r\nContent-Type: message/rfc822\r\nX-Mail-From:\r\nX-Rcpt-To: u01@example.com\r\nContent-Length: 20\r\n\r\nSubject:", token)
	time.Sleep(100 * time.Millisecond)
	stopped := make(chan struct{})
	go func() { defer close(stopped); d.stop(t) }()
	time.Sleep(200 * time.Millisecond)
	if _, err := net.Dial("tcp", d.conf.Ingest.Listen); err == nil {
		t.Error("it still takes connections")
	}
	fmt.Fprint(c, " half\r\n\r\n.\r\n")
	answer := make([]byte, 12)
	c.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := c.Read(answer); err != nil || string(answer) != "HTTP/1.1 200" {
		t.Errorf("%q %v", answer, err)
	}
	<-stopped
}

// TestOperatorEndpoints reads metrics and the ledger's copy, which wants a token.
func TestOperatorEndpoints(t *testing.T) {
	d := newDaemon(t, func(c *config.Ingest) { c.LMTP = &config.LMTP{Address: mailstore.FreeAddress(t)} })
	d.start(t)
	if code, _ := d.post("", "u01@example.com", []byte("Subject: x\r\n\r\n"), false); code != 503 {
		t.Errorf("without a mail store: %d", code)
	}
	for path, want := range map[string]int{"/health": 200, "/ready": 503, "/metrics": 200, "/ledger": 401} {
		resp, err := http.Get("http://" + d.conf.Health.Listen + path)
		if err != nil {
			t.Fatal(err)
		}
		var body bytes.Buffer
		body.ReadFrom(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%s: %d, want %d", path, resp.StatusCode, want)
		}
		if path == "/metrics" && !strings.Contains(body.String(), `mailpland_recipients_total{status="deferred"} 1`) {
			t.Errorf("metrics:\n%s", body.String())
		}
		if path == "/ready" && !strings.Contains(body.String(), "connection refused") {
			t.Errorf("ready: %s", body.String())
		}
	}
	if resp, err := http.Get(d.url + "/metrics"); err != nil || resp.StatusCode != 404 {
		t.Errorf("metrics on the public listener: %v %v", resp, err)
	}
}

// TestLedgerReaderThatStalls asks for more than a connection holds and reads none of it.
func TestLedgerReaderThatStalls(t *testing.T) {
	ended := make(chan error, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		copied := &pieces{w: w, patience: 100 * time.Millisecond}
		var err error
		for piece := make([]byte, 64<<10); err == nil; {
			_, err = copied.Write(piece)
		}
		ended <- err
	}))
	defer server.Close()
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "GET /ledger HTTP/1.1\r\nHost: x\r\n\r\n")
	select {
	case err := <-ended:
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("ended with %v", err)
		}
	case <-time.After(20 * time.Second):
		t.Error("the reader is still waited for")
	}
}
