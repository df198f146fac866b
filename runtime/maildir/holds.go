package maildir

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/mailplan/mailplan/runtime/message"
)

// headStart is how far into a message its delivery id is looked for: the ingest puts it on top, and only the
// mail store's own trace comes above it.
const headStart = 8 << 10

// Holds looks in a Maildir and its folders for a message that has a header field of this name and value
// and was stored since then, to the second of the clock that names the files. A Maildir that does not
// exist holds nothing.
func Holds(root, field, value string, since time.Time) (bool, error) {
	entries, err := os.ReadDir(root)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look for an earlier delivery: %w", err)
	}
	folders := []string{root}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") && e.IsDir() {
			folders = append(folders, filepath.Join(root, e.Name()))
		}
	}
	line := []byte("\n" + field + ": " + value)
	for _, folder := range folders {
		if there, err := folderHolds(folder, line, since); err != nil || there {
			return there, err
		}
	}
	return false, nil
}

func folderHolds(folder string, line []byte, since time.Time) (bool, error) {
	for _, sub := range []string{"new", "cur"} { // in the order in which a message moves on
		dir := filepath.Join(folder, sub)
		entries, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return false, fmt.Errorf("look for an earlier delivery: %w", err)
		}
		for _, e := range entries {
			if !storedSince(e.Name(), since) {
				continue
			}
			if there, err := fileHolds(dir, e.Name(), line); err != nil || there {
				return there, err
			}
		}
	}
	return false, nil
}

// storedSince reads the seconds that a Maildir file's name begins with; any other name may be of any time.
func storedSince(name string, since time.Time) bool {
	seconds, _, _ := strings.Cut(name, ".")
	at, err := strconv.ParseInt(seconds, 10, 64)
	return err != nil || at >= since.Unix()
}

func fileHolds(dir, name string, line []byte) (bool, error) {
	f, err := os.Open(filepath.Join(dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		if f, err = renamed(dir, name); f == nil {
			return false, err
		}
	}
	if err != nil {
		return false, fmt.Errorf("look for an earlier delivery: %w", err)
	}
	defer f.Close()
	head := make([]byte, headStart)
	n, err := io.ReadFull(f, head)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && err != io.EOF {
		return false, fmt.Errorf("look for an earlier delivery: %w", err)
	}
	if end := message.Length(head[:n]); end >= 0 {
		n = end // a forwarded message may show the id of another
	}
	_, rest, found := bytes.Cut(append([]byte("\n"), head[:n]...), line)
	return found && (len(rest) == 0 || rest[0] == '\r' || rest[0] == '\n'), nil
}

// renamed opens a message that has just got other flags, or has moved from new to cur. Nothing: it is gone.
func renamed(dir, name string) (*os.File, error) {
	unique, _, _ := strings.Cut(name, ":")
	entries, err := os.ReadDir(filepath.Join(filepath.Dir(dir), "cur"))
	if err != nil {
		return nil, fmt.Errorf("look for an earlier delivery: %w", err)
	}
	for _, e := range entries {
		if now, _, _ := strings.Cut(e.Name(), ":"); now == unique {
			f, err := os.Open(filepath.Join(filepath.Dir(dir), "cur", e.Name()))
			if err != nil {
				return nil, fmt.Errorf("look for an earlier delivery: %w", err)
			}
			return f, nil
		}
	}
	return nil, nil
}
