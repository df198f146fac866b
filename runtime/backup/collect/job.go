package collect

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/bits"
	"os"
	"sync"
	"time"

	"github.com/mailplan/mailplan/runtime/backup/manifest"
	"github.com/mailplan/mailplan/runtime/backup/walk"
	"golang.org/x/sys/unix"
)

// wholeFile is the size up to which a file is read into memory at once; a larger one is read twice,
// once for its hash and, if that is new, once more into the pack.
const wholeFile = 2 << 20

// clockTick is longer than the step in which the kernel stamps files: a change within it of the one
// before may leave the same time.
const clockTick = 40 * time.Millisecond

// job is an entry of the walk on its way into the manifest, in order.
type job struct {
	found walk.Entry
	entry manifest.Entry
	known *manifest.Entry // with the same size, times and inode in the run before
	was   *manifest.Entry // of the same path in the run before
	class *class
	data  []byte // the content, up to wholeFile
	held  int64  // bytes of memory taken for it
	fresh bool   // its content was stored in this run
	gone  bool   // removed before it was read
	err   error
	done  chan struct{} // closed when the file has been read; nil if there is nothing to read
}

// cost is what the job holds of the memory for reading.
func (j *job) cost() int64 { return min(j.entry.Size, wholeFile) + 1 }

// read reads and hashes the file.
func (j *job) read(from *buffers) {
	defer close(j.done)
	file, err := j.found.Open()
	if errors.Is(err, fs.ErrNotExist) {
		j.gone = true
		return
	}
	if err != nil {
		j.err = err
		return
	}
	defer file.Close()
	j.err = j.stable(file, from)
}

// stable reads until the file surely did not change meanwhile. A message never does.
func (j *job) stable(file *os.File, from *buffers) error {
	const attempts = 5
	for range attempts {
		before, err := fstat(file)
		if err != nil {
			return err
		}
		j.describe(before)
		read, err := j.content(file, from)
		if err != nil {
			return err
		}
		after, err := fstat(file)
		if err != nil {
			return err
		}
		same := read == before.Size && before.Size == after.Size && before.Mtim == after.Mtim
		if same && (j.found.Message() || time.Since(time.Unix(before.Mtim.Unix())) > clockTick) {
			return nil
		}
		time.Sleep(clockTick)
	}
	return fmt.Errorf("%s kept changing while it was read", j.entry.Path)
}

func fstat(file *os.File) (unix.Stat_t, error) {
	var st unix.Stat_t
	err := unix.Fstat(int(file.Fd()), &st)
	return st, err
}

func (j *job) describe(st unix.Stat_t) {
	describe(&j.entry, st)
	j.entry.Kind = manifest.File
}

func describe(e *manifest.Entry, st unix.Stat_t) {
	e.Size, e.MTime, e.CTime = st.Size, st.Mtim.Nano(), st.Ctim.Nano()
	e.Inode, e.Mode, e.UID, e.GID = st.Ino, st.Mode&0o7777, int(st.Uid), int(st.Gid)
}

// content reads the file from its start, keeps it if it is small, and returns how much it read.
func (j *job) content(file *os.File, from *buffers) (int64, error) {
	if j.entry.Size > wholeFile {
		j.data = nil
		if _, err := file.Seek(0, io.SeekStart); err != nil {
			return 0, err
		}
		hash := sha256.New()
		n, err := io.CopyBuffer(hash, struct{ io.Reader }{file}, make([]byte, 256<<10))
		hash.Sum(j.entry.SHA256[:0])
		return n, err
	}
	if int64(cap(j.data)) < j.entry.Size+1 {
		j.data = from.get(j.entry.Size + 1)
	}
	n, err := file.ReadAt(j.data[:j.entry.Size+1], 0) // one byte more shows a file which grew
	if err != nil && !errors.Is(err, io.EOF) {
		return 0, err
	}
	j.data = j.data[:n]
	j.entry.SHA256 = sha256.Sum256(j.data)
	return int64(n), nil
}

// unchanged reports whether the file is surely the one the run before has read.
func unchanged(e, was *manifest.Entry) bool {
	return was != nil && was.Kind == manifest.File && e.Size == was.Size && e.MTime == was.MTime &&
		e.CTime == was.CTime && e.Inode == was.Inode
}

// buffers keeps the memory of files in use, by powers of two.
type buffers struct{ pools [24]sync.Pool }

func (b *buffers) get(n int64) []byte {
	class := bits.Len64(uint64(n - 1))
	if p, ok := b.pools[class].Get().(*[]byte); ok {
		return *p
	}
	return make([]byte, 1<<class)
}

func (b *buffers) put(p []byte) {
	if cap(p) == 0 {
		return
	}
	p = p[:cap(p)]
	b.pools[bits.Len64(uint64(cap(p)-1))].Put(&p)
}
