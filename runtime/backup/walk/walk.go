// Package walk lists what stands below a folder, in the order of manifest.ComparePath, so that no
// message is missed while Dovecot renames, moves and delivers. It knows nothing of packs or manifests.
//
// A Maildir is taken whole before anything of it is passed on: new/ before cur/ since mail only moves
// that way, then every folder which changed meanwhile is read again and the readings are united by the
// messages' base names (the part before the colon, which never changes). What the walk then reports is
// the state at that moment; a message renamed later is found again by its base name when it is read.
package walk

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Entry is one thing found.
type Entry struct {
	Path string // below the root; "." is the root itself
	Dir  bool
	Link bool

	abs   string
	group *group // of the Maildir it is a message of; nil for every other file
}

// Options of a walk.
type Options struct {
	// Exclude are patterns of path.Match; a file or folder with such a base name is left out.
	Exclude []string
}

// Tree walks the folder or file root and calls visit for everything found. visit may stop the walk by
// an error.
func Tree(ctx context.Context, root string, options Options, visit func(Entry) error) error {
	root, err := filepath.EvalSymlinks(root)
	if err != nil {
		return err
	}
	info, err := os.Stat(root)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return visit(Entry{Path: filepath.Base(root), abs: root})
	}
	w := &walker{ctx: ctx, options: options, visit: visit, buffer: make([]byte, 4<<20)}
	return w.folder(root, ".")
}

type walker struct {
	ctx     context.Context
	options Options
	visit   func(Entry) error
	buffer  []byte
}

func (w *walker) excluded(base string) bool {
	for _, pattern := range w.options.Exclude {
		if ok, _ := path.Match(pattern, base); ok {
			return true
		}
	}
	return false
}

func (w *walker) folder(abs, rel string) error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	l, err := list(abs, w.buffer)
	if errors.Is(err, fs.ErrNotExist) && rel != "." {
		return nil // removed since its parent was read
	}
	if err != nil {
		return err
	}
	if isMaildir(l) {
		return w.maildir(abs, rel)
	}
	if err := w.visit(Entry{Path: rel, Dir: true, abs: abs}); err != nil {
		return err
	}
	for _, n := range l.names {
		if err := w.child(abs, rel, n); err != nil {
			return err
		}
	}
	return nil
}

func (w *walker) child(abs, rel string, n name) error {
	if w.excluded(n.name) {
		return nil
	}
	abs, rel = abs+"/"+n.name, below(rel, n.name)
	if n.dir {
		return w.folder(abs, rel)
	}
	return w.visit(Entry{Path: rel, Link: n.link, abs: abs})
}

// below is the path of a name in the folder rel.
func below(rel, name string) string {
	if rel == "." {
		return name
	}
	return rel + "/" + name
}

// isMaildir reports whether the folder holds cur and new.
func isMaildir(l listing) bool {
	found := 0
	for _, n := range l.names {
		if n.dir && (n.name == "cur" || n.name == "new") {
			found++
		}
	}
	return found == 2
}

// Message reports whether the entry is a message of a Maildir: its bytes never change.
func (e *Entry) Message() bool { return e.group != nil }

// BaseName is the part of a message's file name which never changes, without its flags.
func BaseName(name string) string {
	base, _, _ := strings.Cut(name, ":")
	return base
}

// Lstat describes the entry, wherever a message is by now. fs.ErrNotExist means that it is gone.
func (e *Entry) Lstat() (unix.Stat_t, error) {
	var st unix.Stat_t
	err := e.retry(func(path string) error { return unix.Lstat(path, &st) })
	return st, err
}

// Open opens the file for reading, wherever a message is by now. fs.ErrNotExist means that it is gone.
func (e *Entry) Open() (*os.File, error) {
	var file *os.File
	err := e.retry(func(path string) error {
		var err error
		file, err = os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
		return err
	})
	return file, err
}

// Readlink returns the target of a symbolic link.
func (e *Entry) Readlink() (string, error) { return os.Readlink(e.abs) }

// retry tries the path under which the entry was found, then where its base name is now.
func (e *Entry) retry(try func(path string) error) error {
	err := try(e.abs)
	if e.group == nil || !errors.Is(err, fs.ErrNotExist) {
		return wrap(e.abs, err)
	}
	return wrap(e.abs, e.group.retry(e.abs, try))
}

func wrap(path string, err error) error {
	if errno, ok := err.(unix.Errno); ok {
		return &os.PathError{Op: "stat", Path: path, Err: errno}
	}
	return err
}
