package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mailplan/mailplan/runtime/backup/backuptest"
	"github.com/mailplan/mailplan/runtime/config"
	"github.com/mailplan/mailplan/runtime/ledger"
	"github.com/mailplan/mailplan/test/mailstore"
)

// TestLedgerIsBackedUpWhileMailComes backs the ledger up from a running daemon that writes into it, and from a stopped
// one: what comes back is whole and knows what was delivered before.
func TestLedgerIsBackedUpWhileMailComes(t *testing.T) {
	s := backuptest.NewSite(t)
	conf := &config.Config{Ingest: mailboxesInFolder(t), Health: &config.Health{Listen: mailstore.FreeAddress(t)}}
	conf.Ingest.Ledger = &config.Ledger{Path: s.Path("mailpland/ledger.db")}
	s.Write(t, "mailpland/spill", "a message that waits")
	s.Config.Classes = append(s.Config.Classes, config.BackupClass{Name: "ledger", Kind: "ledger", Path: conf.Ingest.Ledger.Path,
		Ledger: &config.BackupLedger{URL: "http://" + conf.Health.Listen + "/ledger", TokenFile: conf.Ingest.Auth.TokenFiles[0]}})
	data, err := json.Marshal(config.Config{Backup: &s.Config})
	if err != nil {
		t.Fatal(err)
	}
	s.Write(t, "backup.json", string(data))
	stop := serveInBackground(t, conf)
	eventually(t, func() error { return has("http://"+conf.Health.Listen+"/health", "ok") })
	for n := range 20 {
		deliver(t, conf, n)
	}
	end, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for n := 20; ; n++ {
			select {
			case <-end:
				return
			default:
				deliver(t, conf, n)
			}
		}
	}()
	eventually(t, func() error { _, err := backedUp(t, s, "running"); return err })
	close(end)
	<-done
	stop()
	for _, when := range []string{"running", "stopped"} {
		known, err := backedUp(t, s, when)
		if err != nil || known < 20 {
			t.Errorf("%s: the copy knows %d deliveries of 20 and more: %v", when, known, err)
		}
	}
}

// backedUp makes a backup, brings the ledger of it back beside the live one, and counts what it knows.
func backedUp(t *testing.T, s *backuptest.Site, name string) (int, error) {
	t.Helper()
	target := s.Path("restored-" + name)
	if _, err := os.Stat(target); err != nil {
		if code, _, said := call("backup", "run", "--config", s.Path("backup.json")); code != 0 {
			return 0, fmt.Errorf("backup: %s", said)
		}
		if code, _, said := call("restore", "--config", s.Path("backup.json"), "--identity", s.Path("identity"), "--component", "ledger", "--target", target); code != 0 {
			return 0, fmt.Errorf("restore: %s", said)
		}
	}
	files, err := filepath.Glob(filepath.Join(target, "*", "*"))
	if err != nil || len(files) != 1 || filepath.Base(files[0]) != "ledger.db" {
		return 0, fmt.Errorf("came back: %v %v, want ledger.db alone", files, err)
	}
	f, err := ledger.OpenFile(files[0])
	if err != nil {
		return 0, err
	}
	defer f.Close()
	count, err := f.Verify()
	return count[ledger.Delivered], err
}

func deliver(t *testing.T, conf *config.Config, n int) {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, "http://"+conf.Ingest.Listen+"/v1/ingest", strings.NewReader(fmt.Sprintf("Message-ID: <%d@b>\r\n\r\nhello %d\r\n", n, n)))
	if err != nil {
		t.Error(err)
		return
	}
	req.Header = http.Header{"Authorization": {"Bearer " + token}, "Content-Type": {"message/rfc822"}, "X-Mail-From": {"s@b.example"},
		"X-Rcpt-To": {"alice@example.com"}}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Error(err)
		return
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("message %d: %s", n, resp.Status)
	}
}
