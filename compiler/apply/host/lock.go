package host

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
)

// ErrLocked says that another run holds the lock.
var ErrLocked = errors.New("another apply is at work")

// Lock takes the lock of a file on this machine, until unlock is called or the process ends. Holder is what others
// are told.
func Lock(file, holder string) (unlock func(), err error) {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		defer f.Close()
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("lock %s: %w", file, err)
		}
		who, _ := os.ReadFile(file)
		return nil, fmt.Errorf("%w: %s", ErrLocked, strings.TrimSpace(string(who)))
	}
	if err := errors.Join(f.Truncate(0), writeAt(f, holder+"\n")); err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", file, err)
	}
	return func() { f.Close() }, nil
}

func writeAt(f *os.File, s string) error {
	_, err := f.WriteAt([]byte(s), 0)
	return err
}
