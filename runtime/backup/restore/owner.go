package restore

import (
	"io/fs"
	"syscall"

	"github.com/mailplan/mailplan/runtime/backup/manifest"
)

type ids struct{ uid, gid int }

func owner(info fs.FileInfo) ids {
	st := info.Sys().(*syscall.Stat_t)
	return ids{int(st.Uid), int(st.Gid)}
}

// isSingleFile reports whether the class was one file, not a folder: then the manifest has no entry for
// its root.
func (r *Restorer) isSingleFile(class string) (bool, error) {
	found := false
	err := r.Snapshot.Entries(func(e manifest.Entry) error {
		found = found || e.Kind == manifest.Dir && e.Path == class
		return nil
	})
	return !found, err
}
