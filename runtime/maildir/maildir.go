// Package maildir turns a message into a file of a Maildir (tmp, new, cur), durably and once per
// delivery id. It is the mail store of the sandbox and of a first run without Dovecot, which can serve
// the same folders. It must not know what a message means.
package maildir

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Store is a folder with one Maildir per mailbox: Root/DOMAIN/LOCALPART.
type Store struct{ Root string }

// ErrMailbox says that a mailbox's name cannot be a folder's.
var ErrMailbox = errors.New("mailbox name is not fit for a folder")

// Message is one delivery.
type Message struct {
	Mailbox string    // localpart@domain, lower case
	Junk    bool      // goes to the folder Junk
	ID      string    // unique per delivery; a second one with the same id is dropped
	Body    io.Reader // the whole message
}

// Deliver stores the message and returns once it, its name and its folders are on disk. known says
// that a delivery with this id may have been here before, so that it is looked for.
func (s Store) Deliver(m Message, known bool) error {
	dir, err := s.folder(m)
	if err != nil {
		return err
	}
	if err := makeFolders(dir); err != nil {
		return fmt.Errorf("make maildir: %w", err)
	}
	if known {
		if there, err := has(dir, m.ID); err != nil || there {
			return err
		}
	}
	name := fmt.Sprintf("%d.M%s.mailplan", time.Now().Unix(), m.ID)
	tmp := filepath.Join(dir, "tmp", name)
	if err := writeSynced(tmp, m.Body); err != nil {
		os.Remove(tmp)
		return fmt.Errorf("store message: %w", err)
	}
	if err := os.Rename(tmp, filepath.Join(dir, "new", name)); err != nil {
		return fmt.Errorf("store message: %w", err)
	}
	return syncDir(filepath.Join(dir, "new"))
}

func (s Store) folder(m Message) (string, error) {
	local, domain, ok := strings.Cut(m.Mailbox, "@")
	if !ok || !isName(local) || !isName(domain) {
		return "", ErrMailbox
	}
	dir := filepath.Join(s.Root, domain, local)
	if m.Junk {
		dir = filepath.Join(dir, ".Junk")
	}
	return dir, nil
}

func isName(s string) bool {
	return s != "" && s[0] != '.' && !strings.ContainsAny(s, "/\\\x00") && len(s) < 200
}

func makeFolders(dir string) error {
	if _, err := os.Stat(filepath.Join(dir, "new")); err == nil {
		return nil
	}
	for _, sub := range []string{"tmp", "cur", "new"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			return err
		}
	}
	for at, i := dir, 0; i < 4; at, i = filepath.Dir(at), i+1 { // up to the store's own parent
		if err := syncDir(at); err != nil {
			return err
		}
	}
	return nil
}

// has looks for a message with this id, read or unread.
func has(dir, id string) (bool, error) {
	for _, sub := range []string{"new", "cur"} {
		entries, err := os.ReadDir(filepath.Join(dir, sub))
		if err != nil {
			return false, fmt.Errorf("look for an earlier delivery: %w", err)
		}
		for _, e := range entries {
			if strings.Contains(e.Name(), ".M"+id+".") {
				return true, nil
			}
		}
	}
	return false, nil
}

func writeSynced(path string, r io.Reader) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := io.Copy(f, r); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	return f.Close()
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
