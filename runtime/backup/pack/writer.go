package pack

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"filippo.io/age"
	"github.com/klauspost/compress/zstd"
)

// Header is what the tar says of a file.
type Header struct {
	Name    string
	Size    int64
	Mode    uint32
	UID     int
	GID     int
	ModTime time.Time
}

// Writer stores files into packs in a folder, compressing on several processors. Its methods are for
// one goroutine.
type Writer struct {
	dir        string
	recipients []age.Recipient

	tar     *tar.Writer
	open    *building // the pack entries go to; nil before the first
	frame   *frame    // the frame being filled
	bound   *atomic.Int64
	packs   []*building
	buffers bufferPool
	todo    chan *frame // to the compressors
	ordered chan *frame // to the sealer, in order
	sealed  chan error
	ctx     context.Context
	stop    context.CancelCauseFunc
}

// building is a pack on its way.
type building struct {
	plain int64 // bytes of tar so far
	pack  Pack
}

// frame is a run of tar on its way through a compressor to the sealer.
type frame struct {
	pack  *building
	plain []byte
	out   []byte
	done  chan struct{}
	last  bool // of its pack
	bound *atomic.Int64
}

// NewWriter returns a Writer which leaves its packs in dir, encrypted to the recipients. workers is how
// many processors may compress.
func NewWriter(ctx context.Context, dir string, recipients []age.Recipient, workers int) (*Writer, error) {
	if len(recipients) == 0 {
		return nil, errors.New("no age recipient: a backup nobody can open is refused")
	}
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest),
		zstd.WithAllLitEntropyCompression(true), zstd.WithEncoderConcurrency(workers),
		zstd.WithEncoderCRC(false)) // age authenticates every byte already
	if err != nil {
		return nil, err
	}
	w := &Writer{dir: dir, recipients: recipients,
		todo: make(chan *frame, workers), ordered: make(chan *frame, 2*workers), sealed: make(chan error, 1)}
	w.ctx, w.stop = context.WithCancelCause(ctx)
	for range workers {
		go compress(encoder, w.todo)
	}
	go func() { w.sealed <- w.seal() }()
	return w, nil
}

func compress(encoder *zstd.Encoder, todo <-chan *frame) {
	for f := range todo {
		f.out = encoder.EncodeAll(f.plain, f.out[:0])
		f.bound.Add(int64(len(f.out)) - worstCase(len(f.plain)))
		close(f.done)
	}
}

// worstCase is no less than the size of n bytes compressed: zstd stores what it cannot shrink in blocks
// of 128 KiB with a header of 3 bytes.
func worstCase(n int) int64 { return int64(n) + int64(n)>>12 + 64 }

// Add stores a file of h.Size bytes read from r and says where. A file which ends early or goes on
// after h.Size is an error and spoils the Writer.
func (w *Writer) Add(h Header, r io.Reader) ([]Extent, error) {
	if h.Size <= ChunkSize {
		x, err := w.add(h, r)
		return []Extent{x}, err
	}
	var extents []Extent
	name, left := h.Name, h.Size
	for part := 1; left > 0; part++ {
		h.Name, h.Size = PartName(name, part), min(left, ChunkSize)
		x, err := w.add(h, io.LimitReader(r, h.Size))
		if err != nil {
			return nil, err
		}
		extents, left = append(extents, x), left-h.Size
	}
	return extents, nil
}

// PartName is the name in the tar of one part, counted from 1, of a file stored in parts.
func PartName(name string, part int) string { return fmt.Sprintf("%s.part%05d", name, part) }

func (w *Writer) add(h Header, r io.Reader) (Extent, error) {
	if err := w.room(h.Size); err != nil {
		return Extent{}, err
	}
	err := w.tar.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: h.Name, Size: h.Size,
		Mode: int64(h.Mode), Uid: h.UID, Gid: h.GID, ModTime: h.ModTime.Truncate(time.Second)})
	if err != nil {
		return Extent{}, fmt.Errorf("pack %s: %w", h.Name, err)
	}
	x := Extent{Pack: len(w.packs) - 1, Offset: w.open.plain, Size: h.Size}
	n, err := io.Copy(w.tar, r)
	if err != nil {
		return Extent{}, fmt.Errorf("pack %s: %w", h.Name, err)
	}
	if n != h.Size {
		return Extent{}, fmt.Errorf("pack %s: read %d bytes of %d", h.Name, n, h.Size)
	}
	return x, w.tar.Flush()
}

