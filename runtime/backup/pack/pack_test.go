package pack_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"
	"github.com/mailplan/mailplan/runtime/backup/pack"
)

func newIdentity(t testing.TB) *age.X25519Identity {
	t.Helper()
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	return identity
}

// made is a few packs with what went into them.
type made struct {
	dir      string
	identity *age.X25519Identity
	packs    []pack.Pack
	files    [][]byte
	extents  [][]pack.Extent
}

func build(t testing.TB, sizes []int) *made {
	t.Helper()
	m := &made{dir: t.TempDir(), identity: newIdentity(t)}
	w, err := pack.NewWriter(context.Background(), m.dir, []age.Recipient{m.identity.Recipient()}, 2)
	if err != nil {
		t.Fatal(err)
	}
	noise := rand.NewChaCha8([32]byte{})
	for i, size := range sizes {
		data := make([]byte, size)
		noise.Read(data)
		name := strings.Repeat("long/", i%30) + fmt.Sprint(i)
		extents, err := w.Add(pack.Header{Name: name, Size: int64(size), Mode: 0o600}, bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		m.files, m.extents = append(m.files, data), append(m.extents, extents)
		if i%7 == 0 {
			if err := w.Cut(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if m.packs, err = w.Close(); err != nil {
		t.Fatal(err)
	}
	return m
}

func (m *made) read(t testing.TB, i int) ([]byte, error) {
	t.Helper()
	decoder, err := pack.Decoder()
	if err != nil {
		t.Fatal(err)
	}
	defer decoder.Close()
	var b bytes.Buffer
	for _, x := range m.extents[i] {
		file, err := os.Open(filepath.Join(m.dir, m.packs[x.Pack].FileName()))
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		r, err := pack.NewReader(m.packs[x.Pack], file, decoder, m.identity)
		if err != nil {
			return nil, err
		}
		if err := r.Copy(&b, x); err != nil {
			return nil, err
		}
	}
	return b.Bytes(), nil
}

func TestEveryFileReadsBackAndNoPackIsTooLarge(t *testing.T) {
	sizes := []int{1, 511, 512, 513, 2 << 20, 2<<20 - 512, 5 << 20, 66 << 20, 31 << 20}
	for i := range 200 {
		sizes = append(sizes, i*37)
	}
	m := build(t, sizes)
	for i := range m.files {
		got, err := m.read(t, i)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, m.files[i]) {
			t.Errorf("file %d of %d bytes came back different", i, len(m.files[i]))
		}
	}
	entries, err := os.ReadDir(m.dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != len(m.packs) {
		t.Errorf("%d files in the folder for %d packs", len(entries), len(m.packs))
	}
	for _, p := range m.packs {
		if p.Size > pack.Limit {
			t.Errorf("pack of %d bytes is over the limit", p.Size)
		}
	}
}

func TestFlippedByteIsNeverReadAsGood(t *testing.T) {
	m := build(t, []int{3000, 200000, 5})
	path := filepath.Join(m.dir, m.packs[0].FileName())
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for at := 10; at < len(good); at += len(good) / 50 {
		bad := bytes.Clone(good)
		bad[at] ^= 1
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		for i := range m.files {
			if got, err := m.read(t, i); err == nil && !bytes.Equal(got, m.files[i]) {
				t.Errorf("byte %d flipped: file %d reads as good but different", at, i)
			}
		}
	}
}

func TestFileWhichEndsEarlyIsAnError(t *testing.T) {
	w, err := pack.NewWriter(context.Background(), t.TempDir(), []age.Recipient{newIdentity(t).Recipient()}, 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Add(pack.Header{Name: "short", Size: 100}, io.LimitReader(rand.NewChaCha8([32]byte{}), 50)); err == nil {
		t.Error("a file of 50 bytes passed for one of 100")
	}
	w.Close()
}

func TestFullDiskIsAnError(t *testing.T) {
	w, err := pack.NewWriter(context.Background(), filepath.Join(t.TempDir(), "missing"), []age.Recipient{newIdentity(t).Recipient()}, 2)
	if err != nil {
		t.Fatal(err)
	}
	noise := rand.NewChaCha8([32]byte{})
	for i := 0; err == nil && i < 100; i++ {
		_, err = w.Add(pack.Header{Name: fmt.Sprint(i), Size: 4 << 20}, io.LimitReader(noise, 4<<20))
	}
	if _, closeErr := w.Close(); err == nil && closeErr == nil {
		t.Error("packs which cannot be written passed for written")
	}
}
