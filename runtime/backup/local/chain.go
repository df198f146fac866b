package local

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/mailplan/mailplan/runtime/backup/manifest"
	"github.com/mailplan/mailplan/runtime/durable"
)

func (s Store) chain() string { return filepath.Join(s.Path, "chain") }

// Link is one head of the chain.
type Link struct {
	Head *manifest.Head
	Hash string
	File []byte
}

// Record keeps the head of a committed snapshot in the chain.
func (s Store) Record(dir string) error {
	file, err := os.ReadFile(filepath.Join(dir, HeadFile))
	if err != nil {
		return err
	}
	_, err = s.Adopt(file)
	return err
}

// Adopt keeps the head of a snapshot that may be elsewhere. An empty chain begins with it: the runs of a host that lost
// its store go on counting where the lost ones stopped.
func (s Store) Adopt(file []byte) (Link, error) {
	head, err := manifest.OpenHead(file, s.Trusted)
	if err != nil {
		return Link{}, err
	}
	return Link{Head: head, Hash: manifest.Hash(file), File: file}, s.keep(head.Sequence, file)
}

func (s Store) keep(sequence int64, file []byte) error {
	if err := os.MkdirAll(s.chain(), 0o700); err != nil {
		return err
	}
	path := filepath.Join(s.chain(), fmt.Sprintf("%08d", sequence))
	return durable.Replace(path, file)
}

// Chain returns all heads in order, and everything wrong with them: a bad signature, a gap, a head
// which does not name the one before it. A head whose key is trusted no longer is believed as long as the one after it is and
// names it: keys change, and the chain is older than any of them.
func (s Store) Chain() ([]Link, error) {
	entries, err := os.ReadDir(s.chain())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var links []Link
	var wrong []error
	note := func(name string, err error) {
		if err != nil {
			wrong = append(wrong, fmt.Errorf("chain/%s: %w", name, err))
		}
	}
	var after *Link // in time; the newest comes first
	for _, e := range slices.Backward(entries) {
		if strings.HasSuffix(e.Name(), ".new") {
			continue
		}
		link, err := s.link(e.Name(), after)
		note(e.Name(), err)
		if link.Head == nil {
			continue
		}
		if after != nil {
			note(fmt.Sprintf("%08d", after.Head.Sequence), follows(link, *after))
		}
		links, after = append(links, link), &link
	}
	slices.Reverse(links)
	slices.Reverse(wrong)
	return links, errors.Join(wrong...)
}

// link reads a head of the chain; after is the one that should name it, nil for the newest.
func (s Store) link(name string, after *Link) (Link, error) {
	file, err := os.ReadFile(filepath.Join(s.chain(), name))
	if err != nil {
		return Link{}, err
	}
	head, err := manifest.OpenHead(file, s.Trusted)
	if err != nil && after != nil {
		if named, not := manifest.OpenNamed(file, after.Head.Previous); not == nil {
			head, err = named, nil
		}
	}
	if err == nil && fmt.Sprintf("%08d", head.Sequence) != name {
		err = fmt.Errorf("holds the head of run %d", head.Sequence)
	}
	return Link{Head: head, Hash: manifest.Hash(file), File: file}, err
}

func follows(before, after Link) error {
	if after.Head.Sequence != before.Head.Sequence+1 {
		return fmt.Errorf("follows run %d: heads between them are missing", before.Head.Sequence)
	}
	if after.Head.Previous != before.Hash {
		return fmt.Errorf("names another head than run %d as the one before it", before.Head.Sequence)
	}
	return nil
}

// Tip returns the newest head: of the chain or, if a run was killed before it recorded its head there,
// of the snapshots; such heads are recorded now. A store without any has a zero Link.
func (s Store) Tip() (Link, error) {
	all, err := s.Snapshots()
	if err != nil {
		return Link{}, err
	}
	links, chainErr := s.Chain()
	if chainErr != nil && len(links) == 0 {
		return Link{}, chainErr // nothing readable to go on from; a broken old link is verify's business
	}
	var tip Link
	if len(links) > 0 {
		tip = links[len(links)-1]
	}
	for _, one := range all {
		if one.Err != nil || tip.Head != nil && one.Head.Sequence <= tip.Head.Sequence {
			continue
		}
		if err := s.Record(one.Dir); err != nil {
			return Link{}, err
		}
		tip = Link{Head: one.Head, Hash: one.HeadHash}
	}
	return tip, nil
}
