package message

import (
	"fmt"
	"hash"

	"github.com/minio/highwayhash"
)

// KeySize is the length in bytes of the secret that content keys are made with.
const KeySize = highwayhash.Size

// Keyer computes the content key of a message while it passes by. Write it the body. Its hash is fast
// enough not to be felt beside copying, and keyed: nobody who does not know the secret can make two
// messages with one key.
type Keyer struct {
	hash.Hash
	Head [16]byte // over the reverse path and the header section
}

// NewKeyer begins with what is known before the body: the reverse path and the header, without the
// trace of a relay in by (which differs from try to try). The secret has KeySize bytes.
func NewKeyer(secret []byte, reversePath string, h Header, by []string) (*Keyer, error) {
	sum, err := highwayhash.New(secret)
	if err != nil {
		return nil, fmt.Errorf("content key: %w", err)
	}
	k := &Keyer{Hash: sum}
	k.Write([]byte(reversePath))
	k.Write([]byte{0})
	for _, f := range h.withoutTrace(by) {
		k.Write(f.Raw)
	}
	k.Write(h.End)
	copy(k.Head[:], k.Sum(make([]byte, 0, KeySize)))
	return k, nil
}

// Content is the key over all that was written.
func (k *Keyer) Content() (sum [32]byte) {
	k.Sum(sum[:0])
	return sum
}
