package backup_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/google/go-cmp/cmp"
	"github.com/mailplan/mailplan/runtime/backup"
	"github.com/mailplan/mailplan/runtime/backup/local"
	"github.com/mailplan/mailplan/runtime/config"
	"github.com/mailplan/mailplan/test/need"
)

// site is a small mail host in a temporary folder.
type site struct {
	dir      string
	config   config.Backup
	identity *age.X25519Identity
	clock    time.Time
}

func newSite(t testing.TB) *site {
	t.Helper()
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	s := &site{dir: t.TempDir(), identity: identity, clock: time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC)}
	s.write(t, "identity", identity.String()+"\n")
	s.config = config.Backup{Instance: "home", State: s.path("state"), SigningKeyFile: s.path("state/signing.key"),
		Local: config.BackupLocal{Path: s.path("store"), KeepDaily: 7, KeepWeekly: 4}, Recipients: []string{identity.Recipient().String()},
		Schedule: config.BackupSchedule{TimeZone: "UTC"},
		Classes: []config.BackupClass{
			{Name: "mailboxes", Kind: "maildir", Path: s.path("vmail")},
			{Name: "config", Kind: "tree", Path: s.path("config")},
			{Name: "tls", Kind: "tree", Path: s.path("tls")}}}
	s.write(t, "config/docker-compose.yml", "services: {}\n")
	s.write(t, "config/it's a \"name\"\\with\todd\ncharacters", "odd")
	s.write(t, "config/empty", "")
	s.write(t, "tls/privkey.pem", "-----BEGIN")
	if err := os.Symlink("privkey.pem", s.path("tls/current.pem")); err != nil {
		t.Fatal(err)
	}
	for i := range 30 {
		user := []string{"alice", "bob"}[i%2]
		folder := []string{"", ".Sent/"}[i/2%2]
		body := fmt.Sprintf("Subject: %d\n\n%s", i, strings.Repeat(fmt.Sprint(i), 50*i))
		s.write(t, fmt.Sprintf("vmail/example.com/%s/Maildir/%scur/%d.M1P1.mx,S=%d:2,S", user, folder, 1700000000+i, len(body)), body)
	}
	for _, user := range []string{"alice", "bob"} {
		for _, folder := range []string{"", "/.Sent"} {
			maildir := "vmail/example.com/" + user + "/Maildir" + folder
			s.mkdir(t, maildir+"/new")
			s.mkdir(t, maildir+"/tmp")
			s.write(t, maildir+"/dovecot-uidlist", "3 V1700000000 N31 Gabc\n1 :1700000000.M1P1.mx\n")
			s.write(t, maildir+"/dovecot.index.log", "not backed up")
		}
	}
	return s
}

func (s *site) path(name string) string { return filepath.Join(s.dir, name) }

func (s *site) mkdir(t testing.TB, name string) {
	t.Helper()
	if err := os.MkdirAll(s.path(name), 0o755); err != nil {
		t.Fatal(err)
	}
}

