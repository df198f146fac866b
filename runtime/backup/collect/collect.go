// Package collect turns classes of files into packs and the entries of a manifest. What the run before
// has already read is recognised by size, times and inode and not read again; what is read and has been
// stored before, under whatever name, is not stored again. Memory is bounded, whatever the tree. The
// package knows nothing of where snapshots are kept.
package collect

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"filippo.io/age"
	"github.com/mailplan/mailplan/runtime/backup/manifest"
	"github.com/mailplan/mailplan/runtime/backup/pack"
	"github.com/mailplan/mailplan/runtime/backup/walk"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"
)

// Options of a Collector.
type Options struct {
	Dir        string               // where packs and the manifest are built
	Previous   string               // clear manifest of the run before; empty for a first run
	Usable     func(pack.Pack) bool // whether a pack of that manifest can serve again
	Recipients []age.Recipient
	Workers    int              // processors to read and to compress with
	Rehash     bool             // read every file, to find rot
	Progress   func(int, int64) // files and bytes gone through since the last call; may be nil
	Warn       func(string)     // told of what is odd but no failure; may be nil
}

// Source is one class of data.
type Source struct {
	Class   string
	Kind    string
	Root    string   // folder or file
	Exclude []string // patterns of base names
	Maildir bool     // frames are cut between folders, so that one can be restored alone
}

// Collector makes one snapshot's packs and manifest. Its methods are for one goroutine.
type Collector struct {
	options  Options
	previous *previous
	packs    *pack.Writer
	entries  *os.File
	list     *manifest.Writer
	stored   index // what this run stored, in entries
	table    table
	memory   *semaphore.Weighted
	buffers  buffers
	folder   string // of the file packed last
}

// Result is what a Collector made.
type Result struct {
	Manifest string      // path of the clear manifest, in Options.Dir
	Packs    []pack.Pack // all the manifest needs
	Fresh    []pack.Pack // those of them made now
}

const entriesFile, manifestFile = ".entries", ".manifest"

// New starts a Collector.
func New(ctx context.Context, options Options) (*Collector, error) {
	if options.Progress == nil {
		options.Progress = func(int, int64) {}
	}
	if options.Warn == nil {
		options.Warn = func(string) {}
	}
	previous, err := openPrevious(options.Previous, options.Usable)
	if err != nil {
		return nil, fmt.Errorf("manifest of the run before: %w", err)
	}
	entries, err := os.OpenFile(filepath.Join(options.Dir, entriesFile), os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	packs, err := pack.NewWriter(ctx, options.Dir, options.Recipients, options.Workers)
	if err != nil {
		return nil, errors.Join(err, entries.Close())
	}
	return &Collector{options: options, previous: previous, packs: packs, entries: entries,
		list: manifest.NewWriter(entries), stored: index{},
		table:  table{numbers: map[source]int{}},
		memory: semaphore.NewWeighted(8 * wholeFile)}, nil
}

// class is a class being collected.
type class struct {
	source Source
	result manifest.Class
	failed []error
}

// fail notes that the class is not whole; the run goes on with what can be read.
func (c *class) fail(err error) {
	const shown = 5
	if len(c.failed) < shown {
		c.failed = append(c.failed, err)
	}
}

// Add collects a class. Classes must come in the order of their names. The error is of the run as a
// whole; what is wrong with the class alone is in the class.
func (c *Collector) Add(ctx context.Context, s Source) (manifest.Class, error) {
	k := &class{source: s, result: manifest.Class{Name: s.Class, Kind: s.Kind}}
	todo, ordered := make(chan *job, 64), make(chan *job, 4096)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		defer close(ordered)
		defer close(todo)
		err := walk.Tree(ctx, s.Root, walk.Options{Exclude: s.Exclude}, func(e walk.Entry) error {
			return c.find(ctx, k, e, todo, ordered)
		})
		if err != nil && ctx.Err() == nil && !errors.As(err, new(fatal)) {
			k.fail(err)
			return nil
		}
		return err
	})
	for range c.options.Workers {
		group.Go(func() error {
			for j := range todo {
				j.read(&c.buffers)
			}
			return nil
		})
	}
	group.Go(func() error { return c.takeAll(ctx, ordered) })
	err := group.Wait()
	if err == nil && len(k.failed) == 0 && k.result.Files == 0 {
		k.fail(fmt.Errorf("%s holds no file", s.Root))
	}
	if len(k.failed) > 0 {
		k.result.Error = errors.Join(k.failed...).Error()
	}
	return k.result, err
}

