package restore

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// syncDisk waits until everything written to the file system of dir is on disk: one call instead of
// one for each of many thousand files.
func syncDisk(dir string) error {
	file, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer file.Close()
	return unix.Syncfs(int(file.Fd()))
}

// flusher has the disk write while the next files are still being unpacked, so that it has little left to do in the end.
// It is for one goroutine.
type flusher struct {
	dir   string
	bytes int64 // written since the last flush began
	done  chan error
	err   error
}

// flushAfter is so many bytes that few flushes have much each.
const flushAfter = 64 << 20

// wrote counts, and begins a flush if it is time and none is under way.
func (f *flusher) wrote(n int64) {
	f.bytes += n
	if f.bytes < flushAfter {
		return
	}
	if f.done != nil {
		select {
		case err := <-f.done:
			f.err = errors.Join(f.err, err)
		default:
			return
		}
	}
	f.bytes, f.done = 0, make(chan error, 1)
	go func() { f.done <- syncDisk(f.dir) }()
}

// wait returns when no flush is under way.
func (f *flusher) wait() error {
	if f.done == nil {
		return nil
	}
	return errors.Join(f.err, <-f.done)
}
