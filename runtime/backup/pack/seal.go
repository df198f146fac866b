package pack

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"sync"

	"filippo.io/age"
	"golang.org/x/sync/errgroup"
)

// sealer encrypts the frames of one pack into a temporary file.
type sealer struct {
	file   *os.File
	hash   hash.Hash
	buffer *bufio.Writer
	age    io.WriteCloser
	size   *counter
	frames []Frame
	plain  int64
	packed int64
}

func newSealer(dir string, recipients []age.Recipient) (*sealer, error) {
	file, err := os.CreateTemp(dir, ".pack-*")
	if err != nil {
		return nil, err
	}
	s := &sealer{file: file, hash: sha256.New(), size: &counter{}}
	s.buffer = bufio.NewWriterSize(io.MultiWriter(file, s.hash, s.size), 1<<20)
	if s.age, err = age.Encrypt(s.buffer, recipients...); err != nil {
		s.discard()
		return nil, err
	}
	return s, nil
}

type counter struct{ n int64 }

func (c *counter) Write(p []byte) (int, error) {
	c.n += int64(len(p))
	return len(p), nil
}

func (s *sealer) add(f *frame) error {
	s.frames = append(s.frames, Frame{Plain: s.plain, Packed: s.packed})
	s.plain += int64(len(f.plain))
	s.packed += int64(len(f.out))
	_, err := s.age.Write(f.out)
	return err
}

func (s *sealer) discard() {
	s.file.Close()
	os.Remove(s.file.Name())
}

// finish completes the age file and returns what it is; the bytes may not have reached the disk.
func (s *sealer) finish() (Pack, error) {
	if err := s.age.Close(); err != nil {
		return Pack{}, err
	}
	if err := s.buffer.Flush(); err != nil {
		return Pack{}, err
	}
	frames := append(s.frames, Frame{Plain: s.plain, Packed: s.packed})
	return Pack{SHA256: hex.EncodeToString(s.hash.Sum(nil)), Size: s.size.n, Frames: frames}, nil
}

// closer waits for the disk while the next pack is already being written.
type closer struct {
	dir   string
	group errgroup.Group
}

func newCloser(dir string) *closer {
	c := &closer{dir: dir}
	c.group.SetLimit(2)
	return c
}

func (c *closer) close(s *sealer, b *building) error {
	pack, err := s.finish()
	if err != nil {
		s.discard()
		return err
	}
	b.pack = pack
	c.group.Go(func() error { return c.keep(s, pack) })
	return nil
}

// keep waits until the pack is on disk, reads it back and gives it its name.
func (c *closer) keep(s *sealer, pack Pack) error {
	err := s.file.Sync()
	if err == nil {
		err = readBack(s.file, pack)
	}
	if err == nil {
		err = s.file.Close()
	}
	if err == nil {
		err = os.Rename(s.file.Name(), filepath.Join(c.dir, pack.FileName()))
	}
	if err != nil {
		s.discard()
	}
	return err
}

func readBack(file *os.File, pack Pack) error {
	hash := sha256.New()
	whole := io.NewSectionReader(file, 0, pack.Size)
	if _, err := io.CopyBuffer(hash, struct{ io.Reader }{whole}, make([]byte, 128<<10)); err != nil {
		return err
	}
	if got := hex.EncodeToString(hash.Sum(nil)); got != pack.SHA256 {
		return fmt.Errorf("pack %s reads back with other bytes: the disk under %s is not to be trusted", pack.FileName(), file.Name())
	}
	return nil
}

func (c *closer) wait() error { return c.group.Wait() }

// bufferPool keeps the memory of frames in use instead of giving each to the collector.
type bufferPool struct{ pool sync.Pool }

func (b *bufferPool) get() []byte {
	if p, ok := b.pool.Get().(*[]byte); ok {
		return (*p)[:0]
	}
	return make([]byte, 0, frameSize)
}

func (b *bufferPool) put(p []byte) { b.pool.Put(&p) }
