package restore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/mailplan/mailplan/runtime/backup/extract"
	"github.com/mailplan/mailplan/runtime/backup/manifest"
	"github.com/mailplan/mailplan/runtime/backup/walk"
	"github.com/mailplan/mailplan/runtime/config"
)

// Restored is the folder of a mailbox below which a person's restored folders appear.
const Restored = "Restored"

// mailbox is one person's mail: in the snapshot and live.
type mailbox struct {
	prefix  string // of the person's entries in the manifest: class/domain/localpart/
	maildir string // of the INBOX in the manifest
	live    string // the same Maildir on disk
	owner   manifest.Entry
}

// user restores one person's messages below Restored. Nothing that is there is changed; a message
// restored before is not restored again.
func (r *Restorer) user(ctx context.Context) error {
	box, err := r.mailbox()
	if err != nil {
		return err
	}
	a, err := newAddition(r, box)
	if err != nil {
		return err
	}
	want := func(e *manifest.Entry) bool { return a.wanted(e) }
	if r.Options.DryRun {
		return r.Snapshot.Entries(func(e manifest.Entry) error {
			if e.Kind == manifest.File && want(&e) {
				return a.message(&e, nil)
			}
			return nil
		})
	}
	if err := r.Snapshot.Files(ctx, r.Options.Workers, want, a.message); err != nil {
		return err
	}
	for folder := range a.folders {
		r.report.Places = append(r.report.Places, folder)
	}
	slices.Sort(r.report.Places)
	if a.chosen == 0 {
		return fmt.Errorf("the snapshot of %s holds no message of %s in that folder", r.report.Snapshot, r.Options.User)
	}
	return syncDisk(box.live)
}

func validUser(user string) bool {
	localpart, domain, ok := strings.Cut(user, "@")
	clean := func(s string) bool { return s != "" && s != "." && s != ".." && !strings.ContainsAny(s, "/\x00@") }
	return ok && clean(localpart) && clean(domain)
}

// mailbox finds the person's Maildir in the manifest: below CLASS/DOMAIN/LOCALPART the highest folder
// which holds cur.
func (r *Restorer) mailbox() (*mailbox, error) {
	localpart, domain, _ := strings.Cut(r.Options.User, "@")
	var found *mailbox
	err := r.Snapshot.Entries(func(e manifest.Entry) error {
		class := r.declared(e.Class())
		if e.Kind != manifest.Dir || class == nil || path.Base(e.Path) != "cur" {
			return nil
		}
		prefix := path.Join(e.Class(), domain, localpart) + "/"
		if strings.HasPrefix(e.Path, prefix) && (found == nil || len(e.Path) < len(found.owner.Path)) {
			maildir := path.Dir(e.Path)
			found = &mailbox{prefix: prefix, maildir: maildir, owner: e,
				live: filepath.Join(class.Path, strings.TrimPrefix(maildir, e.Class()))}
		}
		return nil
	})
	if err == nil && found == nil {
		err = fmt.Errorf("the snapshot of %s holds no mailbox of %s", r.report.Snapshot, r.Options.User)
	}
	return found, err
}

// declared returns the class of that name, if it is one of Maildirs.
func (r *Restorer) declared(name string) *config.BackupClass {
	for i := range r.Config.Classes {
		if c := &r.Config.Classes[i]; c.Name == name && c.Kind == "maildir" {
			return c
		}
	}
	return nil
}

// addition puts messages into a mailbox which is in use.
type addition struct {
	r       *Restorer
	box     *mailbox
	mu      sync.Mutex // guards what follows
	folders map[string]map[string]bool
	live    contents
	chosen  int64
}

func newAddition(r *Restorer, box *mailbox) (*addition, error) {
	a := &addition{r: r, box: box, folders: map[string]map[string]bool{}}
	if r.Options.OnlyMissing {
		return a, a.live.read(box.live)
	}
	return a, nil
}

// wanted reports whether the entry is a message asked for.
func (a *addition) wanted(e *manifest.Entry) bool {
	folder, ok := a.folder(e)
	return ok && (a.r.Options.Folder == "" || strings.EqualFold(folder, a.r.Options.Folder) || folder == a.r.Options.Folder)
}

// folder names the folder a message lies in as Dovecot shows it: INBOX, or Archive.2025 for
// .Archive.2025 of the Maildir.
func (a *addition) folder(e *manifest.Entry) (string, bool) {
	rest, ok := strings.CutPrefix(e.Path, a.box.maildir+"/")
	if !ok {
		return "", false
	}
	dir := path.Dir(rest)
	if base := path.Base(dir); base != "cur" && base != "new" {
		return "", false
	}
	if dir = path.Dir(dir); dir == "." {
		return "INBOX", true
	}
	return strings.TrimPrefix(dir, "."), true
}

// message adds one message, unless it is there. Without content it only counts.
func (a *addition) message(e *manifest.Entry, content extract.Content) error {
	folder, _ := a.folder(e)
	dir := filepath.Join(a.box.live, "."+Restored+"."+strings.ReplaceAll(strings.TrimPrefix(folder, Restored+"."), "/", "."))
	present, err := a.claim(dir, e)
	if err != nil || present || content == nil {
		return err
	}
	if err := a.deliver(dir, e, content); err != nil {
		return err
	}
	a.r.Options.Progress(1, e.Size)
	return nil
}

// claim counts the message and reports whether it is there already. A folder it goes to is made.
func (a *addition) claim(dir string, e *manifest.Entry) (bool, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.chosen++
	base := walk.BaseName(path.Base(e.Path))
	names, err := a.open(dir)
	if err != nil {
		return false, err
	}
	present := names[base]
	if !present && a.r.Options.OnlyMissing {
		if present, err = a.live.has(e); err != nil {
			return false, err
		}
	}
	if present {
		a.r.report.Present++
		return true, nil
	}
	names[base] = true
	a.r.report.Files++
	a.r.report.Bytes += e.Size
	return false, nil
}

// open makes a Maildir folder and returns the base names of its messages.
func (a *addition) open(dir string) (map[string]bool, error) {
	if names := a.folders[dir]; names != nil {
		return names, nil
	}
	names := map[string]bool{}
	for _, sub := range []string{"", "tmp", "new", "cur"} {
		sub := filepath.Join(dir, sub)
		if !a.r.Options.DryRun {
			if err := a.makeFolder(sub); err != nil {
				return nil, err
			}
		}
		entries, err := os.ReadDir(sub)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		for _, e := range entries {
			names[walk.BaseName(e.Name())] = filepath.Base(sub) != "tmp"
		}
	}
	a.folders[dir] = names
	return names, nil
}

// makeFolder makes a folder with the mailbox's owner and mode.
func (a *addition) makeFolder(dir string) error {
	err := os.Mkdir(dir, 0o700)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("the mailbox is not there: restore the class first: %w", err)
	}
	own := a.box.owner
	return setMeta(dir, &own)
}

// deliver writes the message in tmp and renames it into cur, as Maildir asks, so that Dovecot never
// sees half of it.
func (a *addition) deliver(dir string, e *manifest.Entry, content extract.Content) error {
	name := path.Base(e.Path)
	part := filepath.Join(dir, "tmp", walk.BaseName(name)+".mailpland")
	if err := os.Remove(part); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := writeFile(part, e, content); err != nil {
		return err
	}
	if !strings.Contains(name, ":2,") {
		name += ":2,"
	}
	return os.Rename(part, filepath.Join(dir, "cur", name))
}
