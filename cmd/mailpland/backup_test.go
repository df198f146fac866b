package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mailplan/mailplan/runtime/backup/backuptest"
	"github.com/mailplan/mailplan/runtime/backup/scripts"
	"github.com/mailplan/mailplan/runtime/config"
)

// call carries one command line out.
func call(args ...string) (code int, stdout, stderr string) {
	var out, said bytes.Buffer
	code = Run(context.Background(), args, &out, &said)
	return code, out.String(), said.String()
}

func backupSite(t *testing.T) (s *backuptest.Site, conf string) {
	t.Helper()
	s = backuptest.NewSite(t)
	s.Config.Schedule.TimeZone = "Asia/Tokyo"
	data, err := json.Marshal(config.Config{Backup: &s.Config})
	if err != nil {
		t.Fatal(err)
	}
	s.Write(t, "mailpland.json", string(data))
	return s, "--config=" + s.Path("mailpland.json")
}

func TestBackupFromTheCommandLine(t *testing.T) {
	s, conf := backupSite(t)
	if code, _, said := call("backup", "verify", conf); code != 1 || !strings.Contains(said, "no complete snapshot") {
		t.Errorf("verify of nothing: exit %d, %s", code, said)
	}
	if code, out, said := call("backup", "run", conf); code != 0 || !strings.Contains(out, "38 files") {
		t.Fatalf("run: exit %d, %s%s", code, out, said)
	}
	if code, out, said := call("backup", "verify", conf, "--identity", s.Path("identity")); code != 0 || !strings.Contains(out, "2 backups are good") {
		t.Errorf("verify: exit %d, %s%s", code, out, said)
	}
	var list []struct {
		Path     string
		Complete bool
	}
	code, out, _ := call("backup", "list", conf, "--json")
	if err := json.Unmarshal([]byte(out), &list); code != 0 || err != nil || len(list) != 2 || !list[1].Complete {
		t.Errorf("list: exit %d, %v, %s", code, err, out)
	}
	packs, err := filepath.Glob(s.Path("store/daily/*/*.tar.zst.age"))
	if err != nil || len(packs) == 0 {
		t.Fatal(packs, err)
	}
	backuptest.FlipByte(t, packs[0])
	if code, _, said := call("backup", "verify", conf); code != 1 || !strings.Contains(said, "other bytes") {
		t.Errorf("verify of a damaged pack: exit %d, %s", code, said)
	}
}

func TestRestoreFromTheCommandLine(t *testing.T) {
	s, conf := backupSite(t)
	if code, _, said := call("backup", "run", conf); code != 0 {
		t.Fatal(said)
	}
	daily, err := filepath.Glob(s.Path("store/daily/*"))
	if err != nil || len(daily) != 1 {
		t.Fatal(daily, err)
	}
	identity := "--identity=" + s.Path("identity")
	for name, c := range map[string]struct {
		args []string
		code int
		says string
	}{
		"as the original design has it": {[]string{"--from", daily[0], "--component", "all", identity}, 0, "restored 38 files"},
		"one component by its old name": {[]string{"--component", "ssl", identity}, 0, "restored 1 files"},
		"dry run":                       {[]string{"--dry-run", identity}, 0, "would restore 38 files"},
		"somebody's folder":             {[]string{"--user", "bob@example.com", "--folder", "Sent", identity}, 0, ".Restored.Sent"},
		"a time before any backup":      {[]string{"--at", "2001-01-01", identity}, 1, "no complete backup from then or before"},
		"today":                         {[]string{"--at", "2999-01-01", "--dry-run", identity}, 0, "would restore"},
		"a component which is not":      {[]string{"--component", "nothing", identity}, 1, `no class "nothing"`},
		"nobody":                        {[]string{"--user", "eve@example.com", identity}, 1, "no mailbox of eve@example.com"},
		"without identity":              {nil, 1, "--identity"},
		"an unknown time":               {[]string{"--at", "yesterday", identity}, 1, "neither YYYY-MM-DD nor a time"},
	} {
		code, out, said := call(append([]string{"restore", conf}, c.args...)...)
		if code != c.code || !strings.Contains(out+said, c.says) {
			t.Errorf("%s: exit %d, %s%s; want %d and %q", name, code, out, said, c.code, c.says)
		}
	}
}

