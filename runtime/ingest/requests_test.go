package ingest

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mailplan/mailplan/runtime/config"
)

// badRequest is one way to send a wrong request: by changing a right one, or as raw bytes.
type badRequest struct {
	name   string
	change func(*http.Request)
	raw    string // instead of change; HOST, AUTH and the like are filled in
	want   int
	line   string // must stand in the one log line; empty: net/http answers before us, without a line
}

func header(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

func body(b []byte) func(*http.Request) {
	return func(r *http.Request) {
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(b)), int64(len(b))
	}
}

const envelopeLines = "Host: h\r\nAuthorization: Bearer " + token + "\r\nContent-Type: message/rfc822\r\nX-Mail-From: s@b.example\r\nX-Rcpt-To: alice@example.com\r\n"

func badRequests() []badRequest {
	digest := sha256.Sum256([]byte("other"))
	return []badRequest{
		{name: "GET", change: func(r *http.Request) { r.Method = "GET"; r.Body = nil; r.ContentLength = 0 }, want: 405, line: "only POST"},
		{name: "PUT", change: func(r *http.Request) { r.Method = "PUT" }, want: 405, line: "only POST"},
		{name: "no token", change: func(r *http.Request) { r.Header.Del("Authorization") }, want: 401, line: "bearer token"},
		{name: "empty token", change: header("Authorization", "Bearer "), want: 401, line: "bearer token"},
		{name: "wrong token", change: header("Authorization", "Bearer wrong-wrong-wrong-wrong"), want: 401, line: "bearer token"},
		{name: "start of the token", change: header("Authorization", "Bearer "+token[:20]), want: 401, line: "bearer token"},
		{name: "token and more", change: header("Authorization", "Bearer "+token+"x"), want: 401, line: "bearer token"},
		{name: "basic", change: header("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte("a:"+token))), want: 401, line: "bearer token"},
		{name: "two tokens", change: func(r *http.Request) { r.Header.Add("Authorization", "Bearer x") }, want: 401, line: "bearer token"},
		{name: "no content type", change: func(r *http.Request) { r.Header.Del("Content-Type") }, want: 415, line: "Content-Type"},
		{name: "JSON", change: header("Content-Type", "application/json"), want: 415, line: "Content-Type"},
		{name: "form", change: header("Content-Type", "multipart/form-data; boundary=x"), want: 415, line: "Content-Type"},
		{name: "gzip", change: header("Content-Encoding", "gzip"), want: 415, line: "encoded"},
		{name: "no sender", change: func(r *http.Request) { r.Header.Del("X-Mail-From") }, want: 400, line: "X-Mail-From is missing"},
		{name: "two senders", change: func(r *http.Request) { r.Header.Add("X-Mail-From", "t@b.example") }, want: 400, line: "more than once"},
		{name: "no recipient", change: func(r *http.Request) { r.Header.Del("X-Rcpt-To") }, want: 400, line: "X-Rcpt-To is missing"},
		{name: "empty recipient", change: header("X-Rcpt-To", " , <> ,"), want: 400, line: "X-Rcpt-To is missing"},
		{name: "too many recipients", change: func(r *http.Request) {
			for i := range 11 {
				r.Header.Add("X-Rcpt-To", fmt.Sprintf("u%d@example.com", i))
			}
		}, want: 400, line: "too many recipients"},
		{name: "very long recipient", change: header("X-Rcpt-To", strings.Repeat("a", 600)+"@example.com"), want: 400, line: "too long"},
		{name: "long recipient", change: header("X-Rcpt-To", strings.Repeat("a", 300)+"@example.com"), want: 422, line: "5.1.3"},
		{name: "recipient without domain", change: header("X-Rcpt-To", "alice"), want: 422, line: "5.1.3"},
		{name: "recipient that ends the command", change: header("X-Rcpt-To", "alice@example.com> SIZE=1"), want: 422, line: "5.1.3"},
		{name: "recipient with a space", change: header("X-Rcpt-To", "al ice@example.com"), want: 422, line: "5.1.3"},
		{name: "recipient in UTF-8", change: header("X-Rcpt-To", "ünï@example.com"), want: 422, line: "5.6.7"},
		{name: "unknown recipient", change: header("X-Rcpt-To", "nobody@example.com"), want: 422, line: "5.1.1"},
		{name: "unknown domain", change: header("X-Rcpt-To", "alice@example.net"), want: 422, line: "5.1.2"},
		{name: "alias loop", change: header("X-Rcpt-To", "loop@example.com"), want: 422, line: "5.4.6"},
		{name: "sender without domain", change: header("X-Mail-From", "root"), want: 422, line: "5.1.7"},
		{name: "sender in UTF-8", change: header("X-Mail-From", "ü@b.example"), want: 422, line: "5.6.7"},
		{name: "empty body", change: body(nil), want: 400, line: "empty"},
		{name: "announced too large", change: body(make([]byte, 2<<20)), want: 413, line: "5.3.4"},
		{name: "chunked too large", change: func(r *http.Request) {
			r.Body, r.ContentLength = io.NopCloser(io.MultiReader(strings.NewReader("Subject: x\r\n\r\n"), io.LimitReader(zeros{}, 2<<20))), -1
		}, want: 413, line: "5.3.4"},
		{name: "header section too large", change: body([]byte("Subject: " + strings.Repeat("a ", 300<<10) + "\r\n\r\n")), want: 422, line: "5.3.4"},
		{name: "too many header lines", change: body([]byte(strings.Repeat(":\r\n", 21_000) + "\r\n")), want: 422, line: "5.3.4"},
		{name: "too many hops", change: body([]byte(strings.Repeat("Received: from a by b\r\n", 101) + "\r\n")), want: 422, line: "5.4.6"},
		{name: "digest of nothing we know", change: header("Content-Digest", "md5=:AAAA:"), want: 400, line: "Content-Digest"},
		{name: "digest that is no base64", change: header("Content-Digest", "sha-256=:!!!!:"), want: 400, line: "Content-Digest"},
		{name: "digest of another body", change: header("Content-Digest", "sha-256=:"+base64.StdEncoding.EncodeToString(digest[:])+":"), want: 400, line: "does not match"},
		{name: "shorter than announced", raw: "POST /v1/ingest HTTP/1.1\r\n" + envelopeLines + "Content-Length: 100\r\n\r\nSubject: x\r\n", want: 400, line: "ended before"},
		{name: "chunk that lies", raw: "POST /v1/ingest HTTP/1.1\r\n" + envelopeLines + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n", want: 400, line: "ended before"},
		{name: "chunked without an end", raw: "POST /v1/ingest HTTP/1.1\r\n" + envelopeLines + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", want: 400, line: "ended before"},
		{name: "two lengths", raw: "POST /v1/ingest HTTP/1.1\r\n" + envelopeLines + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello", want: 400},
		{name: "not HTTP", raw: "EHLO there\r\n\r\n", want: 400},
		{name: "header without end", raw: "POST /v1/ingest HTTP/1.1\r\nX-A: " + strings.Repeat("a", 80<<10) + "\r\n\r\n", want: 431},
		{name: "line feed in a header", raw: "POST /v1/ingest HTTP/1.1\r\nHost: h\r\nX-Mail-From: a\x00b\r\n\r\n", want: 400},
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

// TestBadRequests sends every kind of bad request: each has its status and leaves one line in the log,
// and none delivers anything.
func TestBadRequests(t *testing.T) {
	conf := settings(t)
	conf.MaxMessageBytes = 1 << 20
	conf.Maildir = &config.Maildir{Root: t.TempDir()}
	e := start(t, conf)
	for _, c := range badRequests() {
		e.log.Reset()
		var code int
		if c.raw != "" {
			code = e.raw(t, c.raw)
		} else {
			req, _ := http.NewRequest("POST", e.URL+"/v1/ingest", strings.NewReader("Subject: x\r\n\r\nhello\r\n"))
			for name, value := range map[string]string{"Authorization": "Bearer " + token, "Content-Type": "message/rfc822",
				"X-Mail-From": "s@b.example", "X-Rcpt-To": "alice@example.com"} {
				req.Header.Set(name, value)
			}
			c.change(req)
			code, _ = e.do(t, req)
		}
		line := e.logged()
		if code != c.want || !strings.Contains(line, c.line) || (c.line != "" && strings.Count(line, "\n") != 1) {
			t.Errorf("%s: status %d, want %d; log: %s", c.name, code, c.want, line)
		}
	}
	if n := len(badRequests()); n < 40 {
		t.Errorf("only %d kinds", n)
	}
	filepath.WalkDir(conf.Maildir.Root, func(path string, d os.DirEntry, _ error) error {
		if !d.IsDir() {
			t.Errorf("something was delivered: %s", path)
		}
		return nil
	})
}

// raw sends bytes, ends the sending side and reads the status.
func (e *endpoint) raw(t *testing.T, request string) int {
	t.Helper()
	c, err := net.Dial("tcp", e.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	go func() {
		io.WriteString(c, request)
		c.(*net.TCPConn).CloseWrite()
	}()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	io.Copy(io.Discard, resp.Body)
	return resp.StatusCode
}

// TestSlowBody has a client stop in the middle.
func TestSlowBody(t *testing.T) {
	conf := settings(t)
	conf.BodyTimeout = config.Duration(200 * time.Millisecond)
	conf.Maildir = &config.Maildir{Root: t.TempDir()}
	e := start(t, conf)
	c, err := net.Dial("tcp", e.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprint(c, "POST /v1/ingest HTTP/1.1\r\n"+envelopeLines+"Content-Length: 100\r\n\r\nSubject: x\r\n")
	c.SetDeadline(time.Now().Add(5 * time.Second))
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil || resp.StatusCode != 408 {
		t.Errorf("%v %v", resp, err)
	}
}

// TestBodyThatNobodyAskedFor has a client without a token announce a body and send none.
func TestBodyThatNobodyAskedFor(t *testing.T) {
	conf := settings(t)
	conf.Maildir = &config.Maildir{Root: t.TempDir()}
	c, err := net.Dial("tcp", start(t, conf).Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprint(c, "POST /v1/ingest HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n")
	c.SetDeadline(time.Now().Add(2 * headTimeout))
	if said, err := io.ReadAll(c); err != nil || !bytes.HasPrefix(said, []byte("HTTP/1.1 401 ")) {
		t.Errorf("%q, then %v", said, err)
	}
}

// signedSettings ask for signed requests.
func signedSettings(t *testing.T) (*config.Ingest, []byte) {
	conf := settings(t)
	conf.Maildir = &config.Maildir{Root: t.TempDir()}
	key := []byte("a-key-for-signing-requests")
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, key, 0o600); err != nil {
		t.Fatal(err)
	}
	conf.Auth.Signature = &config.Signature{KeyFiles: []string{path}}
	return conf, key
}

// TestSignedRequests changes each signed part in turn, and sends a right request twice.
func TestSignedRequests(t *testing.T) {
	conf, key := signedSettings(t)
	e := start(t, conf)
	message := []byte("Subject: signed\r\n\r\nhello\r\n")
	make := func(nonce string, at time.Time, change func(*http.Request)) *http.Request {
		req, _ := http.NewRequest("POST", e.URL+"/v1/ingest", bytes.NewReader(message))
		for name, value := range map[string]string{"Authorization": "Bearer " + token, "Content-Type": "message/rfc822",
			"X-Mail-From": "s@b.example", "X-Rcpt-To": "alice@example.com"} {
			req.Header.Set(name, value)
		}
		Sign(req.Header, key, sha256.Sum256(message), nonce, at)
		if change != nil {
			change(req)
		}
		return req
	}
	now := time.Now()
	for _, c := range []struct {
		name   string
		nonce  string
		at     time.Time
		change func(*http.Request)
		want   int
	}{
		{"right", "nonce-0000000000000001", now, nil, 200},
		{"replayed", "nonce-0000000000000001", now, nil, 403},
		{"other recipient", "nonce-0000000000000002", now, header("X-Rcpt-To", "bob@example.com"), 403},
		{"more recipients", "nonce-0000000000000003", now, func(r *http.Request) { r.Header.Add("X-Rcpt-To", "bob@example.com") }, 403},
		{"other sender", "nonce-0000000000000004", now, header("X-Mail-From", "t@b.example"), 403},
		{"other nonce", "nonce-0000000000000005", now, header("X-Mailplan-Nonce", "nonce-000000000000000x"), 403},
		{"short nonce", "short", now, nil, 403},
		{"old", "nonce-0000000000000006", now.Add(-10 * time.Minute), nil, 403},
		{"from the future", "nonce-0000000000000007", now.Add(10 * time.Minute), nil, 403},
		{"no signature", "nonce-0000000000000008", now, func(r *http.Request) { r.Header.Del("X-Mailplan-Signature") }, 403},
		{"no digest", "nonce-0000000000000009", now, func(r *http.Request) { r.Header.Del("Content-Digest") }, 403},
		{"signature without version", "nonce-000000000000000a", now, func(r *http.Request) {
			r.Header.Set("X-Mailplan-Signature", strings.TrimPrefix(r.Header.Get("X-Mailplan-Signature"), "v1="))
		}, 403},
		{"other body", "nonce-000000000000000b", now, body([]byte("Subject: forged\r\n\r\n")), 400},
		{"no token", "nonce-000000000000000c", now, func(r *http.Request) { r.Header.Del("Authorization") }, 401},
		{"right again", "nonce-000000000000000d", now, nil, 200},
	} {
		if code, res := e.do(t, make(c.nonce, c.at, c.change)); code != c.want {
			t.Errorf("%s: %d %s, want %d", c.name, code, res.Message, c.want)
		}
	}
}

// TestTokensRotate exchanges the tokens while the server runs: two are good at a time.
func TestTokensRotate(t *testing.T) {
	conf := settings(t)
	conf.Maildir = &config.Maildir{Root: t.TempDir()}
	next := filepath.Join(t.TempDir(), "next")
	if err := os.WriteFile(next, []byte("the-next-token-of-this-site"), 0o600); err != nil {
		t.Fatal(err)
	}
	conf.Auth.TokenFiles = append(conf.Auth.TokenFiles, next)
	e := start(t, conf)
	try := func(with string) int {
		req, _ := http.NewRequest("POST", e.URL+"/v1/ingest", strings.NewReader("Subject: x\r\n\r\n"))
		req.Header = http.Header{"Authorization": {"Bearer " + with}, "Content-Type": {"message/rfc822"},
			"X-Mail-From": {""}, "X-Rcpt-To": {"alice@example.com"}}
		code, _ := e.do(t, req)
		return code
	}
	if a, b := try(token), try("the-next-token-of-this-site"); a != 200 || b != 200 {
		t.Errorf("both tokens: %d %d", a, b)
	}
	if err := os.WriteFile(conf.Auth.TokenFiles[0], []byte("the-third-token-of-this-site"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := e.server.Reload(); err != nil {
		t.Fatal(err)
	}
	if a, b := try(token), try("the-third-token-of-this-site"); a != 401 || b != 200 {
		t.Errorf("after the exchange: old %d, new %d", a, b)
	}
	os.WriteFile(conf.Auth.TokenFiles[0], nil, 0o600)
	if err := e.server.Reload(); err == nil {
		t.Error("an empty token file was taken")
	}
	if a := try("the-third-token-of-this-site"); a != 200 {
		t.Errorf("after a failed reload: %d", a)
	}
}
