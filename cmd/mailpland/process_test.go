package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/mailplan/mailplan/runtime/config"
	"github.com/mailplan/mailplan/test/mailstore"
)

// TestMain makes this test binary mailpland itself when it is started again with MAILPLAND_MAIN set, so
// that tests can kill a real process.
func TestMain(m *testing.M) {
	if os.Getenv("MAILPLAND_MAIN") != "" {
		main()
	}
	os.Exit(m.Run())
}

const token = "correct-horse-battery-staple"

// daemon is a mailpland process that can be killed and started again.
type daemon struct {
	conf    *config.Config
	program string // this one, when empty
	path    string // of the configuration
	url     string
	stderr  bytes.Buffer

	mu  sync.Mutex
	cmd *exec.Cmd
}

// newDaemon writes a configuration with users u00 to u19 at example.com; change adds what a test needs.
func newDaemon(t testing.TB, change func(*config.Ingest)) *daemon {
	t.Helper()
	dir := t.TempDir()
	table := config.Table{Domains: map[string]config.TableDomain{"example.com": {Subaddress: "+",
		Aliases: map[string][]string{"team": {"u00", "u01", "u02"}}}}}
	d := table.Domains["example.com"]
	for i := range 20 {
		d.Users = append(d.Users, fmt.Sprintf("u%02d", i))
	}
	table.Domains["example.com"] = d
	tableBytes, err := table.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	conf := &config.Config{
		Ingest: &config.Ingest{Listen: mailstore.FreeAddress(t), Table: filepath.Join(dir, "table.json"),
			Auth:   config.Auth{TokenFiles: []string{filepath.Join(dir, "token")}},
			Ledger: &config.Ledger{Path: filepath.Join(dir, "ledger.db")}, Spill: config.Spill{Dir: dir}},
		Health: &config.Health{Listen: mailstore.FreeAddress(t)},
	}
	change(conf.Ingest)
	confBytes, err := json.Marshal(conf)
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{"table.json": tableBytes, "token": []byte(token), "mailpland.json": confBytes} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p := &daemon{conf: conf, path: filepath.Join(dir, "mailpland.json"), url: "http://" + conf.Ingest.Listen}
	t.Cleanup(p.kill)
	return p
}

func (p *daemon) start(t testing.TB) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cmd = exec.Command(cmp.Or(p.program, os.Args[0]), "serve", "--config", p.path)
	p.cmd.Env = append(os.Environ(), "MAILPLAND_MAIN=1")
	p.cmd.Stderr = &p.stderr
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	mailstore.Wait(t, p.conf.Ingest.Listen)
}

// kill is kill -9.
func (p *daemon) kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd != nil {
		p.cmd.Process.Kill()
		p.cmd.Wait()
		p.cmd = nil
	}
}

// answer is what the tests need of the endpoint's answer.
type answer struct {
	Status     string
	Recipients []struct {
		Address, Status, Enhanced string
		Duplicate                 bool
	}
}

// post sends a message; chunked leaves its length out. Code 0 means that there was no answer.
func (p *daemon) post(from, to string, message []byte, chunked bool) (int, answer) {
	var body io.Reader = bytes.NewReader(message)
	if chunked {
		body = struct{ io.Reader }{body}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 90*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url+"/v1/ingest", body)
	if err != nil {
		return 0, answer{}
	}
	req.Header = http.Header{"Authorization": {"Bearer " + token}, "Content-Type": {"message/rfc822"},
		"X-Mail-From": {from}, "X-Rcpt-To": {to}}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, answer{}
	}
	defer resp.Body.Close()
	var a answer
	if json.NewDecoder(resp.Body).Decode(&a) != nil {
		return 0, answer{}
	}
	return resp.StatusCode, a
}