func (s *site) write(t testing.TB, name, content string) {
	t.Helper()
	s.mkdir(t, filepath.Dir(name))
	if err := os.WriteFile(s.path(name), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (s *site) executor(t testing.TB) *backup.Executor {
	t.Helper()
	x, err := backup.New(s.config)
	if err != nil {
		t.Fatal(err)
	}
	x.Now = func() time.Time { return s.clock }
	return x
}

// run makes a snapshot that must succeed.
func (s *site) run(t testing.TB, options backup.RunOptions) backup.Result {
	t.Helper()
	r, err := s.executor(t).Run(context.Background(), options)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// tree describes every file below dir but Dovecot's indexes: mode, owner, time and content.
func tree(t testing.TB, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || strings.HasPrefix(d.Name(), "dovecot.index") {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		st := info.Sys().(*syscall.Stat_t)
		rel, _ := filepath.Rel(dir, path)
		about := fmt.Sprintf("%v %d:%d", info.Mode(), st.Uid, st.Gid)
		switch {
		case info.Mode().IsRegular():
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			about += fmt.Sprintf(" %d %x", info.ModTime().UnixNano(), sha256.Sum256(data))
		case info.Mode()&fs.ModeSymlink != 0:
			target, err := os.Readlink(path)
			if err != nil {
				return err
			}
			about = target
		}
		files[rel] = about
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// want is what a restore of all classes must bring back.
func (s *site) want(t testing.TB) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, c := range s.config.Classes {
		for path, about := range tree(t, c.Path) {
			all[filepath.Join(c.Name, path)] = about
		}
	}
	return all
}

func restoreByHand(t testing.TB, s *site, snapshot, target string) {
	t.Helper()
	for _, program := range []string{"age", "zstd", "tar", "awk", "sha256sum"} {
		need.Program(t, program)
	}
	out, err := exec.Command("sh", filepath.Join(snapshot, local.ReadmeFile), s.path("identity"), target).CombinedOutput()
	if err != nil {
		t.Fatalf("RESTORE.txt: %v\n%s", err, out)
	}
}

func TestRestoreByHandGivesBackEveryFile(t *testing.T) {
	s := newSite(t)
	big := make([]byte, 70<<20) // more than two parts
	for i := range big {
		big[i] = byte(i * i >> 7)
	}
	s.write(t, "config/big", string(big))
	s.run(t, backup.RunOptions{})
	cur := s.path("vmail/example.com/alice/Maildir/cur/")
	if err := os.Rename(cur+"/1700000004.M1P1.mx,S=212:2,S", cur+"/1700000004.M1P1.mx,S=212:2,RS"); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(cur + "/1700000008.M1P1.mx,S=412:2,S"); err != nil {
		t.Fatal(err)
	}
	s.write(t, "vmail/example.com/alice/Maildir/dovecot-uidlist", "3 V1700000000 N32 Gabc\n")
	s.clock = s.clock.AddDate(0, 0, 1)
	r := s.run(t, backup.RunOptions{})
	if r.Head.Written > 4096 {
		t.Errorf("the second run wrote %d bytes of packs for a rename and a small change", r.Head.Written)
	}
	restoreByHand(t, s, filepath.Join(s.config.Local.Path, r.Snapshot), s.path("restored"))
	got := tree(t, s.path("restored"))
	delete(got, ".")
	if diff := cmp.Diff(s.want(t), got); diff != "" {
		t.Errorf("restored tree (-want +got):\n%s", diff)
	}
}

func TestMissingClassIsAFailureAndKeptOutOfTheWay(t *testing.T) {
	s := newSite(t)
	s.run(t, backup.RunOptions{})
	s.clock = s.clock.AddDate(0, 0, 1)
	if err := os.RemoveAll(s.path("tls")); err != nil {
		t.Fatal(err)
	}
	r, err := s.executor(t).Run(context.Background(), backup.RunOptions{})
	if err == nil || !strings.Contains(err.Error(), "class tls") {
		t.Fatalf("got error %v, want one about class tls", err)
	}
	if r.Snapshot != "daily/2026-11-22.incomplete" {
		t.Errorf("got snapshot %q", r.Snapshot)
	}
	record, err := s.executor(t).Record()
	if err != nil {
		t.Fatal(err)
	}
	if record.LastSuccess.Head.Sequence != 1 || record.LastRun.Error == "" {
		t.Errorf("got record %+v", record)
	}
	s.write(t, "tls/privkey.pem", "-----BEGIN")
	s.clock = s.clock.AddDate(0, 0, 1)
	s.run(t, backup.RunOptions{})
	if _, err := os.Stat(s.path("store/daily/2026-11-22.incomplete")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the incomplete snapshot is still there after a complete one: %v", err)
	}
	if links, err := s.executor(t).Store().Chain(); err != nil || len(links) != 3 {
		t.Errorf("got a chain of %d heads, %v", len(links), err)
	}
}

func TestRetentionKeepsSevenDaysFourWeeksAndISONames(t *testing.T) {
	s := newSite(t)
	s.clock = time.Date(2026, 12, 1, 3, 0, 0, 0, time.UTC)
	for range 40 {
		s.run(t, backup.RunOptions{})
		s.clock = s.clock.AddDate(0, 0, 1)
	}
	want := []string{"daily/2027-01-03", "daily/2027-01-04", "daily/2027-01-05", "daily/2027-01-06", "daily/2027-01-07", "daily/2027-01-08", "daily/2027-01-09",
		"weekly/2026-51", "weekly/2026-52", "weekly/2026-53", "weekly/2027-01"}
	var got []string
	for _, kind := range []string{local.Daily, local.Weekly} {
		entries, err := os.ReadDir(s.path("store/" + kind))
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
	s := newSite(t)
	s.run(t, backup.RunOptions{})
	s.clock = s.clock.AddDate(0, 0, -40)
	if _, err := s.executor(t).Run(context.Background(), backup.RunOptions{}); err == nil || !strings.Contains(err.Error(), "set the clock") {
		t.Errorf("got %v", err)
	}
}
