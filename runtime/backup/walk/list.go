package walk

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// listing is one reading of a folder.
type listing struct {
	names []name
	stamp int64 // the folder's modification time before it was read, nanoseconds
	racy  bool  // the folder had been changed so recently that a later change may bear the same stamp
}

type name struct {
	name string
	dir  bool
	link bool
}

// clockTick is longer than the step in which the kernel stamps files: two changes within it may leave
// equal times.
const clockTick = 40 * time.Millisecond

// list reads a folder. It asks the kernel for as much as one call can give, because a folder is locked
// against renames during one call but not between two: Dovecot renames messages all the time, and a
// reading in many small calls misses some of them.
func list(path string, buffer []byte) (listing, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0)
	if err != nil {
		return listing{}, &os.PathError{Op: "open", Path: path, Err: err}
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return listing{}, &os.PathError{Op: "stat", Path: path, Err: err}
	}
	l := listing{stamp: st.Mtim.Nano()}
	l.racy = time.Since(time.Unix(0, l.stamp)) < clockTick
	for {
		n, err := unix.ReadDirent(fd, buffer)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return listing{}, &os.PathError{Op: "read", Path: path, Err: err}
		}
		if n <= 0 {
			break
		}
		if err := l.parse(fd, buffer[:n]); err != nil {
			return listing{}, fmt.Errorf("read %s: %w", path, err)
		}
	}
	slices.SortFunc(l.names, func(a, b name) int { return strings.Compare(a.name, b.name) })
	return l, nil
}

// parse takes the names out of a run of struct linux_dirent64 (getdents64(2)).
func (l *listing) parse(fd int, b []byte) error {
	const nameAt, typeAt, lengthAt = 19, 18, 16
	for len(b) >= nameAt {
		length := int(binary.NativeEndian.Uint16(b[lengthAt:]))
		if length < nameAt || length > len(b) {
			return unix.EIO
		}
		text, _, _ := bytes.Cut(b[nameAt:length], []byte{0})
		kind := b[typeAt]
		b = b[length:]
		if string(text) == "." || string(text) == ".." {
			continue
		}
		n := name{name: string(text)}
		if kind == unix.DT_UNKNOWN {
			kind = kindOf(fd, n.name)
		}
		switch kind {
		case unix.DT_DIR:
			n.dir = true
		case unix.DT_LNK:
			n.link = true
		case unix.DT_REG:
		default:
			continue // sockets, pipes and devices hold no data
		}
		l.names = append(l.names, n)
	}
	return nil
}

// kindOf asks for what a file system without types in its folders does not tell.
func kindOf(fd int, name string) byte {
	var st unix.Stat_t
	if unix.Fstatat(fd, name, &st, unix.AT_SYMLINK_NOFOLLOW) != nil {
		return unix.DT_UNKNOWN
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		return unix.DT_DIR
	case unix.S_IFLNK:
		return unix.DT_LNK
	case unix.S_IFREG:
		return unix.DT_REG
	}
	return unix.DT_UNKNOWN
}
