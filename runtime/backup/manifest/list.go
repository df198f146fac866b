package manifest

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/mailplan/mailplan/runtime/backup/pack"
)

// Writer writes the entries of a list. It counts bytes, so that an entry can be found again by its
// offset.
type Writer struct {
	w      *bufio.Writer
	line   []byte
	offset int64
}

// NewWriter returns a Writer to w.
func NewWriter(w io.Writer) *Writer { return &Writer{w: bufio.NewWriterSize(w, 256<<10)} }

// Add writes an entry and returns the offset of its line.
func (w *Writer) Add(e *Entry) (int64, error) {
	w.line = e.append(w.line[:0])
	at := w.offset
	n, err := w.w.Write(w.line)
	w.offset += int64(n)
	return at, err
}

// AddPack writes the line of a pack. Packs come before all entries.
func (w *Writer) AddPack(number int, p pack.Pack) error {
	b := append(w.line[:0], "P\t"...)
	b = strconv.AppendInt(b, int64(number), 10)
	b = append(b, '\t')
	b = append(b, p.SHA256...)
	b = append(b, '\t')
	b = strconv.AppendInt(b, p.Size, 10)
	b = append(b, '\t')
	for i, f := range p.Frames {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, f.Plain, 10)
		b = append(b, ':')
		b = strconv.AppendInt(b, f.Packed, 10)
	}
	w.line = append(b, '\n')
	n, err := w.w.Write(w.line)
	w.offset += int64(n)
	return err
}

// Flush hands everything written so far to the underlying writer.
func (w *Writer) Flush() error { return w.w.Flush() }

// Reader reads a list: first its packs, then entry by entry.
type Reader struct {
	r      *bufio.Reader
	packs  []pack.Pack
	held   []byte // first line after the packs
	offset int64  // of the next line
	last   string
}

// NewReader reads the packs of the list in r and stands before its first entry.
func NewReader(r io.Reader) (*Reader, error) {
	m := &Reader{r: bufio.NewReaderSize(r, 256<<10)}
	for {
		line, err := m.line()
		if errors.Is(err, io.EOF) {
			return m, nil
		}
		if err != nil {
			return nil, err
		}
		if !bytes.HasPrefix(line, []byte("P\t")) {
			m.held = bytes.Clone(line)
			return m, nil
		}
		if err := m.addPack(line); err != nil {
			return nil, err
		}
	}
}

// Packs is the table of packs; an extent's Pack is an index into it.
func (r *Reader) Packs() []pack.Pack { return r.packs }

// Next returns the next entry and the offset of its line, or io.EOF. Entries out of order are refused.
func (r *Reader) Next() (Entry, int64, error) {
	line, at := r.held, r.offset
	if line != nil {
		at -= int64(len(line)) + 1
		r.held = nil
	} else {
		var err error
		if line, err = r.line(); err != nil {
			return Entry{}, 0, err
		}
	}
	e, err := ParseEntry(line)
	if err != nil {
		return Entry{}, 0, err
	}
	if r.last != "" && ComparePath(r.last, e.Path) >= 0 {
		return Entry{}, 0, fmt.Errorf("manifest path %q comes after %q: out of order", e.Path, r.last)
	}
	r.last = e.Path
	return e, at, r.checkExtents(&e)
}

func (r *Reader) checkExtents(e *Entry) error {
	for _, x := range e.Extents {
		if x.Pack >= len(r.packs) {
			return fmt.Errorf("manifest path %q lies in pack %d, which the manifest does not list", e.Path, x.Pack)
		}
	}
	return nil
}

// line returns the next line without its newline; a line cut short is an error, not an end.
func (r *Reader) line() ([]byte, error) {
	line, err := r.r.ReadSlice('\n')
	for errors.Is(err, bufio.ErrBufferFull) {
		long := bytes.Clone(line)
		line, err = r.r.ReadBytes('\n')
		line = append(long, line...)
	}
	if errors.Is(err, io.EOF) && len(line) > 0 {
		return nil, fmt.Errorf("manifest ends in the middle of a line: %w", io.ErrUnexpectedEOF)
	}
	if err != nil {
		return nil, err
	}
	r.offset += int64(len(line))
	return line[:len(line)-1], nil
}

func (r *Reader) addPack(line []byte) error {
	var f [5][]byte
	if split(line, f[:]) != 5 {
		return fmt.Errorf("manifest line %.80q: not a pack", line)
	}
	number, err := parseInt(f[1])
	if err != nil || int(number) != len(r.packs) {
		return fmt.Errorf("manifest line %.80q: pack number out of order", line)
	}
	size, err := parseInt(f[3])
	if err != nil || size < 0 || !pack.ValidName(string(f[2])) {
		return fmt.Errorf("manifest line %.80q: not a pack", line)
	}
	frames, err := parseFrames(f[4])
	if err != nil {
		return err
	}
	r.packs = append(r.packs, pack.Pack{SHA256: string(f[2]), Size: size, Frames: frames})
	return nil
}

func parseFrames(b []byte) ([]pack.Frame, error) {
	var frames []pack.Frame
	for len(b) > 0 {
		one, rest, _ := bytes.Cut(b, []byte(","))
		plain, packed, _ := bytes.Cut(one, []byte(":"))
		p, err1 := parseInt(plain)
		q, err2 := parseInt(packed)
		if err1 != nil || err2 != nil || p < 0 || q < 0 {
			return nil, fmt.Errorf("manifest: bad frame %q", one)
		}
		frames, b = append(frames, pack.Frame{Plain: p, Packed: q}), rest
	}
	return frames, nil
}
