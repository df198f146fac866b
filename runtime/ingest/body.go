package ingest

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mailplan/mailplan/runtime/message"
)

var (
	errTooLarge   = errors.New("message is larger than this site takes")
	errShort      = errors.New("request ended before the message did")
	errSlow       = errors.New("message came too slowly")
	errMismatch   = errors.New("message does not match its Content-Digest")
	errEmpty      = errors.New("message is empty")
	errHeaderSize = errors.New("header section is too large")
	errSpillFull  = errors.New("no room left to hold the message")
)

// A message that fits into a whole block is held in memory before it goes on, which spares the mail store a third
// of the turns of its loop for one of 1 MB; of a larger one the first small block is read before anything is
// decided.
const (
	smallBlock     = 64 << 10
	largeBlock     = 256 << 10
	wholeBlock     = 1280 << 10
	maxHeaderSize  = 512 << 10
	maxHeaderLines = 20_000 // each may be a field, which takes more memory than two bytes of text
)

var (
	smallBlocks = sync.Pool{New: func() any { b := make([]byte, smallBlock); return &b }}
	largeBlocks = sync.Pool{New: func() any { b := make([]byte, largeBlock); return &b }}
	wholeBlocks = sync.Pool{New: func() any { b := make([]byte, wholeBlock); return &b }}
)

// blocksFor picks the kind of block that a message of this size, or -1, begins with.
func blocksFor(size int64) *sync.Pool {
	switch {
	case size < 0 || smallBlock <= size && size < largeBlock:
		return &largeBlocks
	case largeBlock <= size && size < wholeBlock:
		return &wholeBlocks
	}
	return &smallBlocks
}

// source reads the body of one request, within its limits of size and silence.
type source struct {
	body    io.Reader
	left    int64 // bytes that may still come
	digest  hash.Hash
	want    [32]byte
	extend  func(time.Time) error // moves the read deadline
	silence time.Duration         // 0: the read deadline stays where it is
	moved   time.Time
	ended   bool
}

// newSource bounds how many bytes a request may send, and for how long it may be silent; 0 leaves the read deadline to the
// caller. A digest that came with the request must be that of the body.
func newSource(w http.ResponseWriter, r *http.Request, most int64, silence time.Duration) (*source, error) {
	s := &source{body: r.Body, left: most, silence: silence}
	s.extend = http.NewResponseController(w).SetReadDeadline
	sum, given, err := parseDigest(r.Header)
	if given {
		s.digest, s.want = sha256.New(), sum
	}
	return s, err
}

// Read reads the next bytes. io.EOF comes only when the body is whole and as it should be.
func (s *source) Read(b []byte) (int, error) {
	if s.ended {
		return 0, io.EOF
	}
	if now := time.Now(); s.silence > 0 && now.Sub(s.moved) > s.silence/8 {
		s.moved = now
		if err := s.extend(now.Add(s.silence)); err != nil && !errors.Is(err, http.ErrNotSupported) {
			return 0, fmt.Errorf("%w: %w", errShort, err)
		}
	}
	n, err := s.body.Read(b)
	if s.left -= int64(n); s.left < 0 {
		return 0, errTooLarge
	}
	if s.digest != nil {
		s.digest.Write(b[:n])
	}
	switch {
	case err == nil:
		return n, nil
	case err == io.EOF:
		return n, s.end()
	case errors.Is(err, os.ErrDeadlineExceeded):
		return n, errSlow
	}
	return n, fmt.Errorf("%w: %w", errShort, err)
}

func (s *source) end() error {
	if s.digest != nil && [32]byte(s.digest.Sum(nil)) != s.want {
		return errMismatch
	}
	s.ended = true
	return io.EOF
}

// mail is a message on its way through: its first block in memory and the rest either still to come
// from the source or held in the spill store.
type mail struct {
	first  []byte // begins with the whole header section
	header message.Header
	length int            // of the header section
	keyer  *message.Keyer // nil when nothing is remembered
	whole  bool           // nothing more to come
	file   *os.File
	size   int64 // of first and file; all of the message when whole
	pool   *sync.Pool
	pooled *[]byte
	hold   *spill
	held   int64 // bytes that file takes from the spill store
}

