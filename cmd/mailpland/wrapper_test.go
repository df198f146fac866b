package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mailplan/mailplan/compiler/emit/emittest"
	"github.com/mailplan/mailplan/compiler/emit/operations"
	"github.com/mailplan/mailplan/runtime/backup/backuptest"
	"github.com/mailplan/mailplan/runtime/config"
)

// TestEmittedWrappers runs the shell commands of the original design as a site gets them, with its flags, against a
// real process, folder and bucket.
func TestEmittedWrappers(t *testing.T) {
	s := backuptest.NewSite(t)
	server := backuptest.StartS3(t, "copies")
	bucket := server.Offsite(t, s, "copies")
	s.Config.Offsite = &bucket
	s.Config.Schedule.TimeZone = "UTC"
	scanner := s.Path("clamscan")
	scanning := func(script string) {
		if err := os.WriteFile(scanner, []byte("#!/bin/sh\nfor folder in \"$@\"; do :; done\n"+script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	scanning("exit 0\n")
	s.Config.Restore.ClamScan = scanner
	run := wrappers(t, s)
	today := time.Now().UTC().Format(time.DateOnly)
	daily := "--from=" + filepath.Join(s.Config.Local.Path, "daily", today)
	key := "--identity=" + s.Path("identity")
	for _, c := range []struct {
		command string
		code    int
		says    string
	}{
		{"backup-mailserver.sh --no-sync", 0, "38 files"},
		{"backup-mailserver.sh --no-sync --full --json", 0, `"files": 38`},
		{"restore-mailserver.sh --from s3://copies " + key, 1, "no such backup"},
		{"sync-to-s3.sh", 0, "is off-site"},
		{"sync-to-s3.sh --json", 0, `"objects"`},
		{"sync-to-s3.sh --delete", 1, "unknown flag: --delete"},
		{"restore-mailserver.sh --from s3://copies --component all --dry-run " + key, 0, "would restore 38 files"},
		{"restore-mailserver.sh --from s3://copies@" + today + " --component ssl " + key, 0, "restored 1 files"},
		{"restore-mailserver.sh --from s3://copies@2001-01-01 --component all " + key, 1, "no such backup"},
		{"restore-mailserver.sh --component configs --at " + today + " " + key, 0, "restored"},
		{"restore-mailserver.sh --component mysql " + key, 1, `no class "database"`},
		{"restore-mailserver.sh --user bob@example.com --folder Sent --only-missing " + key, 0, "bob/Maildir/.Restored.Sent"},
		{"restore-mailserver.sh --component all --no-scan " + daily + " " + key, 0, "restored 38 files"},
		{"restore-mailserver.sh --component mailboxes --target " + s.Path("aside") + " --json " + daily + " " + key, 0, s.Path("aside")},
		{"scan-before-restore.sh " + daily + " " + key, 0, "restored 38 files"},
	} {
		code, said := run(c.command)
		if code != c.code || !strings.Contains(said, c.says) {
			t.Errorf("%s: exit %d, %s; want %d and %q", c.command, code, said, c.code, c.says)
		}
	}
	scanning("echo \"$(find $folder -type f | sort | head -n 1): Test FOUND\"\nexit 1\n")
	if code, said := run("scan-before-restore.sh " + daily + " " + key); code != 1 || !strings.Contains(said, "found something in 1 files") {
		t.Errorf("scan of something infected: exit %d, %s", code, said)
	}
	if _, said := run("restore-mailserver.sh --component configs " + daily + " " + key); !strings.Contains(said, "INFECTED, in quarantine") {
		t.Errorf("restore of something infected: %s", said)
	}
	for _, silent := range []string{"exit 1\n", "exit 2\n"} {
		scanning(silent)
		if code, said := run("scan-before-restore.sh " + daily + " " + key); code != 1 {
			t.Errorf("scanner that says nothing: exit %d, %s", code, said)
		}
	}
}

// wrappers lays a site's scripts out below a folder with this binary as bin/mailpland, and returns what runs one.
func wrappers(t *testing.T, s *backuptest.Site) func(command string) (int, string) {
	t.Helper()
	site := emittest.Site()
	site.Host.Root = s.Path("root")
	scripts := emittest.Layout(t, emittest.Emit(t, operations.Files, site), "scripts", nil)
	data, err := json.Marshal(config.Config{Backup: &s.Config})
	if err != nil {
		t.Fatal(err)
	}
	s.Write(t, "root/config/runtime/backup.json", string(data))
	s.Write(t, "root/bin/.keep", "")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(self, s.Path("root/bin/mailpland")); err != nil {
		t.Fatal(err)
	}
	return func(command string) (int, string) {
		args := strings.Fields(command)
		cmd := exec.Command("sh", append([]string{filepath.Join(scripts, args[0])}, args[1:]...)...)
		cmd.Env = append(os.Environ(), "MAILPLAND_MAIN=1")
		said, err := cmd.CombinedOutput()
		if cmd.ProcessState == nil {
			t.Fatal(err)
		}
		return cmd.ProcessState.ExitCode(), string(said)
	}
}
