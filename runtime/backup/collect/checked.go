package collect

import (
	"crypto/sha256"
	"fmt"
	"hash"
	"io"

	"github.com/mailplan/mailplan/runtime/backup/manifest"
)

// checked is the second reading of a large file: it must be what the first reading hashed. A file which
// has become shorter is filled up with zeros, so that the pack stays whole and only the check fails.
type checked struct {
	r     io.Reader
	hash  hash.Hash
	entry manifest.Entry
}

func newChecked(r io.Reader, e manifest.Entry) *checked {
	return &checked{r: io.LimitReader(io.MultiReader(r, zeros{}), e.Size), hash: sha256.New(), entry: e}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func (c *checked) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.hash.Write(p[:n])
	return n, err
}

func (c *checked) check() error {
	if [32]byte(c.hash.Sum(nil)) != c.entry.SHA256 {
		return fmt.Errorf("%s changed between two readings", c.entry.Path)
	}
	return nil
}