// readMail reads as far as the header section and the first block reach. size is as announced, or -1.
func readMail(src io.Reader, size int64) (*mail, error) {
	m := &mail{pool: blocksFor(size)}
	m.pooled = m.pool.Get().(*[]byte)
	buf := (*m.pooled)[:0]
	for {
		n, err := src.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if err == io.EOF {
			m.whole = true
			break
		}
		if err != nil {
			m.close()
			return nil, err
		}
		if len(buf) < cap(buf) {
			continue
		}
		if message.Length(buf) >= 0 {
			break
		}
		if cap(buf) >= maxHeaderSize {
			m.close()
			return nil, errHeaderSize
		}
		buf = append(make([]byte, 0, 2*cap(buf)), buf...)
	}
	if len(buf) == 0 {
		m.close()
		return nil, errEmpty
	}
	m.first, m.size = buf, int64(len(buf))
	if m.length = message.Length(buf); m.length < 0 {
		m.length = len(buf)
	}
	if m.length > maxHeaderSize || bytes.Count(buf[:m.length], []byte("\n")) > maxHeaderLines {
		m.close()
		return nil, errHeaderSize
	}
	m.header = message.Parse(buf[:m.length])
	return m, nil
}

// makeKey begins the message's content key with what is already here.
func (m *mail) makeKey(secret []byte, from string, by []string) (err error) {
	if m.keyer, err = message.NewKeyer(secret, from, m.header, by); err != nil {
		return err
	}
	m.see(m.first[m.length:])
	return nil
}

// see has the content key cover b.
func (m *mail) see(b []byte) {
	if m.keyer != nil {
		m.keyer.Write(b)
	}
}

// finish reads what is still to come into the spill store, so that the message can be read again.
func (m *mail) finish(src io.Reader, hold *spill) error {
	if m.whole {
		return nil
	}
	m.hold = hold
	file, err := hold.create()
	if err != nil {
		return err
	}
	m.file = file
	block := smallBlocks.Get().(*[]byte)
	defer smallBlocks.Put(block)
	for {
		n, err := io.ReadFull(src, *block)
		if n > 0 {
			if err := m.store((*block)[:n]); err != nil {
				return err
			}
		}
		if err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, errShort) {
			m.whole = true
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (m *mail) store(b []byte) error {
	if !m.hold.take(int64(len(b))) {
		return errSpillFull
	}
	m.held += int64(len(b))
	m.see(b)
	if _, err := m.file.Write(b); err != nil {
		return fmt.Errorf("%w: %w", errSpillFull, err)
	}
	m.size += int64(len(b))
	return nil
}

// reader reads the whole message from its beginning.
func (m *mail) reader() io.Reader { return io.MultiReader(bytes.NewReader(m.first), m.tail()) }

// tail reads what is in the spill store.
func (m *mail) tail() io.Reader {
	if m.file == nil {
		return bytes.NewReader(nil)
	}
	return io.NewSectionReader(m.file, 0, m.held)
}

func (m *mail) close() {
	if m.pooled != nil {
		m.pool.Put(m.pooled)
		m.pooled = nil
	}
	if m.file != nil {
		m.file.Close()
		m.hold.give(m.held)
		m.file = nil
	}
}

// spill is the bounded store for messages that must be seen whole. Its files have no name, so that
// none is left behind by a crash.
type spill struct {
	dir  string
	max  int64
	used atomic.Int64
}

func (s *spill) create() (*os.File, error) {
	f, err := os.CreateTemp(s.dir, "mailpland-*")
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errSpillFull, err)
	}
	if err := os.Remove(f.Name()); err != nil {
		f.Close()
		return nil, fmt.Errorf("%w: %w", errSpillFull, err)
	}
	return f, nil
}

func (s *spill) take(n int64) bool {
	if s.used.Add(n) > s.max {
		s.used.Add(-n)
		return false
	}
	return true
}

func (s *spill) give(n int64) { s.used.Add(-n) }
