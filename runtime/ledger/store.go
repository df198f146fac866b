package ledger

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/bbolt"
)

// The file has one bucket per UTC day, named 2026-11-21, so that forgetting is the removal of whole
// buckets. A key is head, content and the first half of the SHA-256 of the mailbox; a value is state,
// time, id, the mailbox's length, mailbox and reply. A record lives in the bucket of its last change.
// The bucket "own" holds what is about no message: the secret of the content keys, how the last run ended, and
// which journal entries are in the file.
const (
	dayLayout = "2006-01-02"
	keySize   = headSize + 32 + 16
	fixedPart = 1 + 8 + 16 + 2
	ownBucket = "own"
)

var (
	errRecord  = errors.New("damaged record")
	journalKey = []byte("journal")
)

func encode(r Record) []byte {
	b := make([]byte, 0, fixedPart+len(r.Mailbox)+len(r.Reply))
	b = append(b, byte(r.State))
	b = binary.BigEndian.AppendUint64(b, uint64(r.Time.Unix()))
	b = append(b, r.ID[:]...)
	b = binary.BigEndian.AppendUint16(b, uint16(len(r.Mailbox)))
	b = append(b, r.Mailbox...)
	return append(b, r.Reply...)
}

func decode(k, v []byte) (r Record, err error) {
	if len(k) != keySize || len(v) < fixedPart {
		return r, errRecord
	}
	copy(r.Key.Head[:], k)
	copy(r.Key.Content[:], k[16:])
	r.State = State(v[0])
	r.Time = time.Unix(int64(binary.BigEndian.Uint64(v[1:])), 0).UTC()
	copy(r.ID[:], v[9:])
	n := int(binary.BigEndian.Uint16(v[25:]))
	if len(v) < fixedPart+n {
		return r, errRecord
	}
	r.Mailbox, r.Reply = string(v[fixedPart:fixedPart+n]), string(v[fixedPart+n:])
	if recordKey(r.Key, r.Mailbox) != string(k) {
		return r, errRecord
	}
	return r, nil
}

func newSecret() []byte {
	secret := make([]byte, 32)
	rand.Read(secret)
	return secret
}

// days calls each with every day's bucket, oldest first.
func days(tx *bbolt.Tx, each func(day []byte, b *bbolt.Bucket) error) error {
	return tx.ForEach(func(name []byte, b *bbolt.Bucket) error {
		if string(name) == ownBucket {
			return nil
		}
		return each(name, b)
	})
}

// readRecord looks from the newest day to the oldest.
func readRecord(tx *bbolt.Tx, key string) (Record, bool) {
	c := tx.Cursor()
	for day, _ := c.Last(); day != nil; day, _ = c.Prev() {
		b := tx.Bucket(day)
		if b == nil || string(day) == ownBucket {
			continue
		}
		if v := b.Get([]byte(key)); v != nil {
			r, err := decode([]byte(key), v)
			return r, err == nil
		}
	}
	return Record{}, false
}

func (l *Ledger) prefixExists(prefix []byte) (found bool, err error) {
	err = l.db.View(func(tx *bbolt.Tx) error {
		return days(tx, func(_ []byte, b *bbolt.Bucket) error {
			if k, _ := b.Cursor().Seek(prefix); bytes.HasPrefix(k, prefix) {
				found = true
			}
			return nil
		})
	})
	if err != nil {
		return false, fmt.Errorf("read ledger: %w", err)
	}
	return found, nil
}

// openJournal takes over what the journal has and the file has not.
func (l *Ledger) openJournal(path string) (err error) {
	if l.number, err = lastEntry(l.db); err != nil {
		return err
	}
	entries, err := readJournal(path, l.number)
	if err != nil {
		return err
	}
	if n := len(entries); n > 0 {
		batch := make([]write, n)
		for i, e := range entries {
			batch[i] = write{key: e.key, rec: e.rec}
		}
		l.number = entries[n-1].number
		if err := l.commit(l.now().UTC().Format(dayLayout), batch, l.number); err != nil {
			return err
		}
	}
	l.committed = l.number
	l.journal, err = openJournal(path)
	return err
}

// lastEntry is the number of the last journal entry that is in the file.
func lastEntry(db *bbolt.DB) (number uint64, err error) {
	err = db.View(func(tx *bbolt.Tx) error {
		if b := tx.Bucket([]byte(ownBucket)); b != nil {
			if v := b.Get(journalKey); len(v) == 8 {
				number = binary.BigEndian.Uint64(v)
			}
		}
		return nil
	})
	return number, err
}

// Prune forgets the days that are older than the ledger keeps.
func (l *Ledger) Prune() error {
	limit := l.now().Add(-l.keep).UTC().Format(dayLayout)
	err := l.db.Update(func(tx *bbolt.Tx) error {
		var old [][]byte
		c := tx.Cursor()
		for day, _ := c.First(); day != nil && string(day) < limit && string(day) != ownBucket; day, _ = c.Next() {
			old = append(old, bytes.Clone(day))
		}
		for _, day := range old {
			if err := tx.DeleteBucket(day); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("prune ledger: %w", err)
	}
	return nil
}

// All calls each with every committed record, oldest day first, until it returns an error.
func (l *Ledger) All(each func(Record) error) error { return all(l.db, each) }

func all(db *bbolt.DB, each func(Record) error) error {
	return db.View(func(tx *bbolt.Tx) error {
		return days(tx, func(day []byte, b *bbolt.Bucket) error {
			return b.ForEach(func(k, v []byte) error {
				r, err := decode(k, v)
				if err != nil {
					return fmt.Errorf("day %s, key %x: %w", day, k, err)
				}
				return each(r)
			})
		})
	})
}
