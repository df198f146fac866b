package worker_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mailplan/mailplan/runtime/config"
	"github.com/mailplan/mailplan/runtime/ingest"
	"github.com/mailplan/mailplan/test/need"
)

// startIngest is the daemon's real endpoint with signed requests and a folder for mailboxes.
func startIngest(t *testing.T) (url, mailboxes string) {
	t.Helper()
	dir := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	conf := config.Ingest{
		Listen: "127.0.0.1:0", MaxMessageBytes: 25 << 20, MaxRecipients: 1, MaxDeliveries: 4,
		Auth: config.Auth{TokenFiles: []string{write("token", "a token for tests only")},
			Signature: &config.Signature{KeyFiles: []string{write("key", "another key for tests only\n")}}},
		Table:   write("table.json", `{"domains": {"example.com": {"users": ["alice"], "subaddress": "+"}}}`),
		Maildir: &config.Maildir{Root: filepath.Join(dir, "mail")},
		Ledger:  &config.Ledger{Path: filepath.Join(dir, "ledger.db")},
		Spill:   config.Spill{Dir: dir, MaxBytes: 1 << 30},
	}
	server, err := ingest.New(&conf, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(server.Handler())
	t.Cleanup(func() { web.Close(); server.Close() })
	return web.URL + "/v1/ingest", conf.Maildir.Root
}

// The Worker in workerd and the real ingest understand each other: signature, envelope, answers, bytes.
func TestWorkerAndIngest(t *testing.T) {
	need.Program(t, "node")
	url, mailboxes := startIngest(t)
	report := filepath.Join(t.TempDir(), "sent.json")
	nodeTests(t, "ingest.test.mjs", "NODE_MODULES="+nodeModules(t), "INGEST_URL="+url, "REPORT="+report)
	data, err := os.ReadFile(report)
	if err != nil {
		t.Fatal(err)
	}
	var sent []string // SHA-256 of each message that was accepted
	if err := json.Unmarshal(data, &sent); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(mailboxes, "example.com/alice/new/*"))
	if err != nil {
		t.Fatal(err)
	}
	var stored []string
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		// The daemon puts its own header fields in front; the message begins with this one.
		_, message, found := bytes.Cut(content, []byte("X-Test: begin"))
		if !found {
			t.Errorf("%s does not hold the message: %.200q", file, content)
		}
		sum := sha256.Sum256(append([]byte("X-Test: begin"), message...))
		stored = append(stored, hex.EncodeToString(sum[:]))
	}
	slices.Sort(stored)
	slices.Sort(sent)
	if !slices.Equal(stored, sent) {
		t.Errorf("%d messages accepted, %d stored, and not the same bytes", len(sent), len(stored))
	}
}

// nodeModules is the folder with Miniflare.
func nodeModules(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(need.Cache(), "npm", "node_modules")
	if _, err := os.Stat(filepath.Join(dir, "miniflare")); err != nil {
		need.Missing(t, "the npm package miniflare")
	}
	return dir
}
