package pair

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/mailplan/mailplan/runtime/durable"
)

// The names that servers read, and what is behind them: both lead through current, a link to one of the versions, so
// that replacing that one link replaces both files at once.
const (
	ChainFile = "fullchain.pem"
	KeyFile   = "privkey.pem"
	current   = "current"
	versions  = "versions"
	unready   = ".new-" // begins what was not finished
)

// Folder holds the pair in use. UID and GID are of whoever reads it beside root; a UID below 0 leaves owners alone.
type Folder struct {
	Path     string
	UID, GID int
}

// Load reads the pair in use; a missing file is fs.ErrNotExist.
func (f Folder) Load() (*Pair, error) {
	chain, err := os.ReadFile(filepath.Join(f.Path, ChainFile))
	if err != nil {
		return nil, err
	}
	key, err := os.ReadFile(filepath.Join(f.Path, KeyFile))
	if err != nil {
		return nil, err
	}
	return Parse(chain, key)
}

// Put takes a pair into use. At every moment, also of a power cut, a reader finds the old pair or the new one. The
// version before stays beside it for who must go back.
func (f Folder) Put(p *Pair) error {
	if err := os.MkdirAll(f.Path, 0o700); err != nil {
		return err
	}
	if err := f.adopt(); err != nil {
		return fmt.Errorf("keep the pair that is there: %w", err)
	}
	before, _ := os.Readlink(filepath.Join(f.Path, current))
	name := p.Leaf.NotBefore.UTC().Format("20060102T150405Z") + "-" + p.Fingerprint()[:12]
	if err := f.lay(name, p.Chain, p.Key); err != nil {
		return fmt.Errorf("lay the new pair down: %w", err)
	}
	if err := f.use(name); err != nil {
		return fmt.Errorf("take the new pair into use: %w", err)
	}
	if filepath.Base(before) == name {
		return nil // and the one before that stays, too
	}
	return f.prune(name, filepath.Base(before))
}

// adopt makes a version of files that somebody put there by hand, so that replacing them begins from links.
func (f Folder) adopt() error {
	if f.linked() {
		return nil
	}
	chain, err := os.ReadFile(filepath.Join(f.Path, ChainFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	key, err := os.ReadFile(filepath.Join(f.Path, KeyFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil // half a pair is none
	}
	if err != nil {
		return err
	}
	if err := f.lay("by-hand", chain, key); err != nil {
		return err
	}
	return f.use("by-hand")
}

// linked says whether both names lead through current.
func (f Folder) linked() bool {
	for _, name := range []string{ChainFile, KeyFile} {
		to, err := os.Readlink(filepath.Join(f.Path, name))
		if err != nil || to != filepath.Join(current, name) {
			return false
		}
	}
	return true
}

// lay writes a version whole before it has its name.
func (f Folder) lay(name string, chain, key []byte) error {
	all := filepath.Join(f.Path, versions)
	if err := f.directory(all); err != nil {
		return err
	}
	temporary := filepath.Join(all, unready+name)
	if err := errors.Join(os.RemoveAll(temporary), f.directory(temporary)); err != nil {
		return err
	}
	if err := errors.Join(f.write(filepath.Join(temporary, ChainFile), chain), f.write(filepath.Join(temporary, KeyFile), key), durable.Sync(temporary)); err != nil {
		return err
	}
	place := filepath.Join(all, name)
	if _, err := os.Stat(place); err == nil { // laid before, perhaps in use: leave it alone
		return os.RemoveAll(temporary)
	}
	if err := os.Rename(temporary, place); err != nil {
		return err
	}
	return durable.Sync(all)
}

func (f Folder) directory(path string) error {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return err
	}
	return f.own(path)
}

func (f Folder) write(path string, data []byte) error {
	return errors.Join(durable.Write(path, data), f.own(path))
}

func (f Folder) own(path string) error {
	if f.UID < 0 {
		return nil
	}
	return os.Lchown(path, f.UID, f.GID)
}

// use leads current to a version, and the names that servers read through current.
func (f Folder) use(name string) error {
	if err := f.link(filepath.Join(versions, name), current); err != nil {
		return err
	}
	if f.linked() {
		return durable.Sync(f.Path)
	}
	for _, file := range []string{ChainFile, KeyFile} {
		if err := f.link(filepath.Join(current, file), file); err != nil {
			return err
		}
	}
	return durable.Sync(f.Path)
}

// link replaces what has the name by a link, in one step.
func (f Folder) link(to, name string) error {
	temporary := filepath.Join(f.Path, unready+name)
	if err := os.Remove(temporary); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Symlink(to, temporary); err != nil {
		return err
	}
	return os.Rename(temporary, filepath.Join(f.Path, name))
}

// prune removes all versions but these, and what was not finished.
func (f Folder) prune(keep ...string) error {
	all := filepath.Join(f.Path, versions)
	entries, err := os.ReadDir(all)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), unready) && (e.Name() == keep[0] || e.Name() == keep[1]) {
			continue
		}
		err = errors.Join(err, os.RemoveAll(filepath.Join(all, e.Name())))
	}
	return err
}
