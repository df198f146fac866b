package restore_test

import (
	"bufio"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"github.com/mailplan/mailplan/runtime/backup"
	"github.com/mailplan/mailplan/runtime/backup/backuptest"
	"github.com/mailplan/mailplan/runtime/backup/restore"
)

// message is what an IMAP client knows of one message.
type message struct {
	Flags, Date string
	Size        int // as Dovecot says it
	Bytes       int // as they come
	SHA256      [32]byte
}

var fetched = regexp.MustCompile(`^\* \d+ FETCH \(UID (\d+) FLAGS \(([^)]*)\) INTERNALDATE "([^"]*)" RFC822\.SIZE (\d+) BODY\[\] \{(\d+)\}\r\n$`)

// conversation is one with a real Dovecot about one Maildir.
type conversation struct {
	in  io.Writer
	out *bufio.Reader
}

// command sends one and hands its untagged lines to line, which may read a literal that follows.
func (c *conversation) command(text string, line func(string) error) error {
	if _, err := fmt.Fprintf(c.in, "a %s\r\n", text); err != nil {
		return err
	}
	for {
		got, err := c.out.ReadString('\n')
		if err != nil {
			return fmt.Errorf("%s: %w", text, err)
		}
		if strings.HasPrefix(got, "a ") {
			if !strings.HasPrefix(got, "a OK") {
				return errors.New(text + ": " + got)
			}
			return nil
		}
		if err := line(got); err != nil {
			return fmt.Errorf("%s: %w", text, err)
		}
	}
}

// folder reads every message of a folder, by UIDVALIDITY and UID.
func (c *conversation) folder(name string) (map[string]message, error) {
	all, validity, exists := map[string]message{}, "", 0
	err := c.command(`SELECT "`+name+`"`, func(line string) error {
		var n int
		if _, err := fmt.Sscanf(line, "* %d EXISTS", &n); err == nil {
			exists = n
		}
		if after, ok := strings.CutPrefix(line, "* OK [UIDVALIDITY "); ok {
			validity, _, _ = strings.Cut(after, "]")
		}
		return nil
	})
	if err != nil || exists == 0 {
		return all, err
	}
	err = c.command("FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[])", func(line string) error {
		m := fetched.FindStringSubmatch(line)
		if m == nil {
			return fmt.Errorf("unexpected %q", line)
		}
		one := message{Flags: strings.TrimSpace(strings.ReplaceAll(m[2], `\Recent`, "")), Date: m[3]}
		one.Size, _ = strconv.Atoi(m[4])
		one.Bytes, _ = strconv.Atoi(m[5])
		hash := sha256.New()
		if _, err := io.CopyN(hash, c.out, int64(one.Bytes)); err != nil {
			return err
		}
		hash.Sum(one.SHA256[:0])
		all[validity+" "+m[1]] = one
		_, err := c.out.ReadString('\n')
		return err
	})
	if err == nil && len(all) != exists {
		err = fmt.Errorf("%s: %d messages of %d came", name, len(all), exists)
	}
	return all, err
}

// openMaildir has a real Dovecot tell all of one Maildir, folder by folder.
func openMaildir(conf, maildir string) (map[string]message, error) {
	folders, err := filepath.Glob(filepath.Join(maildir, ".[A-Z]*"))
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(imapProgram, "-c", conf)
	cmd.Env = append(os.Environ(), "USER=test", "HOME="+maildir, "MAIL=maildir:"+maildir)
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	var log strings.Builder
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	c := &conversation{in, bufio.NewReaderSize(out, 1<<18)}
	if _, err := c.out.ReadString('\n'); err != nil { // its greeting
		return nil, fmt.Errorf("%w: %s", err, log.String())
	}
	all := map[string]message{}
	for _, folder := range append(folders, "INBOX") {
		name := strings.TrimPrefix(filepath.Base(folder), ".")
		messages, err := c.folder(name)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("%s: %w", maildir, err), cmd.Process.Kill(), cmd.Wait())
		}
		for uid, m := range messages {
			all[maildir+" "+name+" "+uid] = m
		}
	}
	err = c.command("LOGOUT", func(string) error { return nil })
	if err := errors.Join(err, cmd.Wait()); err != nil || strings.Contains(log.String(), "Error:") {
		return nil, fmt.Errorf("%s: %w: %s", maildir, err, log.String())
	}
	return all, nil
}

