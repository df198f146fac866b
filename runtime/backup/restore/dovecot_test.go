package restore_test

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"filippo.io/age"
	"github.com/mailplan/mailplan/runtime/backup"
	"github.com/mailplan/mailplan/runtime/backup/backuptest"
	"github.com/mailplan/mailplan/runtime/backup/extract"
	"github.com/mailplan/mailplan/runtime/backup/restore"
	"github.com/mailplan/mailplan/test/need"
)

const nobody = 65534

const imapProgram = "/usr/lib/dovecot/imap"

// dovecotConf writes a configuration for a Dovecot that opens any Maildir of the site.
func dovecotConf(t testing.TB, s *backuptest.Site) string {
	t.Helper()
	if _, err := os.Stat(imapProgram); err != nil {
		need.Missing(t, imapProgram)
	}
	id := func(mine int) int {
		if mine == 0 {
			return nobody // Dovecot opens no mail as root
		}
		return mine
	}
	s.Write(t, "dovecot.conf", fmt.Sprintf("base_dir = %s/run\nmail_location = maildir:~/\nmail_uid = %d\nmail_gid = %d\nfirst_valid_uid = 1\nfirst_valid_gid = 1\nlog_path = /dev/stderr\n",
		s.Dir, id(os.Geteuid()), id(os.Getegid())))
	if err := os.Chmod(s.Path("dovecot.conf"), 0o644); err != nil {
		t.Fatal(err)
	}
	return s.Path("dovecot.conf")
}

// imap speaks a few commands with a real Dovecot about one Maildir and returns its answers.
func imap(t testing.TB, s *backuptest.Site, maildir string, commands ...string) string {
	t.Helper()
	cmd := exec.Command(imapProgram, "-c", dovecotConf(t, s))
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
	return string(out)
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
		return os.Lchown(path, nobody, -1)
	})
	if err != nil {
		t.Fatal(err)
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
