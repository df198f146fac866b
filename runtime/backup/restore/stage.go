package restore

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/mailplan/mailplan/runtime/backup/extract"
	"github.com/mailplan/mailplan/runtime/backup/manifest"
	"golang.org/x/sys/unix"
)

// stageInto writes a class's files below dir, which takes the place of the class's root. Files that are
// there already with the right bytes stay, so that a restore which was interrupted goes on. Nothing is
// durable before the caller's syncDisk.
func (r *Restorer) stageInto(ctx context.Context, class, dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	s := &stage{r: r, class: class, dir: dir, flush: flusher{dir: dir}}
	if err := r.Snapshot.Entries(s.makeDir); err != nil {
		return err
	}
	mine := func(e *manifest.Entry) bool { return e.Class() == class }
	err := r.Snapshot.Files(ctx, r.Options.Workers, mine, s.file)
	if err := errors.Join(err, s.flush.wait()); err != nil {
		return err
	}
	if err := r.Snapshot.Entries(s.link); err != nil {
		return err
	}
	if err := s.finishDirs(); err != nil {
		return err
	}
	r.report.Places = append(r.report.Places, dir)
	return nil
}

// stage is a class on its way to a folder.
type stage struct {
	r     *Restorer
	class string
	dir   string
	dirs  []manifest.Entry
	mu    sync.Mutex // guards the report, and what follows
	flush flusher
}

// path is where the entry goes.
func (s *stage) path(e *manifest.Entry) string {
	return filepath.Join(s.dir, strings.TrimPrefix(e.Path, s.class))
}

// makeDir makes a folder. Only these are written into, so a symbolic link can lead nowhere else.
func (s *stage) makeDir(e manifest.Entry) error {
	if e.Class() != s.class || e.Kind != manifest.Dir {
		return nil
	}
	s.dirs = append(s.dirs, e)
	path := s.path(&e)
	if err := os.Mkdir(path, 0o700); !errors.Is(err, fs.ErrExist) {
		return err
	}
	info, err := os.Lstat(path)
	if err == nil && !info.IsDir() {
		err = fmt.Errorf("%s is in the way of a folder", path)
	}
	return err
}

func (s *stage) file(e *manifest.Entry, content extract.Content) error {
	path := s.path(e)
	present, err := s.present(path, e)
	if err != nil {
		return err
	}
	if !present {
		if err := s.write(path, e, content); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if present {
		s.r.report.Present++
	} else {
		s.r.report.Files++
		s.r.report.Bytes += e.Size
		s.flush.wrote(e.Size)
	}
	s.r.Options.Progress(1, e.Size)
	return nil
}

// present reports whether an earlier, interrupted restore has written the file.
func (s *stage) present(path string, e *manifest.Entry) (bool, error) {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if info.Mode().IsRegular() && info.Size() == e.Size {
		same, err := hasContent(path, e)
		if err != nil || same {
			return same, errors.Join(err, setMeta(path, e))
		}
	}
	if info.IsDir() {
		return false, fmt.Errorf("%s is in the way of a file", path)
	}
	return false, os.Remove(path)
}

func hasContent(path string, e *manifest.Entry) (bool, error) {
	file, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer file.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, file); err != nil {
		return false, err
	}
	return e.Size == 0 || [32]byte(hash.Sum(nil)) == e.SHA256, nil
}

func (s *stage) write(path string, e *manifest.Entry, content extract.Content) error {
	if s.rewrites(e) {
		content = withNextUID(content)
	}
	return writeFile(path, e, content)
}

// writeFile makes a file which was not there, with its owner, mode and time. It asks the system for no
// change that is not one: over many files that is what takes the time.
func writeFile(path string, e *manifest.Entry, content extract.Content) error {
	const private = 0o600
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL|unix.O_NOFOLLOW, private)
	if err != nil {
		return err
	}
	err = content(file)
	if err == nil && os.Geteuid() == 0 && (e.UID != 0 || e.GID != os.Getegid()) {
		err = file.Chown(e.UID, e.GID)
	}
	if err == nil && e.Mode != private {
		err = unix.Fchmod(int(file.Fd()), e.Mode)
	}
	if err == nil {
		err = os.Chtimes(path, time.Time{}, time.Unix(0, e.MTime))
	}
	if err := errors.Join(err, file.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}

// setMeta gives the path its owner (when we may), mode and time.
func setMeta(path string, e *manifest.Entry) error {
	if os.Geteuid() == 0 {
		if err := os.Lchown(path, e.UID, e.GID); err != nil {
			return err
		}
	}
	if e.Kind != manifest.Symlink {
		if err := unix.Chmod(path, e.Mode); err != nil {
			return &os.PathError{Op: "chmod", Path: path, Err: err}
		}
	}
	t := unix.NsecToTimespec(e.MTime)
	if err := unix.UtimesNanoAt(unix.AT_FDCWD, path, []unix.Timespec{t, t}, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return &os.PathError{Op: "utimes", Path: path, Err: err}
	}
	return nil
}

func (s *stage) link(e manifest.Entry) error {
	if e.Class() != s.class || e.Kind != manifest.Symlink {
		return nil
	}
	path := s.path(&e)
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Symlink(e.Target, path); err != nil {
		return err
	}
	return setMeta(path, &e)
}

// finishDirs gives the folders their modes and times, the inner ones first.
func (s *stage) finishDirs() error {
	for i := len(s.dirs) - 1; i >= 0; i-- {
		if err := setMeta(s.path(&s.dirs[i]), &s.dirs[i]); err != nil {
			return err
		}
	}
	return nil
}

// uidGap is by how much the next UID of a restored folder is raised. The list in the backup is older
// than the mailbox which was lost: UIDs given out since then are known to clients, and must not be
// given to other messages under the same UIDVALIDITY (RFC 9051, 2.3.1.1).
const uidGap = 1_000_000

// rewrites reports whether a file is not restored byte for byte: Dovecot's lists of UIDs, when they go
// where Dovecot will use them.
func (s *stage) rewrites(e *manifest.Entry) bool {
	return s.r.Options.Target == "" && filepath.Base(e.Path) == "dovecot-uidlist"
}

// withNextUID raises the next UID in the header of a dovecot-uidlist, "3 V1700000000 N31 G...", and
// drops a last line that was cut while it was being written.
func withNextUID(content extract.Content) extract.Content {
	return func(w io.Writer) error {
		var b bytes.Buffer
		if err := content(&b); err != nil {
			return err
		}
		_, err := w.Write(raiseNextUID(b.Bytes()))
		return err
	}
}

func raiseNextUID(list []byte) []byte {
	list = list[:bytes.LastIndexByte(list, '\n')+1]
	header, rest, _ := bytes.Cut(list, []byte("\n"))
	fields := strings.Fields(string(header))
	for i, f := range fields {
		var next uint32
		if _, err := fmt.Sscanf(f, "N%d", &next); err == nil && i > 0 && next < 1<<32-1-uidGap {
			fields[i] = fmt.Sprintf("N%d", next+uidGap)
			return append([]byte(strings.Join(fields, " ")+"\n"), rest...)
		}
	}
	return list
}

// stamp names what a restore keeps aside.
func stamp(t time.Time) string { return t.UTC().Format("20060102T150405Z") }
