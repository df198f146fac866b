package manifest_test

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/mailplan/mailplan/runtime/backup/manifest"
	"github.com/mailplan/mailplan/runtime/backup/pack"
)

func entries() []manifest.Entry {
	return []manifest.Entry{
		{Kind: manifest.Dir, Path: "config", Mode: 0o755, UID: 1, GID: 2, MTime: 3},
		{Kind: manifest.File, Path: "config/a\tb\\n\nc", Size: 7, MTime: 4, CTime: 5, Inode: 6, Mode: 0o600, UID: 7, GID: 8,
			SHA256: [32]byte{1, 2}, Extents: []pack.Extent{{Pack: 0, Offset: 512, Size: 4}, {Pack: 1, Offset: 512, Size: 3}}, Stored: "config/was"},
		{Kind: manifest.File, Path: "config/empty"},
		{Kind: manifest.Symlink, Path: "config/link", Target: "a b"},
		{Kind: manifest.Dir, Path: "config-site", Mode: 0o700, MTime: -1},
	}
}

func write(t testing.TB, all []manifest.Entry) []byte {
	t.Helper()
	var b bytes.Buffer
	w := manifest.NewWriter(&b)
	for i := range 2 {
		p := pack.Pack{SHA256: strings.Repeat("ab", 32), Size: 99, Frames: []pack.Frame{{}, {Plain: 2048, Packed: 50}}}
		if err := w.AddPack(i, p); err != nil {
			t.Fatal(err)
		}
	}
	for i := range all {
		if _, err := w.Add(&all[i]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func read(file []byte) (all []manifest.Entry, offsets []int64, err error) {
	r, err := manifest.NewReader(bytes.NewReader(file))
	if err != nil {
		return nil, nil, err
	}
	for {
		e, at, err := r.Next()
		if errors.Is(err, io.EOF) {
			return all, offsets, nil
		}
		if err != nil {
			return nil, nil, err
		}
		all, offsets = append(all, e), append(offsets, at)
	}
}

func TestListReadsBackAsWritten(t *testing.T) {
	file := write(t, entries())
	got, offsets, err := read(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(entries(), got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for i, at := range offsets {
		line, _, _ := bytes.Cut(file[at:], []byte("\n"))
		e, err := manifest.ParseEntry(line)
		if err != nil || e.Path != got[i].Path {
			t.Errorf("offset %d leads to %q, %v; want %q", at, e.Path, err, got[i].Path)
		}
	}
}

func TestListRefusesWhatWouldRestoreWrong(t *testing.T) {
	good := string(write(t, entries()))
	for name, file := range map[string]string{
		"cut in the middle of a line": good[:len(good)-5],
		"out of order":                strings.Replace(good, "\tconfig/empty\n", "\tconfig/\n", 1),
		"path leaves the folder":      strings.Replace(good, "\tconfig/empty\n", "\tconfig/../../etc/passwd\n", 1),
		"absolute path":               strings.Replace(good, "\tconfig/empty\n", "\t/etc/passwd\n", 1),
		"pack which is not listed":    strings.Replace(good, "0:512:4", "9:512:4", 1),
		"extents short of the size":   strings.Replace(good, "0:512:4", "0:512:3", 1),
		"more fields than any kind":   strings.Replace(good, "\tconfig/empty\n", strings.Repeat("\tconfig/empty", 12)+"\n", 1),
		"short hash":                  strings.Replace(good, "0102", "01", 1),
	} {
		if file == good {
			t.Fatalf("%s: the test changes nothing", name)
		}
		if _, _, err := read([]byte(file)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestComparePathIsTheOrderOfAWalk(t *testing.T) {
	walk := []string{"a", "a/b", "a/b/c", "a/b c", "a b", "a-b", "a.b"}
	for i := range walk {
		for j := range walk {
			got := manifest.ComparePath(walk[i], walk[j])
			if got < 0 != (i < j) || got > 0 != (i > j) {
				t.Errorf("ComparePath(%q, %q) = %d", walk[i], walk[j], got)
			}
		}
	}
}

func TestHeadIsBelievedOnlyWithATrustedSignature(t *testing.T) {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	other, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	head := manifest.Head{Format: manifest.Format, Instance: "home", Sequence: 3}
	file, err := head.Sign(private)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := manifest.OpenHead(file, []ed25519.PublicKey{other, public}); err != nil || got.Sequence != 3 {
		t.Errorf("got %v, %v", got, err)
	}
	for name, open := range map[string]func() error{
		"other key":  func() error { _, err := manifest.OpenHead(file, []ed25519.PublicKey{other}); return err },
		"no key":     func() error { _, err := manifest.OpenHead(file, nil); return err },
		"changed":    func() error { return openChanged(file, "home", "away", public) },
		"other file": func() error { return openChanged(file, manifest.Format, "mailplan-backup/2", public) },
		"cut":        func() error { _, err := manifest.OpenHead(file[:len(file)/2], []ed25519.PublicKey{public}); return err },
	} {
		if open() == nil {
			t.Errorf("%s: believed", name)
		}
	}
}

func openChanged(file []byte, from, to string, key ed25519.PublicKey) error {
	_, err := manifest.OpenHead(bytes.Replace(file, []byte(from), []byte(to), 1), []ed25519.PublicKey{key})
	return err
}

func FuzzReader(f *testing.F) {
	f.Add(write(f, entries()))
	f.Fuzz(func(t *testing.T, file []byte) {
		all, _, err := read(file)
		if err != nil {
			return
		}
		for _, e := range all {
			if strings.HasPrefix(e.Path, "/") || strings.Contains("/"+e.Path+"/", "/../") {
				t.Errorf("accepted path %q", e.Path)
			}
		}
	})
}
