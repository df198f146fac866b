package model

import (
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"
)

// ProjectDir is the folder of the tree that becomes host.root: the compose project and all that it mounts.
const ProjectDir = "services/mailserver"

// File is one emitted file. A tree never holds a secret: where one belongs, Content has
// SecretMark(name), which apply replaces while it writes.
type File struct {
	Path    string      // slash-separated, relative
	Mode    fs.FileMode // permission bits; 0600 or less where a secret is marked
	UID     int         // owner on the host; 0 is root
	GID     int
	Content []byte
	Reads   []string // services that read it: a change reloads or restarts just these
	From    string   // the site path that asks for it, such as relay or containers.dovecot
}

// SecretMark stands in an emitted file for the value of a secret.
func SecretMark(name string) string { return "${secret:" + name + "}" }

var secretMark = regexp.MustCompile(`\$\{secret:([A-Za-z0-9_.@/-]+)\}`)

// Secrets names the secrets that are marked in the file, each once, sorted.
func (f File) Secrets() []string {
	var names []string
	for _, m := range secretMark.FindAllSubmatch(f.Content, -1) {
		names = append(names, string(m[1]))
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Fill replaces every secret mark by what value says of its name.
func (f File) Fill(value func(name string) string) []byte {
	return secretMark.ReplaceAllFunc(f.Content, func(mark []byte) []byte {
		return []byte(value(string(secretMark.FindSubmatch(mark)[1])))
	})
}

// Tree is everything compiled from a site: files sorted by path, slash-separated and relative.
type Tree struct {
	Files []File
}

// NewTree orders files into a tree; two files of one path are an error of the emitters.
func NewTree(files ...[]File) (Tree, error) {
	all := slices.Concat(files...)
	slices.SortFunc(all, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	for i := 1; i < len(all); i++ {
		if all[i].Path == all[i-1].Path {
			return Tree{}, fmt.Errorf("two emitters write %s", all[i].Path)
		}
	}
	return Tree{Files: all}, nil
}

// Lookup finds the file of a path.
func (t Tree) Lookup(path string) (File, bool) {
	i, ok := slices.BinarySearchFunc(t.Files, path, func(f File, p string) int { return strings.Compare(f.Path, p) })
	if !ok {
		return File{}, false
	}
	return t.Files[i], true
}