func TestRestoreOnAHostWithoutConfiguration(t *testing.T) {
	s, conf := backupSite(t)
	if code, _, said := call("backup", "run", conf); code != 0 {
		t.Fatal(said)
	}
	daily, err := filepath.Glob(s.Path("store/daily/*"))
	if err != nil {
		t.Fatal(err)
	}
	head, err := os.ReadFile(filepath.Join(daily[0], "HEAD"))
	if err != nil {
		t.Fatal(err)
	}
	key := strings.Fields(strings.SplitN(string(head), "\n", 2)[1])[1]
	args := []string{"restore", "--config", s.Path("none.json"), "--from", daily[0], "--target", s.Path("target"), "--identity", s.Path("identity")}
	if code, _, said := call(args...); code != 1 || !strings.Contains(said, "trusted") {
		t.Errorf("without a key to trust: exit %d, %s", code, said)
	}
	if code, out, said := call(append(args, "--trust", key)...); code != 0 || !strings.Contains(out, "restored 38 files") {
		t.Errorf("exit %d, %s%s", code, out, said)
	}
}

func TestRestoreStraightFromTheBucketOnAnEmptyHost(t *testing.T) {
	s := backuptest.NewSite(t)
	server := backuptest.StartS3(t, "copies")
	offsite := server.Offsite(t, s, "copies")
	offsite.Prefix = "home"
	s.Config.Offsite = &offsite
	data, err := json.Marshal(config.Config{Backup: &s.Config})
	if err != nil {
		t.Fatal(err)
	}
	s.Write(t, "mailpland.json", string(data))
	if code, out, said := call("backup", "run", "--config", s.Path("mailpland.json")); code != 0 {
		t.Fatal(out, said)
	}
	if code, out, said := call("backup", "verify", "--config", s.Path("mailpland.json")); code != 0 || !strings.Contains(out, "5 objects off-site are in place and locked") {
		t.Errorf("verify: exit %d, %s%s", code, out, said)
	}
	key, err := os.ReadFile(s.Path("state/signing-keys"))
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_ACCESS_KEY_ID", "backup")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "backupsecret")
	t.Setenv("AWS_ENDPOINT_URL_S3", server.Endpoint)
	for from, c := range map[string]struct {
		code int
		says string
	}{
		"s3://copies/home": {0, "restored 38 files"}, "s3://copies/home@" + time.Now().UTC().Format(time.DateOnly): {0, "restored 38 files"},
		"s3://copies/home@2001-01-01": {1, "no such backup"}, "s3://copies/office": {1, "no such backup"},
	} {
		code, out, said := call("restore", "--config", s.Path("none.json"), "--from", from, "--target", s.Path("target"+strings.ReplaceAll(from, "/", "_")),
			"--identity", s.Path("identity"), "--trust", strings.TrimSpace(string(key)))
		if code != c.code || !strings.Contains(out+said, c.says) {
			t.Errorf("%s: exit %d, %s%s", from, code, out, said)
		}
	}
}

func TestScriptsOfTheOriginalDesignCallVerbsThatAreThere(t *testing.T) {
	for script, verb := range map[string][]string{"backup-mailserver.sh": {"backup", "run"}, "restore-mailserver.sh": {"restore"},
		"sync-to-s3.sh": {"backup", "sync"}, "scan-before-restore.sh": {"restore", "--scan-only"}} {
		text, err := scripts.Files.ReadFile(script)
		if err != nil || !strings.HasSuffix(string(text), "exec mailpland "+strings.Join(verb, " ")+" \"$@\"\n") {
			t.Errorf("%s: %v, %s", script, err, text)
		}
		if code, _, said := call(append(verb, "--help")...); code != 0 {
			t.Errorf("%s: %s", script, said)
		}
	}
}
