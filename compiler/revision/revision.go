// Package revision reads a site as it was at a Git revision, with go-git and without a checkout: it turns
// (folder, revision) into a file system of the folder at that commit. It knows nothing of CUE.
package revision

import (
	"fmt"
	"io"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
)

// maxFile bounds a file that is read from a commit; a table of 100,000 users has about 10 MiB.
const maxFile = 256 << 20

// Open finds the repository around dir and returns dir's content at the revision (any name that Git knows)
// and the commit's hash.
func Open(dir, name string) (fs.FS, string, error) {
	repo, err := git.PlainOpenWithOptions(dir, &git.PlainOpenOptions{DetectDotGit: true})
	if err != nil {
		return nil, "", fmt.Errorf("%s is in no Git repository: %w", dir, err)
	}
	hash, err := repo.ResolveRevision(plumbing.Revision(name))
	if err != nil {
		return nil, "", fmt.Errorf("git knows no revision %s: %w", name, err)
	}
	commit, err := repo.CommitObject(*hash)
	if err != nil {
		return nil, "", fmt.Errorf("read commit %s: %w", name, err)
	}
	sub, err := below(repo, dir)
	if err != nil {
		return nil, "", err
	}
	tree, err := commit.Tree()
	if err == nil && sub != "." {
		tree, err = tree.Tree(sub)
	}
	if err != nil {
		return nil, "", fmt.Errorf("%s has no folder %s: %w", name, sub, err)
	}
	f, err := read(tree)
	return f, hash.String(), err
}

// below is dir as seen from the work tree's root, slash-separated.
func below(repo *git.Repository, dir string) (string, error) {
	work, err := repo.Worktree()
	if err != nil {
		return "", fmt.Errorf("%s: %w", dir, err)
	}
	root, err := filepath.EvalSymlinks(work.Filesystem.Root())
	if err != nil {
		return "", err
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	if abs, err = filepath.EvalSymlinks(abs); err != nil {
		return "", err
	}
	rel, err := filepath.Rel(root, abs)
	return filepath.ToSlash(rel), err
}

// Head is the commit that the work tree around dir is at, shortened; empty outside a repository.
func Head(dir string) string {
	repo, err := git.PlainOpenWithOptions(dir, &git.PlainOpenOptions{DetectDotGit: true})
	if err != nil {
		return ""
	}
	head, err := repo.Head()
	if err != nil {
		return ""
	}
	return head.Hash().String()[:12]
}

func read(tree *object.Tree) (fs.FS, error) {
	f := memory{files: map[string][]byte{}, dirs: map[string][]string{".": nil}}
	err := tree.Files().ForEach(func(file *object.File) error {
		if file.Size > maxFile {
			return fmt.Errorf("%s has %d bytes", file.Name, file.Size)
		}
		r, err := file.Reader()
		if err != nil {
			return err
		}
		defer r.Close()
		content, err := io.ReadAll(r)
		if err != nil {
			return err
		}
		f.add(file.Name, content)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read commit: %w", err)
	}
	return f, nil
}

// memory is a read-only file system.
type memory struct {
	files map[string][]byte
	dirs  map[string][]string // folder -> names in it
}

func (m memory) add(name string, content []byte) {
	m.files[name] = content
	for child := name; child != "."; child = path.Dir(child) {
		dir := path.Dir(child)
		if slices.Contains(m.dirs[dir], path.Base(child)) {
			return
		}
		m.dirs[dir] = append(m.dirs[dir], path.Base(child))
	}
}

// Open opens a file or folder.
func (m memory) Open(name string) (fs.File, error) {
	if content, ok := m.files[name]; ok {
		return &openFile{info: info{path.Base(name), int64(len(content)), false}, Reader: strings.NewReader(string(content))}, nil
	}
	if names, ok := m.dirs[name]; ok && fs.ValidPath(name) {
		return &openDir{info: info{path.Base(name), 0, true}, entries: m.entries(name, names)}, nil
	}
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
}

func (m memory) entries(dir string, names []string) []fs.DirEntry {
	var list []fs.DirEntry
	for _, n := range slices.Sorted(slices.Values(names)) {
		_, folder := m.dirs[path.Join(dir, n)]
		list = append(list, fs.FileInfoToDirEntry(info{n, int64(len(m.files[path.Join(dir, n)])), folder}))
	}
	return list
}

type info struct {
	name   string
	size   int64
	folder bool
}

func (i info) Name() string       { return i.name }
func (i info) Size() int64        { return i.size }
func (i info) ModTime() time.Time { return time.Time{} }
func (i info) IsDir() bool        { return i.folder }
func (i info) Sys() any           { return nil }
func (i info) Mode() fs.FileMode {
	if i.folder {
		return fs.ModeDir | 0o555
	}
	return 0o444
}

type openFile struct {
	info info
	*strings.Reader
}

func (f *openFile) Stat() (fs.FileInfo, error) { return f.info, nil }
func (f *openFile) Close() error               { return nil }

type openDir struct {
	info    info
	entries []fs.DirEntry
}

func (d *openDir) Stat() (fs.FileInfo, error) { return d.info, nil }
func (d *openDir) Close() error               { return nil }
func (d *openDir) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: d.info.name, Err: fs.ErrInvalid}
}

// ReadDir is fs.ReadDirFile's.
func (d *openDir) ReadDir(n int) ([]fs.DirEntry, error) {
	if n <= 0 {
		list := d.entries
		d.entries = nil
		return list, nil
	}
	if len(d.entries) == 0 {
		return nil, io.EOF
	}
	n = min(n, len(d.entries))
	list := d.entries[:n]
	d.entries = d.entries[n:]
	return list, nil
}
