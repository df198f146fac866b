package schema

import (
	"bytes"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"
)

// Overlay is a file system with some files in another state, or there at all: what a site would be after an edit.
// Names are as in fs.FS; their folders must exist.
func Overlay(below fs.FS, edited map[string][]byte) fs.FS { return overlay{below, edited} }

type overlay struct {
	fs.FS
	edited map[string][]byte
}

// Open opens the edited file, else the one below.
func (o overlay) Open(name string) (fs.File, error) {
	if content, ok := o.edited[name]; ok {
		return &editedFile{Reader: bytes.NewReader(content), name: path.Base(name)}, nil
	}
	return o.FS.Open(name)
}

// ReadDir lists a folder with the files that are only in the overlay.
func (o overlay) ReadDir(dir string) ([]fs.DirEntry, error) {
	list, err := fs.ReadDir(o.FS, dir)
	if err != nil {
		return nil, err
	}
	for name, content := range o.edited {
		base := path.Base(name)
		if path.Dir(name) == path.Clean(dir) && !slices.ContainsFunc(list, func(e fs.DirEntry) bool { return e.Name() == base }) {
			list = append(list, fs.FileInfoToDirEntry(&editedFile{Reader: bytes.NewReader(content), name: base}))
		}
	}
	slices.SortFunc(list, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return list, nil
}

// editedFile is an open file and its own description.
type editedFile struct {
	*bytes.Reader
	name string
}

func (f *editedFile) Stat() (fs.FileInfo, error) { return f, nil }
func (f *editedFile) Close() error               { return nil }
func (f *editedFile) Name() string               { return f.name }
func (f *editedFile) Mode() fs.FileMode          { return 0o444 }
func (f *editedFile) ModTime() time.Time         { return time.Time{} }
func (f *editedFile) IsDir() bool                { return false }
func (f *editedFile) Sys() any                   { return nil }
