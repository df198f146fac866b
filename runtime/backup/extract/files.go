package extract

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"

	"filippo.io/age"
	"github.com/klauspost/compress/zstd"
	"github.com/mailplan/mailplan/runtime/backup/manifest"
	"github.com/mailplan/mailplan/runtime/backup/pack"
	"golang.org/x/sync/errgroup"
)

// Content writes a file's bytes to w. It returns an error, after writing, if they are not those the
// manifest names.
type Content func(w io.Writer) error

// Files calls visit for every file that want chooses, from several goroutines at once, folder by folder
// and within a folder in the order of the packs. An error of visit ends the reading.
func (s *Snapshot) Files(ctx context.Context, workers int, want func(*manifest.Entry) bool, visit func(*manifest.Entry, Content) error) error {
	decoder, err := pack.Decoder()
	if err != nil {
		return err
	}
	defer decoder.Close()
	batches := make(chan []manifest.Entry, workers)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		defer close(batches)
		return s.batches(ctx, want, batches)
	})
	r, err := s.Manifest()
	if err != nil {
		return err
	}
	for range workers {
		group.Go(func() error {
			k := &worker{ctx: ctx, source: s.source, packs: r.Packs(), identities: s.identities, decoder: decoder}
			defer k.close()
			return k.run(batches, visit)
		})
	}
	return group.Wait()
}

// batches gathers the files of one folder each, but not endlessly many.
func (s *Snapshot) batches(ctx context.Context, want func(*manifest.Entry) bool, to chan<- []manifest.Entry) error {
	const most = 2048
	var batch []manifest.Entry
	send := func() error {
		if len(batch) == 0 {
			return nil
		}
		select {
		case to <- batch:
		case <-ctx.Done():
			return ctx.Err()
		}
		batch = nil
		return nil
	}
	folder := ""
	err := s.Entries(func(e manifest.Entry) error {
		if e.Kind != manifest.File || !want(&e) {
			return nil
		}
		if dir := path.Dir(e.Path); dir != folder && len(batch) > 64 || len(batch) == most {
			folder = dir
			if err := send(); err != nil {
				return err
			}
		}
		batch = append(batch, e)
		return nil
	})
	if err != nil {
		return err
	}
	return send()
}

// worker reads one batch after the other; it keeps the pack it read last open.
type worker struct {
	ctx        context.Context
	source     Source
	packs      []pack.Pack
	identities []age.Identity
	decoder    *zstd.Decoder
	number     int
	file       File
	reader     *pack.Reader
}

func (k *worker) close() {
	if k.file != nil {
		k.file.Close()
		k.file = nil
	}
}

func (k *worker) run(batches <-chan []manifest.Entry, visit func(*manifest.Entry, Content) error) error {
	for batch := range batches {
		slices.SortStableFunc(batch, func(a, b manifest.Entry) int {
			x, y := first(&a), first(&b)
			return cmp.Or(x.Pack-y.Pack, cmp.Compare(x.Offset, y.Offset))
		})
		for i := range batch {
			if err := k.ctx.Err(); err != nil {
				return err
			}
			e := &batch[i]
			if err := visit(e, func(w io.Writer) error { return k.copy(e, w) }); err != nil {
				return err
			}
		}
	}
	return nil
}

func first(e *manifest.Entry) pack.Extent {
	if len(e.Extents) == 0 {
		return pack.Extent{}
	}
	return e.Extents[0]
}

func (k *worker) copy(e *manifest.Entry, w io.Writer) error {
	hash := sha256.New()
	for _, x := range e.Extents {
		if err := k.open(x.Pack); err != nil {
			return fmt.Errorf("%s: %w", e.Path, err)
		}
		if err := k.reader.Copy(io.MultiWriter(w, hash), x); err != nil {
			return fmt.Errorf("%s: %w", e.Path, err)
		}
	}
	if len(e.Extents) > 0 && [32]byte(hash.Sum(nil)) != e.SHA256 {
		return fmt.Errorf("%s: its bytes in pack %s are not those the manifest names", e.Path, k.packs[k.number].FileName())
	}
	return nil
}

func (k *worker) open(number int) error {
	if k.file != nil && k.number == number {
		return nil
	}
	k.close()
	p := k.packs[number]
	file, err := k.source.Open(k.ctx, p.FileName())
	if err != nil {
		return err
	}
	if file.Size() != p.Size {
		return errors.Join(fmt.Errorf("pack %s has %d bytes, the manifest says %d", p.FileName(), file.Size(), p.Size), file.Close())
	}
	reader, err := pack.NewReader(p, file, k.decoder, k.identities...)
	if err != nil {
		return errors.Join(err, file.Close())
	}
	k.number, k.file, k.reader = number, file, reader
	return nil
}

func hashOf(r io.Reader) (string, error) {
	hash := sha256.New()
	_, err := io.CopyBuffer(hash, struct{ io.Reader }{r}, make([]byte, 256<<10))
	return hex.EncodeToString(hash.Sum(nil)), err
}
