package restore_test

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"
	"github.com/google/go-cmp/cmp"
	"github.com/mailplan/mailplan/runtime/backup"
	"github.com/mailplan/mailplan/runtime/backup/backuptest"
	"github.com/mailplan/mailplan/runtime/backup/extract"
	"github.com/mailplan/mailplan/runtime/backup/restore"
	"github.com/mailplan/mailplan/runtime/config"
)

// restoreFrom restores from a snapshot of the site's store.
func restoreFrom(t testing.TB, s *backuptest.Site, snapshot string, o restore.Options) (restore.Report, error) {
	t.Helper()
	trusted, err := backup.Trusted(s.Config)
	if err != nil {
		t.Fatal(err)
	}
	opened, err := extract.Open(context.Background(), extract.Folder(filepath.Join(s.Config.Local.Path, snapshot)), trusted,
		[]age.Identity{s.Identity}, s.Path("state"))
	if err != nil {
		return restore.Report{}, err
	}
	defer opened.Close()
	o.Workers = 2
	r := restore.Restorer{Config: s.Config, Snapshot: opened, Options: o}
	return r.Run(context.Background())
}

// lose removes everything the site had but its backups.
func lose(t testing.TB, s *backuptest.Site) {
	t.Helper()
	for _, c := range s.Config.Classes {
		if err := os.RemoveAll(c.Path); err != nil {
			t.Fatal(err)
		}
	}
}

// compare checks the site's files against what they were, but for what a restore may change: the next
// UID, and the folders it keeps for itself.
func compare(t testing.TB, s *backuptest.Site, want map[string]string) {
	t.Helper()
	got := s.Want(t)
	for _, m := range []map[string]string{got, want} {
		maps.DeleteFunc(m, func(path, _ string) bool {
			return strings.HasSuffix(path, "dovecot-uidlist") || strings.Contains(path, restore.Reserved)
		})
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("after the restore (-want +got):\n%s", diff)
	}
}

func TestTotalLossIsRestored(t *testing.T) {
	s := backuptest.NewSite(t)
	r := s.Run(t, backup.RunOptions{})
	want := s.Want(t)
	lose(t, s)
	report, err := restoreFrom(t, s, r.Snapshot, restore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	compare(t, s, want)
	if report.Files != r.Head.Files {
		t.Errorf("restored %d files of %d", report.Files, r.Head.Files)
	}
	uidlist, err := os.ReadFile(s.Path("vmail/example.com/alice/Maildir/dovecot-uidlist"))
	if want := "3 V1700000000 N1000031 G9d6d9a1f2c3b4a5968778695a4b3c2d1\n1 :1700000000.M1P1.mx\n"; err != nil || string(uidlist) != want {
		t.Errorf("uidlist %q, %v; want %q", uidlist, err, want)
	}
}

func TestWhatWasThereIsKeptAside(t *testing.T) {
	s := backuptest.NewSite(t)
	r := s.Run(t, backup.RunOptions{})
	want := s.Want(t)
	s.Write(t, "config/docker-compose.yml", "services: {evil: {}}\n")
	s.Write(t, "config/new.yml", "new")
	for range 2 {
		if _, err := restoreFrom(t, s, r.Snapshot, restore.Options{Components: []string{"configs"}}); err != nil {
			t.Fatal(err)
		}
		compare(t, s, want)
	}
	for _, name := range []string{"docker-compose.yml", "new.yml"} {
		if _, err := os.Stat(s.Path("config/.mailpland-before-2026-11-21/" + name)); err != nil {
			t.Errorf("what was there before is lost: %v", err)
		}
	}
}

func TestDryRunChangesNothing(t *testing.T) {
	s := backuptest.NewSite(t)
	r := s.Run(t, backup.RunOptions{})
	before := backuptest.Tree(t, s.Dir)
	for _, o := range []restore.Options{{DryRun: true}, {DryRun: true, User: "alice@example.com"}} {
		report, err := restoreFrom(t, s, r.Snapshot, o)
		if err != nil || report.Files == 0 {
			t.Errorf("got %+v, %v", report, err)
		}
	}
	after := backuptest.Tree(t, s.Dir)
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("changed by a dry run (-before +after):\n%s", diff)
	}
}

func TestOnePersonsFolderIsAddedOnceAndNobodyElseIsTouched(t *testing.T) {
	s := backuptest.NewSite(t)
	r := s.Run(t, backup.RunOptions{})
	alice := "vmail/example.com/alice/Maildir/"
	if err := os.Remove(s.Path(alice + "cur/1700000004.M1P1.mx,S=212:2,S")); err != nil {
		t.Fatal(err)
	}
	live := s.Want(t)
	counts := []string{}
	for range 2 {
		report, err := restoreFrom(t, s, r.Snapshot, restore.Options{User: "alice@example.com", Folder: "INBOX"})
		if err != nil {
			t.Fatal(err)
		}
		counts = append(counts, fmt.Sprintf("%d new, %d present", report.Files, report.Present))
	}
	if diff := cmp.Diff([]string{"8 new, 0 present", "0 new, 8 present"}, counts); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	got := s.Want(t)
	restored := 0
	for path, about := range got {
		if strings.Contains(path, "/alice/Maildir/.Restored.INBOX/cur/") {
			restored++
		}
		if strings.Contains(path, "/.Restored.INBOX") || strings.HasSuffix(path, "alice/Maildir") {
			delete(got, path)
			continue
		}
		if live[path] != about {
			t.Errorf("%s changed", path)
		}
	}
	if restored != 8 {
		t.Errorf("%d messages below Restored, want 8", restored)
	}
}

