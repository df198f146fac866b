package restore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/mailplan/mailplan/runtime/config"
	"github.com/mailplan/mailplan/runtime/durable"
)

// Reserved is how the names begin which a restore uses beside the restored files. Backups leave them out.
const Reserved = ".mailpland-"

// swap puts a staged tree in the place of the live one, name by name below the root, because the root
// may be a mount point. What was there moves to before.
type swap struct {
	Head   string   `json:"head"`   // hash of the snapshot's head
	Names  []string `json:"names"`  // of the staged tree; set when staging is complete
	Before string   `json:"before"` // folder for what was there
	class  string
	root   string
	// overlay replaces file by file and takes nothing away: for a class which leaves out a part of what
	// lives below its root.
	overlay bool
	single  bool // the class is one file: its folder and what else is there are none of the restore's business
}

func (s *swap) staging() string { return filepath.Join(s.root, Reserved+"restore-"+s.class) }
func (s *swap) tree() string    { return filepath.Join(s.staging(), "tree") }
func (s *swap) ready() string   { return filepath.Join(s.staging(), "ready.json") }

// replace restores a class of files in place.
func (r *Restorer) replace(ctx context.Context, c config.BackupClass) error {
	single, err := r.isSingleFile(c.Name)
	if err != nil {
		return err
	}
	root := c.Path
	if single {
		root = filepath.Dir(root)
	}
	if err := os.MkdirAll(root, 0o755); err != nil {
		return err
	}
	s := &swap{class: c.Name, root: root, Head: r.Snapshot.HeadHash, overlay: single || len(c.Exclude) > 0, single: single}
	if err := s.resume(); err != nil {
		return err
	}
	if s.Names == nil {
		if err := r.stageAndScan(ctx, c.Name, s); err != nil {
			return err
		}
	}
	if err := s.run(); err != nil {
		return err
	}
	if p := r.report.Places; len(p) > 0 && p[len(p)-1] == s.tree() {
		r.report.Places = p[:len(p)-1]
	}
	r.report.Places = append(r.report.Places, root)
	r.report.Before = append(r.report.Before, s.Before)
	if c.Kind == "maildir" {
		r.note("next UIDs were raised by %d, so that clients notice no message under an old number; Dovecot builds its indexes anew", uidGap)
	}
	return nil
}

// resume takes up a swap which was interrupted, or clears a staging of another snapshot away.
func (s *swap) resume() error {
	data, err := os.ReadFile(s.ready())
	if errors.Is(err, fs.ErrNotExist) {
		return s.claim()
	}
	if err != nil {
		return err
	}
	var was swap
	if err := json.Unmarshal(data, &was); err != nil {
		return fmt.Errorf("%s: %w", s.ready(), err)
	}
	if was.Head != s.Head {
		return fmt.Errorf("%s: a restore of another snapshot was interrupted while swapping: finish that one first", s.ready())
	}
	s.Names, s.Before = was.Names, was.Before
	return nil
}

// claim marks the staging folder as of this snapshot; one of another snapshot is emptied.
func (s *swap) claim() error {
	mark := filepath.Join(s.staging(), "head")
	if was, err := os.ReadFile(mark); err != nil || string(was) != s.Head {
		if err := os.RemoveAll(s.staging()); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(s.staging(), 0o700); err != nil {
		return err
	}
	return os.WriteFile(mark, []byte(s.Head), 0o600)
}

func (r *Restorer) stageAndScan(ctx context.Context, class string, s *swap) error {
	if err := r.stageInto(ctx, class, s.tree()); err != nil {
		return err
	}
	if err := r.scan(ctx, s.tree(), s.root); err != nil {
		return err
	}
	entries, err := os.ReadDir(s.tree())
	if err != nil {
		return err
	}
	s.Names = []string{}
	for _, e := range entries {
		s.Names = append(s.Names, e.Name())
	}
	s.Before = filepath.Join(s.root, Reserved+"before-"+r.report.Snapshot)
	for n := 2; exists(s.Before); n++ {
		s.Before = filepath.Join(s.root, fmt.Sprintf("%sbefore-%s-%d", Reserved, r.report.Snapshot, n))
	}
	if err := os.Mkdir(s.Before, 0o700); err != nil {
		return err
	}
	data, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return writeReady(s.ready(), data)
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

func writeReady(path string, data []byte) error {
	if err := os.WriteFile(path+".new", data, 0o600); err != nil {
		return err
	}
	if err := syncDisk(filepath.Dir(path)); err != nil {
		return err
	}
	if err := os.Rename(path+".new", path); err != nil {
		return err
	}
	return durable.Sync(filepath.Dir(path))
}

// run moves the old names out and the new ones in. Each step shows in the folders themselves, so
// running it again after a crash goes on where it stopped.
func (s *swap) run() error {
	if s.overlay {
		if err := s.lay("."); err != nil {
			return err
		}
		return s.settle()
	}
	live, err := os.ReadDir(s.root)
	if err != nil {
		return err
	}
	for _, e := range live {
		if strings.HasPrefix(e.Name(), Reserved) || slices.Contains(s.Names, e.Name()) {
			continue
		}
		if err := os.Rename(filepath.Join(s.root, e.Name()), filepath.Join(s.Before, e.Name())); err != nil {
			return err
		}
	}
	for _, name := range s.Names {
		if err := s.move(name); err != nil {
			return err
		}
	}
	return s.settle()
}

func (s *swap) settle() error {
	if !s.single {
		if err := s.rootMeta(); err != nil {
			return err
		}
	}
	if err := syncDisk(s.root); err != nil {
		return err
	}
	return s.finish()
}

// lay puts the staged files of a folder, and of the folders in it, over the live ones.
func (s *swap) lay(folder string) error {
	entries, err := os.ReadDir(filepath.Join(s.tree(), folder))
	if err != nil {
		return err
	}
	for _, e := range entries {
		name := filepath.Join(folder, e.Name())
		live, err := os.Lstat(filepath.Join(s.root, name))
		if e.IsDir() && err == nil && live.IsDir() {
			if err := s.lay(name); err != nil {
				return err
			}
			continue
		}
		if err := os.MkdirAll(filepath.Join(s.Before, folder), 0o700); err != nil {
			return err
		}
		if err := s.move(name); err != nil {
			return err
		}
	}
	return nil
}

func (s *swap) move(name string) error {
	staged, live := filepath.Join(s.tree(), name), filepath.Join(s.root, name)
	if !exists(staged) {
		return nil // moved before an interruption
	}
	if exists(live) {
		if err := os.Rename(live, filepath.Join(s.Before, name)); err != nil {
			return err
		}
	}
	return os.Rename(staged, live)
}

// rootMeta gives the root the owner and mode of the staged root.
func (s *swap) rootMeta() error {
	info, err := os.Stat(s.tree())
	if err != nil {
		return err
	}
	if os.Geteuid() == 0 {
		if err := os.Chown(s.root, owner(info).uid, owner(info).gid); err != nil {
			return err
		}
	}
	return os.Chmod(s.root, info.Mode().Perm())
}

// finish removes the staging folder, its mark of readiness first: after that nothing would be resumed.
func (s *swap) finish() error {
	if err := os.Remove(s.ready()); err != nil {
		return err
	}
	if err := os.RemoveAll(s.staging()); err != nil {
		return err
	}
	if empty, err := os.ReadDir(s.Before); err == nil && len(empty) == 0 {
		return os.Remove(s.Before)
	}
	return nil
}
