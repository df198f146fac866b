package restore_test

import (
	"os"
	"strings"
	"testing"

	"github.com/mailplan/mailplan/runtime/backup"
	"github.com/mailplan/mailplan/runtime/backup/backuptest"
	"github.com/mailplan/mailplan/runtime/backup/restore"
	"github.com/mailplan/mailplan/test/need"
)

// scanner makes a clamscan which knows one signature: the word "worm-of-the-test".
func scanner(t *testing.T, s *backuptest.Site) string {
	t.Helper()
	clamscan := need.Program(t, "clamscan")
	s.Write(t, "signatures.ndb", "Test.Worm:0:*:776f726d2d6f662d7468652d74657374\n")
	s.Write(t, "bin/clamscan", "#!/bin/sh\nexec "+clamscan+" --database="+s.Path("signatures.ndb")+" \"$@\"\n")
	if err := os.Chmod(s.Path("bin/clamscan"), 0o755); err != nil {
		t.Fatal(err)
	}
	return s.Path("bin/clamscan")
}

func TestWhatTheScannerFindsStaysInQuarantine(t *testing.T) {
	s := backuptest.NewSite(t)
	s.Write(t, "config/evil.sh", "worm-of-the-test")
	r := s.Run(t, backup.RunOptions{})
	s.Config.Restore.ClamScan = scanner(t, s)
	report, err := restoreFrom(t, s, r.Snapshot, restore.Options{Components: []string{"config"}})
	if err != nil {
		t.Fatal(err)
	}
	if len(report.Infected) != 1 || !strings.HasSuffix(report.Infected[0], "/config/.mailpland-quarantine-2026-11-21/evil.sh") {
		t.Errorf("got infected files %q", report.Infected)
	}
	if _, err := os.Stat(s.Path("config/evil.sh")); err == nil {
		t.Error("the infected file came back")
	}
	if _, err := os.Stat(s.Path("config/docker-compose.yml")); err != nil {
		t.Error(err)
	}
}

func TestWithoutTheScannersAnswerNothingIsRestored(t *testing.T) {
	s := backuptest.NewSite(t)
	r := s.Run(t, backup.RunOptions{})
	want := s.Want(t)
	s.Write(t, "bin/clamscan", "#!/bin/sh\necho 'no database' >&2\nexit 2\n")
	if err := os.Chmod(s.Path("bin/clamscan"), 0o755); err != nil {
		t.Fatal(err)
	}
	s.Config.Restore.ClamScan = s.Path("bin/clamscan")
	_, err := restoreFrom(t, s, r.Snapshot, restore.Options{Components: []string{"tls"}})
	if err == nil || !strings.Contains(err.Error(), "gave no answer") {
		t.Errorf("got %v", err)
	}
	compare(t, s, want)
}