// mailboxes reads every message of every folder of every user by IMAP.
func mailboxes(t testing.TB, s *backuptest.Site, root string) map[string]message {
	t.Helper()
	conf := dovecotConf(t, s)
	maildirs, err := filepath.Glob(filepath.Join(root, "*/*/Maildir"))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]message{}
	var mu sync.Mutex
	var group errgroup.Group
	group.SetLimit(2)
	for _, maildir := range maildirs {
		group.Go(func() error {
			one, err := openMaildir(conf, maildir)
			mu.Lock()
			defer mu.Unlock()
			maps.Copy(all, one)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	return all
}

// mailTree is what of a mail tree must come back byte for byte, with owner, mode and time: all but what Dovecot
// builds again, and the lists of UIDs, whose next UID a restore raises.
func mailTree(t testing.TB, root string) map[string]string {
	t.Helper()
	all := backuptest.Tree(t, root)
	maps.DeleteFunc(all, func(path, _ string) bool {
		name := filepath.Base(path)
		return name == "dovecot-uidlist" || strings.HasPrefix(name, "dovecot.list.index") || strings.HasPrefix(name, "dovecot.mailbox.log")
	})
	return all
}

// messages is how many the test of a total loss has; MAILPLAN_MESSAGES=50000 makes it the long one.
func messages(t testing.TB) int {
	t.Helper()
	if text := os.Getenv("MAILPLAN_MESSAGES"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	return 1000
}

// TestDovecotShowsTheSameMailAfterTotalLoss reads everything by IMAP before and after: not a byte, flag, date, UID or
// owner may differ.
func TestDovecotShowsTheSameMailAfterTotalLoss(t *testing.T) {
	s := backuptest.NewSite(t)
	root := s.Path("vmail")
	s.AddMail(t, messages(t))
	giveToNobody(t, root)
	mailboxes(t, s, root) // Dovecot finds the mail and gives it UIDs
	alice := filepath.Join(root, "example.com/alice/Maildir")
	imap(t, s, alice, "SELECT INBOX", `STORE 2:3 +FLAGS (\Flagged $Label1 Projekt)`, `STORE 4 +FLAGS (\Deleted)`, "EXPUNGE")
	want, files := mailboxes(t, s, root), mailTree(t, root)
	r := s.Run(t, backup.RunOptions{})
	if err := os.RemoveAll(root); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	if _, err := restoreFrom(t, s, r.Snapshot, restore.Options{Components: []string{"mailboxes"}}); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d messages, %d files, %d bytes; restored in %v", len(want), r.Head.Files, r.Head.Bytes, time.Since(start))
	if d := differences(files, mailTree(t, root)); d != "" {
		t.Errorf("files: %s", d)
	}
	if d := differences(want, mailboxes(t, s, root)); d != "" {
		t.Errorf("messages: %s", d)
	}
	if len(want) < messages(t) {
		t.Errorf("Dovecot shows %d messages of %d", len(want), messages(t))
	}
	s.Write(t, "vmail/example.com/alice/Maildir/new/1900000000.M1P1.mx", "Subject: new\n\nnew\n")
	giveToNobody(t, alice)
	if answer := imap(t, s, alice, "SELECT INBOX", "FETCH * (UID)"); !regexp.MustCompile(`UID 100\d{4}\)`).MatchString(answer) {
		t.Errorf("a message which came after the restore has a UID that clients may know already: %s", answer)
	}
}

// differences says where two maps differ, the first few places in full.
func differences[V comparable](want, got map[string]V) string {
	var b strings.Builder
	n := 0
	tell := func(key string) {
		if n++; n <= 3 {
			was, here := want[key]
			is, there := got[key]
			fmt.Fprintf(&b, "%s: was there %v, is there %v (-want +got):\n%s", key, here, there, cmp.Diff(was, is))
		}
	}
	for key, was := range want {
		if is, ok := got[key]; !ok || is != was {
			tell(key)
		}
	}
	for key := range got {
		if _, ok := want[key]; !ok {
			tell(key)
		}
	}
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("%d differ of %d\n%s", n, len(want), b.String())
}