// room opens a pack in which size more bytes surely fit.
func (w *Writer) room(size int64) error {
	const overhead = 64 << 10 // tar headers and end, age header and a tag of 16 bytes for each 64 KiB
	if w.open != nil {
		if w.bound.Load()+worstCase(len(w.frame.plain)+int(size))+overhead <= Limit {
			return w.ctx.Err()
		}
		if err := w.finish(); err != nil {
			return err
		}
	}
	w.open, w.bound = &building{}, new(atomic.Int64)
	w.packs = append(w.packs, w.open)
	w.tar = tar.NewWriter((*frameWriter)(w))
	w.newFrame()
	return w.ctx.Err()
}

func (w *Writer) newFrame() {
	w.frame = &frame{pack: w.open, bound: w.bound, done: make(chan struct{}), plain: w.buffers.get(), out: w.buffers.get()}
}

// frameWriter is the end of the tar writer: it gathers frames.
type frameWriter Writer

func (w *frameWriter) Write(p []byte) (int, error) {
	total := len(p)
	for len(p) > 0 {
		n := min(len(p), frameSize-len(w.frame.plain))
		w.frame.plain = append(w.frame.plain, p[:n]...)
		w.open.plain += int64(n)
		p = p[n:]
		if len(w.frame.plain) == frameSize {
			if err := (*Writer)(w).send(false); err != nil {
				return 0, err
			}
		}
	}
	return total, nil
}

// Cut ends the current frame: what is added next can be read without what came before.
func (w *Writer) Cut() error {
	if w.open == nil || len(w.frame.plain) == 0 {
		return nil
	}
	return w.send(false)
}

func (w *Writer) send(last bool) error {
	f := w.frame
	f.last = last
	w.bound.Add(worstCase(len(f.plain)))
	for _, to := range []chan *frame{w.ordered, w.todo} {
		select {
		case to <- f:
		case <-w.ctx.Done():
			return context.Cause(w.ctx)
		}
	}
	w.newFrame()
	return nil
}

// finish ends the open pack.
func (w *Writer) finish() error {
	if err := w.tar.Close(); err != nil {
		return err
	}
	w.open = nil
	return w.send(true)
}

// Close finishes the last pack and waits until all of them are on disk. The packs are in the order of
// Extent.Pack.
func (w *Writer) Close() ([]Pack, error) {
	var err error
	if w.open != nil {
		err = w.finish()
	}
	close(w.todo)
	close(w.ordered)
	if sealErr := <-w.sealed; sealErr != nil {
		err = sealErr
	}
	w.stop(nil)
	if err != nil {
		return nil, err
	}
	packs := make([]Pack, len(w.packs))
	for i, p := range w.packs {
		packs[i] = p.pack
	}
	return packs, nil
}

// seal takes the frames in order and writes the packs.
func (w *Writer) seal() error {
	var file *sealer
	closer := newCloser(w.dir)
	for f := range w.ordered {
		select {
		case <-f.done:
		case <-w.ctx.Done():
			return w.abort(file, closer, context.Cause(w.ctx))
		}
		var err error
		if file == nil {
			file, err = newSealer(w.dir, w.recipients)
		}
		if err == nil {
			err = file.add(f)
		}
		if err == nil && f.last {
			err = closer.close(file, f.pack)
			file = nil
		}
		if err != nil {
			return w.abort(file, closer, err)
		}
		w.buffers.put(f.plain)
		w.buffers.put(f.out)
	}
	if file != nil {
		return w.abort(file, closer, errors.New("pack writer closed in the middle of a pack"))
	}
	return closer.wait()
}

func (w *Writer) abort(file *sealer, closer *closer, err error) error {
	w.stop(err)
	if file != nil {
		file.discard()
	}
	return errors.Join(err, closer.wait())
}

// Remove deletes what a Writer which failed or was killed left in dir.
func Remove(dir string) error {
	left, err := filepath.Glob(filepath.Join(dir, ".pack-*"))
	for _, path := range left {
		err = errors.Join(err, os.Remove(path))
	}
	return err
}