// fatal marks an error of the run, not of the class.
type fatal struct{ error }

func (f fatal) Unwrap() error { return f.error }

// find describes an entry of the walk and sends it on, by way of the readers if it has to be read.
func (c *Collector) find(ctx context.Context, k *class, e walk.Entry, todo, ordered chan<- *job) error {
	j := &job{found: e, class: k}
	j.entry.Path = k.source.Class
	if e.Path != "." {
		j.entry.Path += "/" + e.Path
	}
	st, err := e.Lstat()
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		k.fail(err)
		return nil
	}
	describe(&j.entry, st)
	if j.was, err = c.previous.find(j.entry.Path); err != nil {
		return fatal{err}
	}
	switch {
	case e.Dir:
		j.entry.Kind = manifest.Dir
	case e.Link:
		j.entry.Kind = manifest.Symlink
		if j.entry.Target, err = e.Readlink(); err != nil {
			k.fail(err)
			return nil
		}
	default:
		j.entry.Kind = manifest.File
		if unchanged(&j.entry, j.was) {
			j.known = j.was
		}
		if j.known == nil || c.options.Rehash {
			j.done = make(chan struct{})
		}
	}
	return c.dispatch(ctx, j, todo, ordered)
}

func (c *Collector) dispatch(ctx context.Context, j *job, todo, ordered chan<- *job) error {
	if j.done != nil {
		j.held = j.cost()
		if err := c.memory.Acquire(ctx, j.held); err != nil {
			return err
		}
		select {
		case todo <- j:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	select {
	case ordered <- j:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// takeAll takes the jobs in order into packs and manifest.
func (c *Collector) takeAll(ctx context.Context, ordered <-chan *job) error {
	files, sum := 0, int64(0)
	for j := range ordered {
		if j.done != nil {
			select {
			case <-j.done:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if err := c.take(j); err != nil {
			return fatal{err}
		}
		c.memory.Release(j.held)
		c.buffers.put(j.data)
		files, sum = files+1, sum+j.entry.Size
		if files == 256 || sum > 8<<20 {
			c.options.Progress(files, sum)
			files, sum = 0, 0
		}
	}
	c.options.Progress(files, sum)
	return nil
}

func (c *Collector) take(j *job) error {
	k := j.class
	if j.gone {
		k.result.Gone++
		return nil
	}
	if j.err != nil {
		k.fail(j.err)
		return nil
	}
	if j.entry.Kind == manifest.File {
		if ok, err := c.place(j); err != nil || !ok {
			return err
		}
		k.result.Files++
		k.result.Bytes += j.entry.Size
	}
	offset, err := c.list.Add(&j.entry)
	if err == nil && j.entry.Kind == manifest.File && j.entry.Size > 0 && j.fresh {
		c.stored.add(j.entry.SHA256, offset)
	}
	return err
}

// place finds or makes the place of a file's bytes in a pack.
func (c *Collector) place(j *job) (bool, error) {
	e := &j.entry
	if j.known != nil {
		if j.done != nil && e.SHA256 != j.known.SHA256 {
			c.options.Warn(fmt.Sprintf("%s changed with its size and times unchanged: rot or tampering; the copy already stored is kept", e.Path))
			j.class.result.Suspect++
		}
		e.SHA256, e.Stored = j.known.SHA256, storedAs(j.known, e.Path)
		e.Extents = c.table.renumber(false, j.known.Extents)
		return true, nil
	}
	if e.Size == 0 {
		return true, nil
	}
	c.checkSize(j)
	if same, fresh, err := c.seen(e); err != nil || same != nil {
		if err == nil {
			e.Extents, e.Stored = same.Extents, storedAs(same, e.Path)
			if !fresh {
				e.Extents = c.table.renumber(false, same.Extents)
			}
		}
		return err == nil, err
	}
	return c.store(j)
}

// storedAs is what Entry.Stored of a file at path is, when its bytes are those of e.
func storedAs(e *manifest.Entry, path string) string {
	if name := e.StoredName(); name != path {
		return name
	}
	return ""
}

// seen looks for the content among what the run before and this one have stored.
func (c *Collector) seen(e *manifest.Entry) (same *manifest.Entry, fresh bool, err error) {
	if same, err = c.previous.stored(e.SHA256); err != nil || same != nil {
		return same, false, err
	}
	if _, maybe := c.stored[prefix(e.SHA256)]; !maybe {
		return nil, false, nil
	}
	if err := c.list.Flush(); err != nil {
		return nil, false, err
	}
	same, err = c.stored.find(c.entries, e.SHA256)
	return same, true, err
}

// checkSize compares a message with the size its name promises (S=).
func (c *Collector) checkSize(j *job) {
	_, rest, ok := strings.Cut(path.Base(j.entry.Path), ",S=")
	if !ok || !j.found.Message() {
		return
	}
	if digits := rest[:len(rest)-len(strings.TrimLeft(rest, "0123456789"))]; digits != fmt.Sprint(j.entry.Size) {
		c.options.Warn(fmt.Sprintf("%s has %d bytes: its name promises %s", j.entry.Path, j.entry.Size, digits))
		j.class.result.Suspect++
	}
}

// store puts a content which is new into a pack.
func (c *Collector) store(j *job) (bool, error) {
	e := &j.entry
	if folder := path.Dir(e.Path); j.class.source.Maildir && folder != c.folder {
		if err := c.packs.Cut(); err != nil {
			return false, err
		}
		c.folder = folder
	}
	header := pack.Header{Name: e.Path, Size: e.Size, Mode: e.Mode, UID: e.UID, GID: e.GID, ModTime: time.Unix(0, e.MTime)}
	if j.data != nil {
		extents, err := c.packs.Add(header, bytes.NewReader(j.data))
		return c.keep(j, extents, err)
	}
	file, err := j.found.Open()
	if err != nil {
		j.class.fail(err)
		return false, nil
	}
	defer file.Close()
	again := newChecked(file, *e)
	extents, err := c.packs.Add(header, again)
	if err == nil && again.check() != nil {
		j.class.fail(again.check())
		return false, nil
	}
	return c.keep(j, extents, err)
}

func (c *Collector) keep(j *job, extents []pack.Extent, err error) (bool, error) {
	j.entry.Extents, j.fresh = c.table.renumber(true, extents), true
	return err == nil, err
}

// Finish completes the packs and the manifest. The Collector must not be used afterwards.
func (c *Collector) Finish() (Result, error) {
	defer c.previous.close()
	defer c.entries.Close()
	fresh, err := c.packs.Close()
	if err != nil {
		return Result{}, err
	}
	if err := c.list.Flush(); err != nil {
		return Result{}, err
	}
	r := Result{Manifest: filepath.Join(c.options.Dir, manifestFile), Fresh: fresh}
	for _, s := range c.table.sources {
		if s.fresh {
			r.Packs = append(r.Packs, fresh[s.number])
		} else {
			r.Packs = append(r.Packs, c.previous.reader.Packs()[s.number])
		}
	}
	if err := c.join(r); err != nil {
		return Result{}, err
	}
	return r, os.Remove(c.entries.Name())
}

// Abort gives up and removes what was built.
func (c *Collector) Abort() {
	c.packs.Close()
	c.previous.close()
	c.entries.Close()
	os.Remove(c.entries.Name())
}

// join writes the manifest: the packs, then the entries.
func (c *Collector) join(r Result) error {
	file, err := os.OpenFile(r.Manifest, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer file.Close()
	w := manifest.NewWriter(file)
	for i, p := range r.Packs {
		if err := w.AddPack(i, p); err != nil {
			return err
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if _, err := c.entries.Seek(0, io.SeekStart); err != nil {
		return err
	}
	if _, err := io.Copy(file, c.entries); err != nil {
		return err
	}
	return nil
}
