// Package backuptest makes a small mail host in a temporary folder for the tests of backups. Only tests
// import it.
package backuptest

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/mailplan/mailplan/runtime/backup"
	"github.com/mailplan/mailplan/runtime/config"
)

// Site is a small mail host in a temporary folder.
type Site struct {
	Dir      string
	Config   config.Backup
	Identity *age.X25519Identity
	Clock    time.Time // what the executor takes for now
}

// NewSite makes a site with two users, a configuration and a certificate, and mail in two folders.
func NewSite(t testing.TB) *Site {
	t.Helper()
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	s := &Site{Dir: reachable(t), Identity: identity, Clock: time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC)}
	s.Write(t, "identity", identity.String()+"\n")
	s.Config = config.Backup{Instance: "home", State: s.Path("state"), SigningKeyFile: s.Path("state/signing.key"),
		Local: config.BackupLocal{Path: s.Path("store"), KeepDaily: 7, KeepWeekly: 4}, Recipients: []string{identity.Recipient().String()},
		Schedule: config.BackupSchedule{TimeZone: "UTC"},
		Classes: []config.BackupClass{
			{Name: "mailboxes", Kind: "maildir", Path: s.Path("vmail")},
			{Name: "config", Kind: "tree", Path: s.Path("config")},
			{Name: "tls", Kind: "tree", Path: s.Path("tls")}}}
	s.Write(t, "config/docker-compose.yml", "services: {}\n")
	s.Write(t, "config/it's a \"name\"\\with\todd\ncharacters", "odd")
	s.Write(t, "config/empty", "")
	s.Write(t, "tls/privkey.pem", "-----BEGIN")
	if err := os.Symlink("privkey.pem", s.Path("tls/current.pem")); err != nil {
		t.Fatal(err)
	}
	for i := range 30 {
		user := []string{"alice", "bob"}[i%2]
		folder := []string{"", ".Sent/"}[i/2%2]
		body := fmt.Sprintf("Subject: %d\n\n%s", i, strings.Repeat(fmt.Sprint(i), 50*i))
		s.Write(t, fmt.Sprintf("vmail/example.com/%s/Maildir/%scur/%d.M1P1.mx,S=%d:2,S", user, folder, 1700000000+i, len(body)), body)
	}
	for _, user := range []string{"alice", "bob"} {
		for _, folder := range []string{"", "/.Sent"} {
			maildir := "vmail/example.com/" + user + "/Maildir" + folder
			s.mkdir(t, maildir+"/new")
			s.mkdir(t, maildir+"/tmp")
			s.Write(t, maildir+"/dovecot-uidlist", "3 V1700000000 N31 G9d6d9a1f2c3b4a5968778695a4b3c2d1\n1 :1700000000.M1P1.mx\n")
			s.Write(t, maildir+"/dovecot.index.log", "not backed up")
		}
	}
	return s
}

// reachable makes a folder which other users may pass through, unlike one of testing: a drill's Dovecot
// runs as nobody.
func reachable(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "site-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	return dir
}

// Path is the path of a name in the site's folder.
func (s *Site) Path(name string) string { return filepath.Join(s.Dir, name) }

func (s *Site) mkdir(t testing.TB, name string) {
	t.Helper()
	if err := os.MkdirAll(s.Path(name), 0o755); err != nil {
		t.Fatal(err)
	}
}

// Write writes a file in the site's folder.
func (s *Site) Write(t testing.TB, name, content string) {
	t.Helper()
	s.mkdir(t, filepath.Dir(name))
	if err := os.WriteFile(s.Path(name), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// Executor returns an executor with the site's clock.
func (s *Site) Executor(t testing.TB) *backup.Executor {
	t.Helper()
	x, err := backup.New(s.Config)
	if err != nil {
		t.Fatal(err)
	}
	x.Now = func() time.Time { return s.Clock }
	return x
}

// Run makes a snapshot that must succeed.
func (s *Site) Run(t testing.TB, options backup.RunOptions) backup.Result {
	t.Helper()
	r, err := s.Executor(t).Run(context.Background(), options)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Tree describes every file below dir but Dovecot's indexes: mode, owner, time and content.
func Tree(t testing.TB, dir string) map[string]string {
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

// Want is what a restore of all classes must bring back.
func (s *Site) Want(t testing.TB) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, c := range s.Config.Classes {
		for path, about := range Tree(t, c.Path) {
			all[filepath.Join(c.Name, path)] = about
		}
	}
	return all
}
