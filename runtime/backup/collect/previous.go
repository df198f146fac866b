package collect

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"os"

	"github.com/mailplan/mailplan/runtime/backup/manifest"
	"github.com/mailplan/mailplan/runtime/backup/pack"
)

// previous is the manifest of the run before, read along with the walk, and an index of what it stores.
type previous struct {
	file   *os.File
	reader *manifest.Reader
	entry  *manifest.Entry // not yet passed by the walk; nil at the end
	usable []bool          // by pack: whether its bytes can serve again
	index  index           // of the files in usable packs; nil until somebody asks
}

// openPrevious opens the manifest at path; an empty path is a first run.
func openPrevious(path string, usable func(pack.Pack) bool) (*previous, error) {
	p := &previous{}
	if path == "" {
		return p, nil
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	p.file = file
	if p.reader, err = manifest.NewReader(file); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	for _, one := range p.reader.Packs() {
		p.usable = append(p.usable, usable(one))
	}
	return p, p.advance()
}

func (p *previous) close() {
	if p.file != nil {
		p.file.Close()
	}
}

func (p *previous) advance() error {
	e, _, err := p.reader.Next()
	if errors.Is(err, io.EOF) {
		p.entry = nil
		return nil
	}
	p.entry = &e
	return err
}

// find returns what the run before knew of the path, if its bytes can serve again. Paths must be asked
// for in the manifest's order.
func (p *previous) find(path string) (*manifest.Entry, error) {
	for p.entry != nil {
		order := manifest.ComparePath(p.entry.Path, path)
		if order > 0 {
			return nil, nil
		}
		found := p.entry
		if err := p.advance(); err != nil {
			return nil, err
		}
		if order == 0 {
			if !p.serves(found) {
				return nil, nil
			}
			return found, nil
		}
	}
	return nil, nil
}

func (p *previous) serves(e *manifest.Entry) bool {
	for _, x := range e.Extents {
		if !p.usable[x.Pack] {
			return false
		}
	}
	return true
}

// stored finds a file of the run before with this content.
func (p *previous) stored(hash [32]byte) (*manifest.Entry, error) {
	if p.file == nil {
		return nil, nil
	}
	if p.index == nil {
		if err := p.buildIndex(); err != nil {
			return nil, err
		}
	}
	return p.index.find(p.file, hash)
}

func (p *previous) buildIndex() error {
	p.index = index{}
	info, err := p.file.Stat()
	if err != nil {
		return err
	}
	reader, err := manifest.NewReader(io.NewSectionReader(p.file, 0, info.Size()))
	if err != nil {
		return err
	}
	for {
		e, at, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if e.Kind == manifest.File && e.Size > 0 && p.serves(&e) {
			p.index.add(e.SHA256, at)
		}
	}
}

// index finds the line of a manifest which stores a content: eight bytes of the hash lead to the
// line's offset, and the line confirms. It keeps memory at a few bytes per file.
type index map[uint64]int64

func prefix(hash [32]byte) uint64 { return binary.LittleEndian.Uint64(hash[:]) }

func (x index) add(hash [32]byte, offset int64) { x[prefix(hash)] = offset }

func (x index) find(file io.ReaderAt, hash [32]byte) (*manifest.Entry, error) {
	offset, ok := x[prefix(hash)]
	if !ok {
		return nil, nil
	}
	r := bufio.NewReader(io.NewSectionReader(file, offset, 1<<20))
	line, err := r.ReadBytes('\n')
	if err != nil {
		return nil, err
	}
	e, err := manifest.ParseEntry(line[:len(line)-1])
	if err != nil || e.SHA256 != hash {
		return nil, err
	}
	return &e, nil
}

// table numbers the packs of the new manifest: those it takes over and those it writes.
type table struct {
	numbers map[source]int
	sources []source
}

// source is a pack by its number in the previous manifest or, if fresh, in the pack writer.
type source struct {
	fresh  bool
	number int
}

// renumber returns the extents with the numbers of the new manifest.
func (t *table) renumber(fresh bool, extents []pack.Extent) []pack.Extent {
	out := make([]pack.Extent, len(extents))
	for i, x := range extents {
		s := source{fresh, x.Pack}
		number, known := t.numbers[s]
		if !known {
			number = len(t.sources)
			t.numbers[s] = number
			t.sources = append(t.sources, s)
		}
		out[i] = pack.Extent{Pack: number, Offset: x.Offset, Size: x.Size}
	}
	return out
}
