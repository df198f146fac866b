package restore_test

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mailplan/mailplan/runtime/backup"
	"github.com/mailplan/mailplan/runtime/backup/backuptest"
	"github.com/mailplan/mailplan/runtime/backup/restore"
	"github.com/mailplan/mailplan/runtime/config"
)

const inbox = "vmail/example.com/alice/Maildir/cur/"

// TestInPlace holds that a scan of classes in use puts what it finds aside, by whatever name it has by then, loses
// nothing, takes nothing from under a server, and is the same when it is made again.
func TestInPlace(t *testing.T) {
	s := backuptest.NewSite(t)
	s.Config.Restore.ClamScan = scanner(t, s)
	s.Config.Classes = append(s.Config.Classes, config.BackupClass{Name: "sieve", Kind: "tree", Path: s.Path("vmail"), Exclude: []string{"Maildir"}},
		config.BackupClass{Name: "ledger", Kind: "ledger", Path: s.Path("service/ledger.db")})
	const worm = "worm-of-the-test"
	for _, name := range []string{inbox + "1.worm:2,", inbox + "2.worm:2,", "config/evil.sh", "service/ledger.db", "vmail/.mailpland-quarantine-2026-11-20/old",
		"vmail/.mailpland-quarantine-2026-11-21/example.com/alice/Maildir/cur/1.worm:2,"} {
		s.Write(t, name, worm)
	}
	// Somebody reads a message and deletes another while the scan goes on.
	s.Write(t, "bin/busy/clamscan", "#!/bin/sh\n"+s.Path("bin/clamscan")+" \"$@\"\ncode=$?\ncd "+s.Path(inbox)+
		"\nmv 2.worm:2, 2.worm:2,S 2>/dev/null\nexit $code\n")
	if err := os.Chmod(s.Path("bin/busy/clamscan"), 0o755); err != nil {
		t.Fatal(err)
	}
	s.Config.Restore.ClamScan = s.Path("bin/busy/clamscan")
	for range 2 {
		r, err := restore.InPlace(t.Context(), s.Config, []string{"mailboxes", "sieve", "ledger"}, "2026-11-21")
		if err != nil {
			t.Fatal(err)
		}
		quarantine := s.Path("vmail/.mailpland-quarantine-2026-11-21/example.com/alice/Maildir/cur/")
		want := restore.Scanned{Places: []string{s.Path("service/ledger.db"), s.Path("vmail")}, Left: []string{s.Path("service/ledger.db")},
			Infected: []string{quarantine + "/1.worm:2,", quarantine + "/1.worm:2,-2", quarantine + "/2.worm:2,S"}}
		r.Started, r.Finished = want.Started, want.Finished
		if diff := cmp.Diff(want, r); diff != "" {
			t.Errorf("(-want +got): %s", diff)
		}
	}
	for name, there := range map[string]bool{inbox + "2.worm:2,S": false, inbox + "1700000004.M1P1.mx,S=212:2,S": true, "config/evil.sh": true,
		"service/ledger.db": true, "vmail/.mailpland-quarantine-2026-11-20/old": true} {
		if _, err := os.Stat(s.Path(name)); (err == nil) != there {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestInPlaceTroubles holds that a file that is gone is no trouble, and that one which cannot be read is.
func TestInPlaceTroubles(t *testing.T) {
	s := backuptest.NewSite(t)
	s.Config.Restore.ClamScan = s.Path("bin/clamscan")
	for says, want := range map[string]string{
		"LibClamAV Warning: it is old":                                       "it is old",
		"LibClamAV Error: no database":                                       "no database",
		s.Path(inbox+"gone") + ": Can't access file":                         "",
		"ERROR: Can't open file " + s.Path(inbox+"gone") + ": No such file":  "",
		s.Path(inbox+"1700000004.M1P1.mx,S=212:2,S") + ": Can't access file": "Can't access file",
	} {
		s.Write(t, "bin/clamscan", "#!/bin/sh\necho \""+says+"\" >&2\nexit 2\n")
		if err := os.Chmod(s.Path("bin/clamscan"), 0o755); err != nil {
			t.Fatal(err)
		}
		_, err := restore.InPlace(t.Context(), s.Config, nil, "2026-11-21")
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v", says, err)
		}
	}
}

// TestJournal holds that a restore which is called again after it was cut off leaves alone what is back, that one without
// the journal does not, and that a journal serves one backup.
func TestJournal(t *testing.T) {
	s := backuptest.NewSite(t)
	r := s.Run(t, backup.RunOptions{})
	o := restore.Options{Journal: s.Path("state/journal.json"), NoScan: true}
	place := s.Config.Classes[2].Path
	s.Config.Classes[2].Path = s.Path("state/signing.key/below a file")
	first, err := restoreFrom(t, s, r.Snapshot, o)
	if err == nil {
		t.Fatal("it was not cut off")
	}
	s.Config.Classes[2].Path = place
	s.Write(t, "config/new.yml", "written since")
	second, err := restoreFrom(t, s, r.Snapshot, o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(s.Path("config/new.yml")); err != nil {
		t.Errorf("a class that was back was restored again: %v", err)
	}
	if len(first.Classes) != 2 || len(second.Classes) != 3 || second.Files != r.Head.Files || len(second.Unscanned) != 3 {
		t.Errorf("reported %+v, then %+v", first, second)
	}
	o.Journal = ""
	if _, err := restoreFrom(t, s, r.Snapshot, o); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(s.Path("config/new.yml")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a restore of its own did nothing: %v", err)
	}
	s.Clock = s.Clock.AddDate(0, 0, 1)
	o.Journal = s.Path("state/journal.json")
	if _, err := restoreFrom(t, s, s.Run(t, backup.RunOptions{}).Snapshot, o); err == nil || !strings.Contains(err.Error(), "name another file") {
		t.Errorf("with the journal of another backup: %v", err)
	}
}
