package cloudflare

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// store keeps JSON documents in a folder, one file each, in memory as bytes.
// A document changes only by commit, which writes the file first.
type store struct {
	dir  string
	docs map[string][]byte
	// old holds what eventually consistent reads still see.
	old map[string]staleDoc
	// lag is how many reads of a document miss its latest change.
	lag int
}

type staleDoc struct {
	bytes []byte
	reads int
}

func openStore(dir string) (*store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open the stand-in's state: %w", err)
	}
	st := &store{dir: dir, docs: map[string][]byte{}, old: map[string]staleDoc{}}
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		return nil, fmt.Errorf("open the stand-in's state: %w", err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("open the stand-in's state: %w", err)
		}
		if !json.Valid(b) {
			return nil, fmt.Errorf("open the stand-in's state: %s is not JSON; delete the folder to start over", file)
		}
		st.docs[strings.TrimSuffix(filepath.Base(file), ".json")] = b
	}
	return st, nil
}

// commit writes the changed documents and then shows them to readers.
func (st *store) commit(changed map[string][]byte) error {
	// The account names the other documents, so it comes last: a crash leaves none that is named and missing.
	names := slices.SortedFunc(maps.Keys(changed), func(a, b string) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), strings.Compare(a, b))
	})
	for _, name := range names {
		if err := writeFile(filepath.Join(st.dir, name+".json"), changed[name]); err != nil {
			return fmt.Errorf("keep the stand-in's state: %w", err)
		}
	}
	for name, b := range changed {
		if _, held := st.old[name]; st.lag > 0 && !held {
			st.old[name] = staleDoc{st.docs[name], st.lag}
		}
		st.docs[name] = b
	}
	return nil
}

func rank(name string) int {
	if name == "account" {
		return 1
	}
	return 0
}

// read returns the document as a reading request sees it, which may be an
// older state when the store lags.
func (st *store) read(name string) []byte {
	stale, held := st.old[name]
	if !held {
		return st.docs[name]
	}
	if stale.reads--; stale.reads <= 0 {
		delete(st.old, name)
	} else {
		st.old[name] = stale
	}
	return stale.bytes
}

// writeFile replaces a file so that a crash leaves the old or the new one.
func writeFile(path string, b []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), ".tmp-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(b)
	if err = errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	if err := os.Rename(tmp.Name(), path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, fs.ErrInvalid) {
		return err
	}
	return nil
}
