package restore_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"filippo.io/age"
	"github.com/google/go-cmp/cmp"
	"github.com/mailplan/mailplan/runtime/backup"
	"github.com/mailplan/mailplan/runtime/backup/backuptest"
	"github.com/mailplan/mailplan/runtime/backup/extract"
	"github.com/mailplan/mailplan/runtime/backup/restore"
	"github.com/mailplan/mailplan/test/need"
)

const nobody = 65534

// imap speaks a few commands with a real Dovecot about one Maildir and returns its answers without what
// differs from one conversation to the next.
func imap(t testing.TB, s *backuptest.Site, maildir string, commands ...string) string {
	t.Helper()
	const program = "/usr/lib/dovecot/imap"
	if _, err := os.Stat(program); err != nil {
		need.Missing(t, program)
	}
	conf := fmt.Sprintf("base_dir = %s/run\nmail_location = maildir:~/\nmail_uid = %d\nmail_gid = %d\nfirst_valid_uid = 1\nfirst_valid_gid = 1\nlog_path = /dev/stderr\n",
		s.Dir, os.Geteuid(), os.Getegid())
	if os.Geteuid() == 0 {
		conf = strings.NewReplacer("mail_uid = 0", "mail_uid = 65534", "mail_gid = 0", "mail_gid = 65534").Replace(conf)
	}
	s.Write(t, "dovecot.conf", conf)
	if err := os.Chmod(s.Path("dovecot.conf"), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "-c", s.Path("dovecot.conf"))
	cmd.Env = append(os.Environ(), "USER=test", "HOME="+maildir, "MAIL=maildir:"+maildir)
	var script, log bytes.Buffer
	for _, c := range append(commands, "LOGOUT") {
		fmt.Fprintf(&script, "a %s\r\n", c)
	}
	// Its input stays open until the answers are read: at the end of input Dovecot drops what it has not
	// sent yet.
	in, to, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	defer to.Close()
	if _, err := to.Write(script.Bytes()); err != nil {
		t.Fatal(err)
	}
	cmd.Stdin, cmd.Stderr = in, &log
	out, err := cmd.Output()
	if err != nil || bytes.Contains(log.Bytes(), []byte("Error:")) {
		t.Fatalf("imap: %v\n%s", err, log.String())
	}
	clean := regexp.MustCompile(`(?m)^(\* PREAUTH|a |\* OK \[(UIDNEXT|HIGHESTMODSEQ|UNSEEN)|\* BYE|\* \d+ RECENT).*\n`)
	return clean.ReplaceAllString(regexp.MustCompile(` ?\\Recent`).ReplaceAllString(string(out), ""), "")
}

// mailboxes reads every message of every folder of every user by IMAP: UID, flags, date and bytes.
func mailboxes(t testing.TB, s *backuptest.Site, root string) map[string]string {
	t.Helper()
	all := map[string]string{}
	inboxes, err := filepath.Glob(filepath.Join(root, "*/*/Maildir"))
	if err != nil {
		t.Fatal(err)
	}
	for _, maildir := range inboxes {
		folders, err := filepath.Glob(filepath.Join(maildir, ".[A-Z]*"))
		if err != nil {
			t.Fatal(err)
		}
		names := []string{"INBOX"}
		for _, f := range folders {
			names = append(names, filepath.Base(f)[1:])
		}
		slices.Sort(names)
		for _, name := range names {
			all[maildir+" "+name] = short(imap(t, s, maildir, `SELECT "`+name+`"`, "FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[])"))
		}
	}
	return all
}

// short stands for a long text by its hash.
func short(text string) string {
	if len(text) < 1<<20 {
		return text
	}
	return fmt.Sprintf("%d bytes, SHA-256 %x", len(text), sha256.Sum256([]byte(text)))
}

