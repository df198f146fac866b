package message

import (
	"crypto/sha256"
	"hash"
)

// Keyer computes the content key of a message while it passes by. Write it the body.
type Keyer struct {
	hash.Hash
	Head [16]byte // over the reverse path and the header section
}

// NewKeyer begins with what is known before the body: the reverse path and the header, without the
// trace of a relay in by (which differs from try to try).
func NewKeyer(reversePath string, h Header, by []string) *Keyer {
	k := &Keyer{Hash: sha256.New()}
	k.Write([]byte(reversePath))
	k.Write([]byte{0})
	for _, f := range h.withoutTrace(by) {
		k.Write(f.Raw)
	}
	k.Write(h.End)
	copy(k.Head[:], k.Sum(make([]byte, 0, sha256.Size)))
	return k
}

// Content is the key over all that was written.
func (k *Keyer) Content() (sum [32]byte) {
	k.Sum(sum[:0])
	return sum
}
