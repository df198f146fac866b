package local

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/mailplan/mailplan/runtime/durable"
)

// Building is a snapshot which has not appeared yet.
type Building struct {
	Dir   string
	store Store
}

const building = ".building-"

// Build makes the folder in which a daily snapshot is built, after removing what runs killed before
// have left. Only one may be built at a time; the caller sees to that.
func (s Store) Build(name string) (*Building, error) {
	for _, dir := range []string{s.Path, s.kind(Daily), s.kind(Weekly), s.chain()} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, err
		}
	}
	if err := s.Clean(); err != nil {
		return nil, err
	}
	b := &Building{Dir: filepath.Join(s.kind(Daily), building+name), store: s}
	return b, os.Mkdir(b.Dir, 0o700)
}

func (s Store) kind(kind string) string { return filepath.Join(s.Path, kind) }

// Clean removes what a run which was killed has left half-built or half-removed.
func (s Store) Clean() error {
	for _, kind := range []string{Daily, Weekly} {
		entries, err := os.ReadDir(s.kind(kind))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		for _, e := range entries {
			if strings.HasPrefix(e.Name(), building) {
				if err := os.RemoveAll(filepath.Join(s.kind(kind), e.Name())); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// Link makes a file of another snapshot a file of this one too.
func (b *Building) Link(path string) error {
	return os.Link(path, filepath.Join(b.Dir, filepath.Base(path)))
}

// WriteFile adds a small file. Sync makes it durable.
func (b *Building) WriteFile(name string, data []byte) error {
	return os.WriteFile(filepath.Join(b.Dir, name), data, 0o600)
}

// Discard removes what was built.
func (b *Building) Discard() error { return os.RemoveAll(b.Dir) }

// Commit makes the snapshot, once it is synced, appear as kind/name, in place of one of the same name.
func (b *Building) Commit(kind, name string) (string, error) {
	target := filepath.Join(b.store.kind(kind), name)
	if err := durable.Sync(b.Dir); err != nil {
		return "", err
	}
	err := unix.Renameat2(unix.AT_FDCWD, b.Dir, unix.AT_FDCWD, target, unix.RENAME_NOREPLACE)
	if errors.Is(err, fs.ErrExist) {
		err = b.exchange(target)
	}
	if err != nil {
		return "", fmt.Errorf("commit %s/%s: %w", kind, name, err)
	}
	return target, durable.Sync(filepath.Dir(target))
}

// Sync makes everything built durable: all files at once, so that the file system's journal is written
// once and not for each of them. Files linked from elsewhere are durable already.
func (b *Building) Sync() error {
	entries, err := os.ReadDir(b.Dir)
	if err != nil {
		return err
	}
	var group errgroup.Group
	group.SetLimit(8)
	for _, e := range entries {
		group.Go(func() error { return syncNew(filepath.Join(b.Dir, e.Name())) })
	}
	return group.Wait()
}

func syncNew(path string) error {
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return &os.PathError{Op: "stat", Path: path, Err: err}
	}
	if st.Nlink > 1 {
		return nil
	}
	return durable.Sync(path)
}

// exchange swaps the built folder with the one it replaces and removes that.
func (b *Building) exchange(target string) error {
	if err := unix.Renameat2(unix.AT_FDCWD, b.Dir, unix.AT_FDCWD, target, unix.RENAME_EXCHANGE); err != nil {
		return err
	}
	if err := durable.Sync(filepath.Dir(target)); err != nil {
		return err
	}
	return os.RemoveAll(b.Dir)
}

// CopyTo makes the snapshot in dir appear as kind/name as well, by hard links.
func (s Store) CopyTo(dir, kind, name string) error {
	b := &Building{Dir: filepath.Join(s.kind(kind), building+name), store: s}
	if err := os.Mkdir(b.Dir, 0o700); err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := b.Link(filepath.Join(dir, e.Name())); err != nil {
			return errors.Join(err, b.Discard())
		}
	}
	_, err = b.Commit(kind, name)
	return err
}