func giveToNobody(t testing.TB, dir string) {
	t.Helper()
	if os.Geteuid() != 0 {
		return
	}
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, nobody, nobody)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestDovecotShowsTheSameMailAfterTotalLoss reads everything by IMAP before and after. MAILPLAN_TREE
// names a larger tree to do it with; it is moved about, and put back.
func TestDovecotShowsTheSameMailAfterTotalLoss(t *testing.T) {
	s := backuptest.NewSite(t)
	root := s.Path("vmail")
	if tree := os.Getenv("MAILPLAN_TREE"); tree != "" {
		s.Config.Classes[0].Path, root = tree, tree
	}
	giveToNobody(t, root)
	alice := filepath.Join(root, "example.com/alice/Maildir")
	if root == s.Path("vmail") {
		imap(t, s, alice, "SELECT INBOX", `STORE 2:3 +FLAGS (\Flagged $Label1 Projekt)`, `STORE 4 +FLAGS (\Deleted)`, "EXPUNGE")
	}
	want := mailboxes(t, s, root)
	if len(want) == 0 {
		t.Fatal("no mailbox")
	}
	r := s.Run(t, backup.RunOptions{})
	if err := os.Rename(root, root+".lost"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		os.RemoveAll(root)
		os.Rename(root+".lost", root)
	})
	if _, err := restoreFrom(t, s, r.Snapshot, restore.Options{Components: []string{"mailboxes"}}); err != nil {
		t.Fatal(err)
	}
	got := mailboxes(t, s, root)
	for folder := range want {
		if got[folder] != want[folder] {
			t.Errorf("%s (-want +got):\n%.400s", folder, cmp.Diff(strings.Split(want[folder], "\n"), strings.Split(got[folder], "\n")))
		}
	}
	t.Logf("%d files, %d folders", r.Head.Files, len(want))
	if len(got) != len(want) {
		t.Errorf("%d folders, want %d", len(got), len(want))
	}
	if root != s.Path("vmail") {
		return
	}
	s.Write(t, "vmail/example.com/alice/Maildir/new/1900000000.M1P1.mx", "Subject: new\n\nnew\n")
	giveToNobody(t, root)
	if answer := imap(t, s, alice, "SELECT INBOX", "FETCH * (UID)"); !regexp.MustCompile(`UID 100\d{4}\)`).MatchString(answer) {
		t.Errorf("a message which came after the restore has a UID that clients may know already: %s", answer)
	}
}

// counting counts the bytes read of packs.
type counting struct {
	extract.Source
	read *atomic.Int64
}

type countingFile struct {
	extract.File
	read *atomic.Int64
}

func (c counting) Open(ctx context.Context, name string) (extract.File, error) {
	file, err := c.Source.Open(ctx, name)
	if err != nil || !strings.HasSuffix(name, ".tar.zst.age") {
		return file, err
	}
	return countingFile{file, c.read}, nil
}

func (f countingFile) ReadAt(p []byte, offset int64) (int, error) {
	n, err := f.File.ReadAt(p, offset)
	f.read.Add(int64(n))
	return n, err
}

func TestOneFolderReadsLittleMoreThanTheFolder(t *testing.T) {
	s := backuptest.NewSite(t)
	for i := range 600 {
		user := fmt.Sprintf("user%d", i%6)
		body := fmt.Sprintf("Subject: %d\n\n%s", i, backuptest.Noise(i, 20000))
		s.Write(t, fmt.Sprintf("vmail/example.com/%s/Maildir/cur/%d.M1P1.mx,S=%d:2,S", user, 1700000000+i, len(body)), body)
		if err := os.MkdirAll(s.Path("vmail/example.com/"+user+"/Maildir/new"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	r := s.Run(t, backup.RunOptions{})
	trusted, err := backup.Trusted(s.Config)
	if err != nil {
		t.Fatal(err)
	}
	var read atomic.Int64
	source := counting{extract.Folder(filepath.Join(s.Config.Local.Path, r.Snapshot)), &read}
	opened, err := extract.Open(t.Context(), source, trusted, []age.Identity{s.Identity}, s.Path("state"))
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	restorer := restore.Restorer{Config: s.Config, Snapshot: opened, Options: restore.Options{User: "user3@example.com", Folder: "INBOX", Workers: 1}}
	report, err := restorer.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("read %d bytes for a folder of %d", read.Load(), report.Bytes)
	if report.Files != 100 || float64(read.Load()) > 1.2*float64(report.Bytes) {
		t.Errorf("read %d bytes for %d files of %d bytes", read.Load(), report.Files, report.Bytes)
	}
}
