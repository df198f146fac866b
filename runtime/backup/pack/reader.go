package pack

import (
	"fmt"
	"io"
	"sort"

	"filippo.io/age"
	"github.com/klauspost/compress/zstd"
)

// Reader reads extents of one pack. It keeps the frame it decoded last, so extents should be read in
// the order of their offsets. It is for one goroutine.
type Reader struct {
	pack    Pack
	plain   io.ReaderAt // the decrypted zstd file
	decoder *zstd.Decoder
	at      int // number of the frame in data, or -1
	data    []byte
	packed  []byte
}

// Decoder returns a zstd decoder that several Readers can share.
func Decoder() (*zstd.Decoder, error) {
	return zstd.NewReader(nil, zstd.WithDecoderMaxMemory(maxFrame), zstd.WithDecoderConcurrency(2))
}

// NewReader opens a pack whose file is src. The identities decrypt it.
func NewReader(p Pack, src io.ReaderAt, decoder *zstd.Decoder, identities ...age.Identity) (*Reader, error) {
	plain, size, err := age.DecryptReaderAt(src, p.Size, identities...)
	if err != nil {
		return nil, fmt.Errorf("open pack %s: %w", p.FileName(), err)
	}
	if err := checkFrames(p, size); err != nil {
		return nil, err
	}
	return &Reader{pack: p, plain: plain, decoder: decoder, at: -1}, nil
}

func checkFrames(p Pack, size int64) error {
	n := len(p.Frames)
	if n == 0 || p.Frames[n-1].Packed != size {
		return fmt.Errorf("pack %s: frame table does not end at the end of the pack", p.FileName())
	}
	for i := 1; i < n; i++ {
		plain, packed := p.Frames[i].Plain-p.Frames[i-1].Plain, p.Frames[i].Packed-p.Frames[i-1].Packed
		if plain < 0 || plain > maxFrame || packed < 0 || packed > maxFrame {
			return fmt.Errorf("pack %s: frame table is out of order", p.FileName())
		}
	}
	return nil
}

// Copy writes the bytes of x to w.
func (r *Reader) Copy(w io.Writer, x Extent) error {
	offset, left := x.Offset, x.Size
	for left > 0 {
		data, err := r.from(offset)
		if err != nil {
			return err
		}
		data = data[:min(int64(len(data)), left)]
		if _, err := w.Write(data); err != nil {
			return err
		}
		offset, left = offset+int64(len(data)), left-int64(len(data))
	}
	return nil
}

// from returns what the frame around offset holds from there on.
func (r *Reader) from(offset int64) ([]byte, error) {
	frames := r.pack.Frames
	i := sort.Search(len(frames), func(i int) bool { return frames[i].Plain > offset }) - 1
	if offset < 0 || i < 0 || i == len(frames)-1 {
		return nil, fmt.Errorf("pack %s: offset %d is outside", r.pack.FileName(), offset)
	}
	if i != r.at {
		if err := r.decode(i); err != nil {
			r.at = -1
			return nil, fmt.Errorf("pack %s, frame %d: %w", r.pack.FileName(), i, err)
		}
	}
	return r.data[offset-frames[i].Plain:], nil
}

func (r *Reader) decode(i int) error {
	from, to := r.pack.Frames[i], r.pack.Frames[i+1]
	n := int(to.Packed - from.Packed)
	if cap(r.packed) < n {
		r.packed = make([]byte, n, n+n/4)
	}
	if k, err := r.plain.ReadAt(r.packed[:n], from.Packed); k < n {
		return err
	}
	data, err := r.decoder.DecodeAll(r.packed[:n], r.data[:0])
	if err != nil {
		return err
	}
	if int64(len(data)) != to.Plain-from.Plain {
		return fmt.Errorf("%d bytes, the manifest says %d", len(data), to.Plain-from.Plain)
	}
	r.data, r.at = data, i
	return nil
}
