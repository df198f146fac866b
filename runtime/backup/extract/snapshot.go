// Package extract reads snapshots: it checks the head, the sums and the manifest, and then hands out
// files, each checked against its SHA-256. Restores, verification and drills stand on it. It knows
// nothing of where a snapshot comes from but that its files can be opened by name.
package extract

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"filippo.io/age"
	"github.com/klauspost/compress/zstd"
	"github.com/mailplan/mailplan/runtime/backup/local"
	"github.com/mailplan/mailplan/runtime/backup/manifest"
)

// File is an open file of a snapshot.
type File interface {
	io.ReaderAt
	io.Closer
	Size() int64
}

// Source opens the files of one snapshot by their names in it.
type Source interface {
	Open(ctx context.Context, name string) (File, error)
}

// Folder is a Source: a snapshot on disk.
type Folder string

// Open opens a file of the folder.
func (f Folder) Open(_ context.Context, name string) (File, error) {
	file, err := os.Open(filepath.Join(string(f), name))
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return diskFile{file, info.Size()}, nil
}

type diskFile struct {
	*os.File
	size int64
}

func (f diskFile) Size() int64 { return f.size }

// Snapshot is a snapshot whose head, sums and manifest have been checked.
type Snapshot struct {
	Head       *manifest.Head
	HeadHash   string
	Sums       []local.Sum
	source     Source
	identities []age.Identity
	list       *os.File // the clear manifest, without a name on disk
	size       int64
}

// Open checks the head's signature, and by it the sums and the manifest. The clear manifest goes into a
// file without a name in scratch. Close the snapshot after use.
func Open(ctx context.Context, source Source, trusted []ed25519.PublicKey, identities []age.Identity, scratch string) (*Snapshot, error) {
	const limit = 64 << 20 // bytes of a head or sums file
	head, err := readAll(ctx, source, local.HeadFile, limit)
	if err != nil {
		return nil, err
	}
	s := &Snapshot{source: source, identities: identities, HeadHash: manifest.Hash(head)}
	if s.Head, err = manifest.OpenHead(head, trusted); err != nil {
		return nil, fmt.Errorf("%s: %w", local.HeadFile, err)
	}
	sums, err := readAll(ctx, source, local.SumsFile, limit)
	if err != nil {
		return nil, err
	}
	if manifest.Hash(sums) != s.Head.Sums {
		return nil, fmt.Errorf("%s is not the one the head signs", local.SumsFile)
	}
	if s.Sums, err = local.ParseSums(sums); err != nil {
		return nil, err
	}
	return s, s.openManifest(ctx, scratch)
}

// Close gives the manifest's space back.
func (s *Snapshot) Close() error { return s.list.Close() }

func readAll(ctx context.Context, source Source, name string, limit int64) ([]byte, error) {
	file, err := source.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if file.Size() > limit {
		return nil, fmt.Errorf("%s: %d bytes are more than it can have", name, file.Size())
	}
	data := make([]byte, file.Size())
	if n, err := file.ReadAt(data, 0); n < len(data) {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return data, nil
}

func (s *Snapshot) openManifest(ctx context.Context, scratch string) error {
	if err := os.MkdirAll(scratch, 0o700); err != nil {
		return err
	}
	clear, err := os.CreateTemp(scratch, "manifest-*")
	if err != nil {
		return err
	}
	os.Remove(clear.Name())
	if s.size, err = s.decrypt(ctx, clear); err != nil {
		return errors.Join(fmt.Errorf("%s: %w", local.ManifestFile, err), clear.Close())
	}
	s.list = clear
	return nil
}

func (s *Snapshot) decrypt(ctx context.Context, clear io.Writer) (int64, error) {
	file, err := s.source.Open(ctx, local.ManifestFile)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	if sum, err := hashOf(io.NewSectionReader(file, 0, file.Size())); err != nil || sum != s.Head.Manifest {
		return 0, errors.Join(err, errors.New("its SHA-256 is not the one the head signs"))
	}
	plain, err := age.Decrypt(io.NewSectionReader(file, 0, file.Size()), s.identities...)
	if err != nil {
		return 0, err
	}
	z, err := zstd.NewReader(plain, zstd.WithDecoderConcurrency(1))
	if err != nil {
		return 0, err
	}
	defer z.Close()
	return io.Copy(clear, z)
}

// Manifest returns a reader of the manifest from its start.
func (s *Snapshot) Manifest() (*manifest.Reader, error) {
	return manifest.NewReader(io.NewSectionReader(s.list, 0, s.size))
}

// Entries calls visit for every entry in order.
func (s *Snapshot) Entries(visit func(manifest.Entry) error) error {
	r, err := s.Manifest()
	if err != nil {
		return err
	}
	for {
		e, _, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = visit(e)
		}
		if err != nil {
			return err
		}
	}
}
