package host

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Files is the file system of a host. Paths are the host's, absolute; a missing file is fs.ErrNotExist.
type Files interface {
	// Stat tells of what a path is; of what it leads to, where follow is set.
	Stat(name string, follow bool) (Info, error)
	ReadFile(name string) ([]byte, error)
	// WriteFile replaces a file so that a reader, or a crash, sees the old or the new content and nothing between.
	// No other user can read the new content before it has its mode and owner.
	WriteFile(name string, content []byte, to Info) error
	// MakeDirectory makes a directory and those above it (0755); an existing one only gets its mode and owner.
	MakeDirectory(name string, to Info) error
	Remove(name string) error
}

// Info is what is compared of a file beside its content. To write with a UID below 0 leaves the owner as it comes.
type Info struct {
	Mode     fs.FileMode
	UID, GID int
}

// Local is the file system of this machine. Prefix is put before every path: "" for the real root, a folder in a
// sandbox. Owners keeps who owns what.
type Local struct {
	Prefix string
	Owners Owners
}

func (l Local) path(name string) string { return filepath.Join(l.Prefix, filepath.FromSlash(name)) }

// Stat is as Files wants it.
func (l Local) Stat(name string, follow bool) (Info, error) {
	stat := os.Lstat
	if follow {
		stat = os.Stat
	}
	info, err := stat(l.path(name))
	if err != nil {
		return Info{}, err
	}
	uid, gid := l.Owners.Of(name, info)
	return Info{Mode: info.Mode(), UID: uid, GID: gid}, nil
}

// ReadFile is as Files wants it.
func (l Local) ReadFile(name string) ([]byte, error) { return os.ReadFile(l.path(name)) }

// WriteFile is as Files wants it, with fsync of file and folder.
func (l Local) WriteFile(name string, content []byte, to Info) error {
	local := l.path(name)
	if err := os.MkdirAll(filepath.Dir(local), 0o755); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return WriteFile(local, content, to.Mode, func(temp string) error { return l.own(name, temp, to) })
}

// MakeDirectory is as Files wants it.
func (l Local) MakeDirectory(name string, to Info) error {
	local := l.path(name)
	if err := os.MkdirAll(local, 0o755); err != nil {
		return err
	}
	if err := os.Chmod(local, to.Mode); err != nil {
		return err
	}
	return l.own(name, local, to)
}

func (l Local) own(name, local string, to Info) error {
	if to.UID < 0 {
		return nil
	}
	return l.Owners.Set(name, local, to.UID, to.GID)
}

// Remove is as Files wants it.
func (l Local) Remove(name string) error { return os.Remove(l.path(name)) }
