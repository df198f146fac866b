package walk

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// rounds bounds how often a Maildir which keeps changing is read again. One reading of a folder under
// 1,000 renames a second misses about one message in 20,000, and readings miss different ones.
const rounds = 5

// group is a Maildir with all its folders, of one user as a rule.
type group struct {
	walker *walker
	root   string
	mu     sync.Mutex
	dirs   map[string]*folder // by path
	moved  map[string]string  // base name -> path, of the newest reading
	buffer []byte
}

// folder is one directory of the group: all its readings united.
type folder struct {
	names map[string]name // by base name in cur and new, else by name
	mail  bool            // it is a cur or new
	stamp int64
	racy  bool
}

func (w *walker) maildir(abs, rel string) error {
	g := &group{walker: w, root: abs, dirs: map[string]*folder{}}
	if err := g.read(abs); err != nil {
		return err
	}
	for range rounds {
		again, err := g.changed()
		if err != nil {
			return err
		}
		if len(again) == 0 {
			break
		}
		for _, dir := range again {
			if err := g.read(dir); err != nil {
				return err
			}
		}
	}
	g.settle()
	return g.emit(abs, rel)
}

// read reads a folder, unites it with earlier readings and reads the folders in it which are new.
func (g *group) read(dir string) error {
	l, err := list(dir, g.walker.buffer)
	if errors.Is(err, fs.ErrNotExist) && dir != g.root {
		return nil
	}
	if err != nil {
		return err
	}
	f := g.dirs[dir]
	if f == nil {
		f = &folder{names: map[string]name{}, mail: isMail(dir)}
		g.dirs[dir] = f
	}
	f.stamp, f.racy = l.stamp, l.racy
	var below []string
	for _, n := range l.names {
		if !f.mail && g.walker.excluded(n.name) {
			continue
		}
		f.names[f.key(n.name)] = n
		inTmp := n.name == "tmp" && isMaildir(l) // what is not delivered yet is the sender's still
		if path := dir + "/" + n.name; n.dir && !inTmp && g.dirs[path] == nil {
			below = append(below, path)
		}
	}
	slices.SortFunc(below, newFirst)
	for _, path := range below {
		if err := g.read(path); err != nil {
			return err
		}
	}
	return nil
}

func isMail(dir string) bool {
	base := filepath.Base(dir)
	return base == "cur" || base == "new"
}

// newFirst orders new before all else: a message goes from new to cur, so reading in that order cannot
// miss it in both.
func newFirst(a, b string) int {
	isNew := func(p string) int {
		if filepath.Base(p) == "new" {
			return 0
		}
		return 1
	}
	return cmp.Or(isNew(a)-isNew(b), strings.Compare(a, b))
}

func (f *folder) key(name string) string {
	if f.mail {
		return BaseName(name)
	}
	return name
}

// changed returns the folders which changed since they were last read.
func (g *group) changed() ([]string, error) {
	var again []string
	for dir, f := range g.dirs {
		var st unix.Stat_t
		err := unix.Lstat(dir, &st)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, &os.PathError{Op: "stat", Path: dir, Err: err}
		}
		if f.racy || st.Mtim.Nano() != f.stamp {
			again = append(again, dir)
		}
	}
	slices.SortFunc(again, newFirst)
	return again, nil
}

// settle drops from each new what its cur holds as well: it moved while both were read.
func (g *group) settle() {
	for dir, f := range g.dirs {
		if filepath.Base(dir) != "new" {
			continue
		}
		if cur := g.dirs[filepath.Dir(dir)+"/cur"]; cur != nil {
			for base := range f.names {
				if _, both := cur.names[base]; both {
					delete(f.names, base)
				}
			}
		}
	}
}

// emit passes the folder on, depth first.
func (g *group) emit(abs, rel string) error {
	w := g.walker
	if err := w.visit(Entry{Path: rel, Dir: true, abs: abs}); err != nil {
		return err
	}
	f := g.dirs[abs]
	if f == nil {
		return nil
	}
	names := make([]name, 0, len(f.names))
	for _, n := range f.names {
		names = append(names, n)
	}
	slices.SortFunc(names, func(a, b name) int { return strings.Compare(a.name, b.name) })
	for _, n := range names {
		if err := w.ctx.Err(); err != nil {
			return err
		}
		if n.dir {
			if err := g.emit(abs+"/"+n.name, below(rel, n.name)); err != nil {
				return err
			}
			continue
		}
		e := Entry{Path: below(rel, n.name), Link: n.link, abs: abs + "/" + n.name}
		if f.mail && !n.link {
			e.group = g
		}
		if err := w.visit(e); err != nil {
			return err
		}
	}
	return nil
}

// retry finds a message which is no longer where it was found, and tries there.
func (g *group) retry(abs string, try func(path string) error) error {
	base := BaseName(filepath.Base(abs))
	g.mu.Lock()
	defer g.mu.Unlock()
	err := error(fs.ErrNotExist)
	for attempt := range 2 + rounds {
		if attempt > 0 { // first what an earlier search has seen
			if err := g.search(filepath.Dir(filepath.Dir(abs)), attempt > 2); err != nil {
				return err
			}
		}
		if found, ok := g.moved[base]; ok {
			if err = try(found); !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	return err
}

// search notes where the messages of a Maildir folder are now; everywhere looks into every folder of
// the group, for a message moved from one to another.
func (g *group) search(maildir string, everywhere bool) error {
	if g.moved == nil {
		g.moved = map[string]string{}
		g.buffer = make([]byte, 1<<20)
	}
	dirs := []string{maildir + "/new", maildir + "/cur"}
	if everywhere {
		for dir, f := range g.dirs {
			if f.mail {
				dirs = append(dirs, dir)
			}
		}
	}
	for _, dir := range dirs {
		l, err := list(dir, g.buffer)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		for _, n := range l.names {
			g.moved[BaseName(n.name)] = dir + "/" + n.name
		}
	}
	return nil
}
