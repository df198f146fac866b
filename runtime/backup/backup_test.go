package backup_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/google/go-cmp/cmp"
	"github.com/mailplan/mailplan/runtime/backup"
	"github.com/mailplan/mailplan/runtime/backup/backuptest"
	"github.com/mailplan/mailplan/runtime/backup/local"
	"github.com/mailplan/mailplan/runtime/config"
	"github.com/mailplan/mailplan/test/need"
)

func restoreByHand(t testing.TB, s *backuptest.Site, snapshot, target string) {
	t.Helper()
	for _, program := range []string{"age", "zstd", "tar", "awk", "sha256sum"} {
		need.Program(t, program)
	}
	out, err := exec.Command("sh", filepath.Join(snapshot, local.ReadmeFile), s.Path("identity"), target).CombinedOutput()
	if err != nil {
		t.Fatalf("RESTORE.txt: %v\n%s", err, out)
	}
}

func TestRestoreByHandGivesBackEveryFile(t *testing.T) {
	s := backuptest.NewSite(t)
	big := make([]byte, 33<<20) // more than one part
	for i := range big {
		big[i] = byte(i * i >> 7)
	}
	s.Write(t, "config/big", string(big))
	s.Run(t, backup.RunOptions{})
	cur := s.Path("vmail/example.com/alice/Maildir/cur/")
	if err := os.Rename(cur+"/1700000004.M1P1.mx,S=212:2,S", cur+"/1700000004.M1P1.mx,S=212:2,RS"); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(cur + "/1700000008.M1P1.mx,S=412:2,S"); err != nil {
		t.Fatal(err)
	}
	s.Write(t, "vmail/example.com/alice/Maildir/dovecot-uidlist", "3 V1700000000 N32 Gabc\n")
	s.Clock = s.Clock.AddDate(0, 0, 1)
	r := s.Run(t, backup.RunOptions{})
	if r.Head.Written > 4096 {
		t.Errorf("the second run wrote %d bytes of packs for a rename and a small change", r.Head.Written)
	}
	restoreByHand(t, s, filepath.Join(s.Config.Local.Path, r.Snapshot), s.Path("restored"))
	got := backuptest.Tree(t, s.Path("restored"))
	delete(got, ".")
	if diff := cmp.Diff(s.Want(t), got); diff != "" {
		t.Errorf("restored tree (-want +got):\n%s", diff)
	}
}

func TestMissingClassIsAFailureAndKeptOutOfTheWay(t *testing.T) {
	s := backuptest.NewSite(t)
	s.Run(t, backup.RunOptions{})
	s.Clock = s.Clock.AddDate(0, 0, 1)
	if err := os.RemoveAll(s.Path("tls")); err != nil {
		t.Fatal(err)
	}
	r, err := s.Executor(t).Run(context.Background(), backup.RunOptions{})
	if err == nil || !strings.Contains(err.Error(), "class tls") {
		t.Fatalf("got error %v, want one about class tls", err)
	}
	if r.Snapshot != "daily/2026-11-22.incomplete" {
		t.Errorf("got snapshot %q", r.Snapshot)
	}
	record, err := s.Executor(t).Record()
	if err != nil {
		t.Fatal(err)
	}
	if record.LastSuccess.Head.Sequence != 1 || record.LastRun.Error == "" {
		t.Errorf("got record %+v", record)
	}
	s.Write(t, "tls/privkey.pem", "-----BEGIN")
	s.Clock = s.Clock.AddDate(0, 0, 1)
	s.Run(t, backup.RunOptions{})
	if _, err := os.Stat(s.Path("store/daily/2026-11-22.incomplete")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the incomplete snapshot is still there after a complete one: %v", err)
	}
	if links, err := s.Executor(t).Store().Chain(); err != nil || len(links) != 3 {
		t.Errorf("got a chain of %d heads, %v", len(links), err)
	}
}

