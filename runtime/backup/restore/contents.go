package restore

import (
	"crypto/sha256"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/mailplan/mailplan/runtime/backup/manifest"
)

// contents knows what messages a mailbox holds by size, and by hash where sizes agree: a message which
// was moved to another folder has another name there, but the same bytes.
type contents struct {
	bySize map[int64][]string
	hashes map[string][32]byte
}

func (c *contents) read(maildir string) error {
	c.bySize, c.hashes = map[int64][]string{}, map[string][32]byte{}
	return filepath.WalkDir(maildir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		folder := filepath.Base(filepath.Dir(path))
		if !d.Type().IsRegular() || folder != "cur" && folder != "new" {
			return nil
		}
		info, err := d.Info()
		if os.IsNotExist(err) {
			return nil
		}
		if err == nil {
			c.bySize[info.Size()] = append(c.bySize[info.Size()], path)
		}
		return err
	})
}

// has reports whether a message with the entry's content is in the mailbox.
func (c *contents) has(e *manifest.Entry) (bool, error) {
	for _, path := range c.bySize[e.Size] {
		sum, known := c.hashes[path]
		if !known {
			var err error
			if sum, err = hashFile(path); os.IsNotExist(err) {
				continue // renamed or expunged since: restoring it twice is better than not at all
			} else if err != nil {
				return false, err
			}
			c.hashes[path] = sum
		}
		if sum == e.SHA256 {
			return true, nil
		}
	}
	return false, nil
}

func hashFile(path string) ([32]byte, error) {
	var sum [32]byte
	file, err := os.Open(path)
	if err != nil {
		return sum, err
	}
	defer file.Close()
	hash := sha256.New()
	_, err = io.Copy(hash, file)
	return [32]byte(hash.Sum(nil)), err
}
