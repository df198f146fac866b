package host

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// Owners tells and sets who owns a file. Path is the host's path, local the file that stands for it.
type Owners interface {
	Of(path string, info fs.FileInfo) (uid, gid int)
	Set(path, local string, uid, gid int) error
}

// RealOwners are those of the file system; setting them needs root.
type RealOwners struct{}

// Of reads the owner.
func (RealOwners) Of(_ string, info fs.FileInfo) (uid, gid int) {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(s.Uid), int(s.Gid)
	}
	return 0, 0
}

// Set changes the owner where it is another.
func (r RealOwners) Set(path, local string, uid, gid int) error {
	if info, err := os.Lstat(local); err == nil {
		if u, g := r.Of(path, info); u == uid && g == gid {
			return nil
		}
	}
	if err := os.Chown(local, uid, gid); err != nil {
		return fmt.Errorf("set the owner to %d:%d (run as root): %w", uid, gid, err)
	}
	return nil
}

// RecordedOwners stand in for real ones in a sandbox, where nobody is root: a file keeps them.
type RecordedOwners struct {
	file   string
	owners map[string][2]int
}

// OpenRecordedOwners reads the file; it is made with the first owner.
func OpenRecordedOwners(file string) (*RecordedOwners, error) {
	r := &RecordedOwners{file: file, owners: map[string][2]int{}}
	data, err := os.ReadFile(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return r, nil
	case err != nil:
		return nil, fmt.Errorf("read recorded owners: %w", err)
	}
	if err := json.Unmarshal(data, &r.owners); err != nil {
		return nil, fmt.Errorf("read recorded owners %s: %w", file, err)
	}
	return r, nil
}

// Of looks the owner up; 0:0 is not written down.
func (r *RecordedOwners) Of(path string, _ fs.FileInfo) (uid, gid int) {
	o := r.owners[path]
	return o[0], o[1]
}

// Set writes the owner down.
func (r *RecordedOwners) Set(path, _ string, uid, gid int) error {
	if r.owners[path] == [2]int{uid, gid} {
		return nil
	}
	r.owners[path] = [2]int{uid, gid}
	data, err := json.MarshalIndent(r.owners, "", " ")
	if err != nil {
		return err
	}
	return WriteFile(r.file, append(data, '\n'), 0o600, nil)
}