func TestRetentionKeepsSevenDaysFourWeeksAndISONames(t *testing.T) {
	s := backuptest.NewSite(t)
	s.Clock = time.Date(2026, 12, 1, 3, 0, 0, 0, time.UTC)
	for range 40 {
		s.Run(t, backup.RunOptions{})
		s.Clock = s.Clock.AddDate(0, 0, 1)
	}
	want := []string{"daily/2027-01-03", "daily/2027-01-04", "daily/2027-01-05", "daily/2027-01-06", "daily/2027-01-07", "daily/2027-01-08", "daily/2027-01-09",
		"weekly/2026-51", "weekly/2026-52", "weekly/2026-53", "weekly/2027-01"}
	var got []string
	for _, kind := range []string{local.Daily, local.Weekly} {
		entries, err := os.ReadDir(s.Path("store/" + kind))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			got = append(got, kind+"/"+e.Name())
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("snapshots kept (-want +got):\n%s", diff)
	}
}

func TestClockSetBackIsRefused(t *testing.T) {
	s := backuptest.NewSite(t)
	s.Run(t, backup.RunOptions{})
	s.Clock = s.Clock.AddDate(0, 0, -40)
	if _, err := s.Executor(t).Run(context.Background(), backup.RunOptions{}); err == nil || !strings.Contains(err.Error(), "set the clock") {
		t.Errorf("got %v", err)
	}
}

// TestNewRecipientCanOpenEverything: what was stored for others only is stored anew.
func TestNewRecipientCanOpenEverything(t *testing.T) {
	s := backuptest.NewSite(t)
	s.Run(t, backup.RunOptions{})
	second, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	s.Write(t, "drill-identity", second.String()+"\n")
	s.Config.Drill.IdentityFile = s.Path("drill-identity") // its public key need not be declared
	s.Clock = s.Clock.AddDate(0, 0, 1)
	r := s.Run(t, backup.RunOptions{})
	if r.Head.Written != r.Head.Packed {
		t.Errorf("%d bytes of %d were written anew", r.Head.Written, r.Head.Packed)
	}
	s.Write(t, "identity", second.String()+"\n")
	restoreByHand(t, s, filepath.Join(s.Config.Local.Path, r.Snapshot), s.Path("restored"))
	got := backuptest.Tree(t, s.Path("restored"))
	delete(got, ".")
	if diff := cmp.Diff(s.Want(t), got); diff != "" {
		t.Errorf("restored tree (-want +got):\n%s", diff)
	}
	s.Clock = s.Clock.AddDate(0, 0, 1)
	if r := s.Run(t, backup.RunOptions{}); r.Head.Written != 0 {
		t.Errorf("the run after wrote %d bytes again", r.Head.Written)
	}
	third, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	s.Write(t, "drill-identity", third.String()+"\n"+second.String()) // rotated: the last one opens what was made for it
	s.Clock = s.Clock.AddDate(0, 0, 1)
	r = s.Run(t, backup.RunOptions{})
	for _, c := range []struct {
		identity *age.X25519Identity
		opens    bool
	}{{third, true}, {second, false}} {
		s.Write(t, "identity", c.identity.String()+"\n")
		err := exec.Command("sh", filepath.Join(s.Config.Local.Path, r.Snapshot, local.ReadmeFile), s.Path("identity"), s.Path("opened")).Run()
		if c.opens != (err == nil) {
			t.Errorf("opens with the identity: want %t, got %v", c.opens, err)
		}
	}
}

// TestServerWhichDoesNotAnswerIsAMissingClass: Redis' files lie there, but a copy of them would be torn.
func TestServerWhichDoesNotAnswerIsAMissingClass(t *testing.T) {
	s := backuptest.NewSite(t)
	s.Write(t, "redis/dump.rdb", "REDIS0011")
	s.Config.Classes = append(s.Config.Classes, config.BackupClass{Name: "bayes", Kind: "redis", Path: s.Path("redis"),
		Redis: &config.BackupRedis{Address: "127.0.0.1:1"}})
	r, err := s.Executor(t).Run(context.Background(), backup.RunOptions{})
	if err == nil || !strings.Contains(err.Error(), "class bayes") || !strings.HasSuffix(r.Snapshot, ".incomplete") {
		t.Errorf("got %v, %s", err, r.Snapshot)
	}
}
