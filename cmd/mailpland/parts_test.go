package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mailplan/mailplan/runtime/backup/backuptest"
	"github.com/mailplan/mailplan/runtime/config"
	"github.com/mailplan/mailplan/test/mailstore"
)

// TestServeParts runs the daemon with each part alone, as the host and the container of a site do, and with both.
func TestServeParts(t *testing.T) {
	for name, parts := range map[string]struct{ ingest, backup bool }{
		"mail only": {ingest: true}, "backups only": {backup: true}, "both": {true, true},
	} {
		t.Run(name, func(t *testing.T) {
			conf := &config.Config{Health: &config.Health{Listen: mailstore.FreeAddress(t)}}
			var s *backuptest.Site
			if parts.backup {
				s = backuptest.NewSite(t)
				conf.Backup = &s.Config
			}
			if parts.ingest {
				conf.Ingest = mailboxesInFolder(t)
			}
			stop := serveInBackground(t, conf)
			eventually(t, func() error { return has("http://"+conf.Health.Listen+"/health", "ok") })
			if parts.ingest {
				eventually(t, func() error { return has("http://"+conf.Ingest.Listen+"/health", "ok") })
			}
			if parts.backup { // the first one is due at once
				eventually(t, func() error { return has("http://"+conf.Health.Listen+"/metrics", "mailpland_backup_") })
				eventually(t, func() error {
					if made, _ := filepath.Glob(s.Path("store/daily/*/HEAD")); len(made) == 0 {
						return fmt.Errorf("no backup in %s", s.Path("store/daily"))
					}
					return nil
				})
			}
			stop()
		})
	}
}

func TestServeChecksEveryPart(t *testing.T) {
	s := backuptest.NewSite(t)
	s.Write(t, "bad.key", "short")
	s.Config.SigningKeyFile = s.Path("bad.key")
	for name, conf := range map[string]*config.Config{
		"backups only": {Backup: &s.Config},
		"both":         {Backup: &s.Config, Ingest: mailboxesInFolder(t)},
	} {
		if err := serve(t.Context(), conf, true, io.Discard); err == nil || !strings.Contains(err.Error(), "bad.key") {
			t.Errorf("%s: %v, want a word on the signing key", name, err)
		}
	}
	if err := serve(t.Context(), &config.Config{}, true, io.Discard); err == nil || !strings.Contains(err.Error(), "ingest, backup or watch") {
		t.Errorf("nothing to serve: %v", err)
	}
	if err := serve(t.Context(), &config.Config{Watch: &config.Watch{}}, true, io.Discard); err != nil {
		t.Errorf("a host without backups: %v", err)
	}
}

func mailboxesInFolder(t *testing.T) *config.Ingest {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"token": token, "table.json": `{"domains":{"example.com":{"users":["alice"]}}}`} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return &config.Ingest{Listen: mailstore.FreeAddress(t), Table: filepath.Join(dir, "table.json"),
		Auth: config.Auth{TokenFiles: []string{filepath.Join(dir, "token")}}, Maildir: &config.Maildir{Root: dir}}
}

// serveInBackground reads the configuration as from its file; stop asks the daemon to end and waits.
func serveInBackground(t *testing.T, conf *config.Config) (stop func()) {
	t.Helper()
	data, err := json.Marshal(conf)
	if err != nil {
		t.Fatal(err)
	}
	if conf, err = config.Parse(data); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	var said bytes.Buffer
	go func() { done <- serve(ctx, conf, false, &said) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("serve: %v\n%s", err, said.String())
		}
	}
}

func has(url, text string) error {
	resp, err := http.Get(url)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && !strings.Contains(string(body), text) {
		err = fmt.Errorf("%s has no %q: %s", url, text, body)
	}
	return err
}

func eventually(t *testing.T, try func() error) {
	t.Helper()
	var err error
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if err = try(); err == nil {
			return
		}
	}
	t.Fatal(err)
}
