package ledger

import (
	"encoding/binary"
	"fmt"
	"sync/atomic"

	"go.etcd.io/bbolt"
)

// filter remembers the heads of all records in little room (a Bloom filter). Almost every message is a new one, and
// is told from the others without a look into the file.
type filter struct {
	bits [filterBits / 64]atomic.Uint64
}

// filterBits is 128 KiB: with 100,000 messages one new one in a hundred is looked up in vain.
const filterBits = 1 << 20

// each calls f with the word and the bit of the head's four places. A head is a keyed hash already.
func (*filter) each(head []byte, f func(word uint32, bit uint64)) {
	for i := range 4 {
		at := binary.BigEndian.Uint32(head[4*i:]) % filterBits
		f(at/64, 1<<(at%64))
	}
}

func (f *filter) add(head []byte) {
	f.each(head, func(word uint32, bit uint64) { f.bits[word].Or(bit) })
}

// has may be wrong when it says yes.
func (f *filter) has(head []byte) bool {
	all := true
	f.each(head, func(word uint32, bit uint64) { all = all && f.bits[word].Load()&bit != 0 })
	return all
}

// fillFilter makes the filter anew, from the file and from what is not committed yet.
func (l *Ledger) fillFilter() error {
	fresh := &filter{}
	err := l.db.View(func(tx *bbolt.Tx) error {
		return days(tx, func(_ []byte, b *bbolt.Bucket) error {
			return b.ForEach(func(k, _ []byte) error {
				if len(k) >= headSize {
					fresh.add(k[:headSize])
				}
				return nil
			})
		})
	})
	if err != nil {
		return fmt.Errorf("read ledger: %w", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for k := range l.pending {
		fresh.add([]byte(k[:headSize]))
	}
	l.heads.Store(fresh)
	return nil
}
