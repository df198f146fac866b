// Package local keeps snapshots in a folder on a disk of their own:
//
//	daily/2026-11-21/    HEAD, SHA256SUMS, RESTORE.txt, manifest.tsv.zst.age and every pack needed
//	weekly/2026-47/      the same for an ISO 8601 week
//	chain/00000042       every head ever signed, by sequence number
//
// A pack in several snapshots is one file with several hard links, so deleting a snapshot is `rm -r`.
// A snapshot is built in a folder whose name begins with a dot and appears by one rename. The package
// does not look into manifests or packs.
package local

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/mailplan/mailplan/runtime/backup/manifest"
)

// Names of the files of a snapshot.
const (
	HeadFile     = "HEAD"
	SumsFile     = "SHA256SUMS"
	ReadmeFile   = "RESTORE.txt"
	ManifestFile = "manifest.tsv.zst.age"
)

// Kinds of snapshots: the folders below the store.
const (
	Daily  = "daily"
	Weekly = "weekly"
)

// Incomplete is what the folder of a snapshot which lacks a class has after its name.
const Incomplete = ".incomplete"

// Store is the folder.
type Store struct {
	Path    string
	Trusted []ed25519.PublicKey // whose heads are believed
}

// Snapshot is one folder of a Store.
type Snapshot struct {
	Dir      string
	Kind     string         // Daily or Weekly
	Name     string         // the folder's name
	Head     *manifest.Head // nil when Err is set
	HeadHash string         // by which the chain names it
	Err      error          // why the head is not believed
}

// Complete reports whether the head is believed and no class is missing.
func (s *Snapshot) Complete() bool { return s.Err == nil && s.Head.Complete() == nil }

// Open reads the head of the snapshot in a folder.
func (s Store) Open(dir string) Snapshot {
	one := Snapshot{Dir: dir, Kind: filepath.Base(filepath.Dir(dir)), Name: filepath.Base(dir)}
	file, err := os.ReadFile(filepath.Join(dir, HeadFile))
	if err == nil {
		one.HeadHash = manifest.Hash(file)
		one.Head, err = manifest.OpenHead(file, s.Trusted)
	}
	if err != nil {
		one.Err = fmt.Errorf("snapshot %s/%s: head: %w", one.Kind, one.Name, err)
	}
	return one
}

// Snapshots returns all snapshots: the believed ones oldest first, then those with an error.
func (s Store) Snapshots() ([]Snapshot, error) {
	var all []Snapshot
	for _, kind := range []string{Daily, Weekly} {
		entries, err := os.ReadDir(filepath.Join(s.Path, kind))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		for _, e := range entries {
			if e.IsDir() && !strings.HasPrefix(e.Name(), ".") {
				all = append(all, s.Open(filepath.Join(s.Path, kind, e.Name())))
			}
		}
	}
	slices.SortStableFunc(all, func(a, b Snapshot) int { return age(a) - age(b) })
	return all, nil
}

func age(s Snapshot) int {
	if s.Err != nil {
		return 1 << 62
	}
	return int(s.Head.Sequence)
}

// Newest returns the newest complete snapshot, or nil.
func Newest(all []Snapshot) *Snapshot {
	for i := len(all) - 1; i >= 0; i-- {
		if all[i].Complete() {
			return &all[i]
		}
	}
	return nil
}

// Find returns the path of a file with that name and size in any of the snapshots, or "".
func Find(all []Snapshot, name string, size int64) string {
	for i := len(all) - 1; i >= 0; i-- {
		path := filepath.Join(all[i].Dir, name)
		if info, err := os.Lstat(path); err == nil && info.Mode().IsRegular() && info.Size() == size {
			return path
		}
	}
	return ""
}