func TestOnlyMissingLooksThroughTheWholeMailbox(t *testing.T) {
	s := backuptest.NewSite(t)
	r := s.Run(t, backup.RunOptions{})
	cur := s.Path("vmail/example.com/alice/Maildir/cur/")
	if err := os.Remove(cur + "/1700000004.M1P1.mx,S=212:2,S"); err != nil {
		t.Fatal(err)
	}
	moved := s.Path("vmail/example.com/alice/Maildir/.Sent/cur/1800000000.M9P9.mx,S=412:2,S") // as an IMAP MOVE does
	if err := os.Rename(cur+"/1700000008.M1P1.mx,S=412:2,S", moved); err != nil {
		t.Fatal(err)
	}
	report, err := restoreFrom(t, s, r.Snapshot, restore.Options{User: "alice@example.com", OnlyMissing: true})
	if err != nil || report.Files != 1 {
		t.Errorf("restored %d messages, %v; one is missing", report.Files, err)
	}
	if _, err := os.Stat(s.Path("vmail/example.com/alice/Maildir/.Restored.INBOX/cur/1700000004.M1P1.mx,S=212:2,S")); err != nil {
		t.Error(err)
	}
}

func TestDamagedOrForgedSnapshotIsRefusedBeforeAnythingIsSwapped(t *testing.T) {
	for _, name := range []string{"HEAD", "SHA256SUMS", "manifest.tsv.zst.age", "*.tar.zst.age"} {
		t.Run(name, func(t *testing.T) {
			s := backuptest.NewSite(t)
			r := s.Run(t, backup.RunOptions{})
			want := s.Want(t)
			files, err := filepath.Glob(filepath.Join(s.Config.Local.Path, r.Snapshot, name))
			if err != nil || len(files) == 0 {
				t.Fatal(files, err)
			}
			backuptest.FlipByte(t, files[0])
			if _, err := restoreFrom(t, s, r.Snapshot, restore.Options{}); err == nil {
				t.Error("restored from a damaged snapshot")
			}
			compare(t, s, want)
		})
	}
}

func TestAnInterruptedRestoreGoesOn(t *testing.T) {
	s := backuptest.NewSite(t)
	r := s.Run(t, backup.RunOptions{})
	want := s.Want(t)
	lose(t, s)
	tree := "config/.mailpland-restore-config/tree/"
	s.Write(t, tree+"docker-compose.yml", "half")
	if _, err := restoreFrom(t, s, r.Snapshot, restore.Options{Components: []string{"config"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := restoreFrom(t, s, r.Snapshot, restore.Options{Components: []string{"mailboxes", "tls"}}); err != nil {
		t.Fatal(err)
	}
	compare(t, s, want)
}

func TestClassWhichLeavesOutAPartTakesNothingAway(t *testing.T) {
	s := backuptest.NewSite(t)
	s.Write(t, "vmail/example.com/alice/sieve/main.sieve", "keep;")
	s.Write(t, "config/bin/mailpland", "program")
	for i := range s.Config.Classes {
		if s.Config.Classes[i].Name == "config" {
			s.Config.Classes[i].Exclude = []string{"bin"}
		}
	}
	s.Config.Classes = append(s.Config.Classes, config.BackupClass{Name: "sieve", Kind: "tree", Path: s.Path("vmail"), Exclude: []string{"Maildir"}})
	r := s.Run(t, backup.RunOptions{})
	want := s.Want(t)
	s.Write(t, "vmail/example.com/alice/sieve/main.sieve", "discard;")
	s.Write(t, "vmail/example.com/carol/sieve/new.sieve", "keep;")
	if _, err := restoreFrom(t, s, r.Snapshot, restore.Options{Components: []string{"sieve", "config"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(s.Path("vmail/example.com/carol/sieve/new.sieve")); err != nil {
		t.Errorf("a file which came later was taken away: %v", err)
	}
	if err := os.RemoveAll(s.Path("vmail/example.com/carol")); err != nil {
		t.Fatal(err)
	}
	compare(t, s, want)
	before, err := os.ReadFile(s.Path("vmail/.mailpland-before-2026-11-21/example.com/alice/sieve/main.sieve"))
	if err != nil || string(before) != "discard;" {
		t.Errorf("what was there before is lost: %q, %v", before, err)
	}
}

// TestSingleFile holds that a class of one file comes back beside what else is in its folder, and leaves the folder's owner.
func TestSingleFile(t *testing.T) {
	s := backuptest.NewSite(t)
	s.Write(t, "service/ledger.db", "as it was")
	s.Config.Classes = []config.BackupClass{{Name: "ledger", Kind: "tree", Path: s.Path("service/ledger.db")}}
	snapshot := s.Run(t, backup.RunOptions{}).Snapshot
	s.Write(t, "service/ledger.db", "spoilt")
	s.Write(t, "service/spill/message", "waits")
	if err := os.Chmod(s.Path("service"), 0o751); err != nil {
		t.Fatal(err)
	}
	if _, err := restoreFrom(t, s, snapshot, restore.Options{NoScan: true}); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"ledger.db": "as it was", "spill/message": "waits"} {
		if got, err := os.ReadFile(s.Path("service/" + name)); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if info, err := os.Stat(s.Path("service")); err != nil || info.Mode().Perm() != 0o751 {
		t.Errorf("the folder is %v, %v", info.Mode(), err)
	}
}
