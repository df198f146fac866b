package local

import (
	"errors"
	"os"
	"path/filepath"
	"strings"

	"github.com/mailplan/mailplan/runtime/durable"
)

// Keep says how many snapshots of each kind remain.
type Keep struct {
	Daily    int
	Weekly   int
	Verified string // hash of the head last verified in full; its snapshot remains too
}

// Prune removes the snapshots beyond Keep, oldest first, and incomplete ones older than the newest
// complete one. Without a complete snapshot, and in a folder where nothing newer is complete, nothing
// is removed. It returns what was removed, as kind/name.
func (s Store) Prune(keep Keep) ([]string, error) {
	all, err := s.Snapshots()
	if err != nil {
		return nil, err
	}
	newest := Newest(all)
	if newest == nil {
		return nil, nil
	}
	left := map[string]int{Daily: keep.Daily, Weekly: keep.Weekly}
	var removed []string
	for i := len(all) - 1; i >= 0; i-- {
		one := all[i]
		if one.Err != nil || !s.expired(one, newest, left, keep.Verified) {
			continue // what cannot be read is not judged: verify reports it
		}
		if removeErr := s.remove(one); removeErr != nil {
			err = errors.Join(err, removeErr)
			continue
		}
		removed = append(removed, one.Kind+"/"+one.Name)
	}
	return removed, err
}

func (s Store) expired(one Snapshot, newest *Snapshot, left map[string]int, verified string) bool {
	if strings.HasSuffix(one.Name, Incomplete) {
		return one.Head.Sequence < newest.Head.Sequence
	}
	if left[one.Kind] > 0 {
		left[one.Kind]--
		return false
	}
	return one.HeadHash != verified && one.HeadHash != newest.HeadHash
}

// remove takes a snapshot away: first out of sight by a rename, then for good.
func (s Store) remove(one Snapshot) error {
	hidden := filepath.Join(s.kind(one.Kind), building+one.Name)
	if err := os.Rename(one.Dir, hidden); err != nil {
		return err
	}
	if err := durable.Sync(filepath.Dir(hidden)); err != nil {
		return err
	}
	return os.RemoveAll(hidden)
}
