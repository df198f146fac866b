package ledger

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"time"

	"go.etcd.io/bbolt"
)

// Outcomes are written down a little late, and small messages not at all before they go out. So when a run
// does not end by Close, or an older copy of the file is put back, the mail store may hold deliveries that
// nobody has written down. While a ledger is open its file says since when; the next run then knows from
// when on it may not trust the lack of a record.
const (
	underWay   = 10 * time.Minute // the longest that a delivery can have been under way
	doubtLasts = 48 * time.Hour   // by then, what was under way has come again
)

var (
	runningKey    = []byte("running since")
	doubtSinceKey = []byte("doubt since")
	doubtUntilKey = []byte("doubt until")
)

// Doubt says that a message without a record may have been delivered all the same, since when at the
// earliest. It is so for two days after a run that did not end by [Ledger.Close].
func (l *Ledger) Doubt() (since time.Time, ok bool) {
	return l.doubtSince, l.now().Before(l.doubtUntil)
}

// begin reads what the last run has left in the file and writes down that this one is under way.
func (l *Ledger) begin() error {
	err := l.db.Update(func(tx *bbolt.Tx) error {
		b, err := tx.CreateBucketIfNotExists([]byte(ownBucket))
		if err != nil {
			return err
		}
		if l.secret, err = secretIn(b); err != nil {
			return err
		}
		l.doubtSince, l.doubtUntil = timeIn(b, doubtSinceKey), timeIn(b, doubtUntilKey)
		if running := timeIn(b, runningKey); !running.IsZero() {
			last, err := newest(tx)
			if err != nil {
				return err
			}
			l.addDoubt(later(running, last).Add(-underWay))
		}
		return putTimes(b, map[string]time.Time{string(runningKey): l.now(),
			string(doubtSinceKey): l.doubtSince, string(doubtUntilKey): l.doubtUntil})
	})
	if err != nil {
		return fmt.Errorf("begin with the ledger: %w", err)
	}
	return nil
}

func (l *Ledger) addDoubt(since time.Time) {
	if l.now().Before(l.doubtUntil) && l.doubtSince.Before(since) {
		since = l.doubtSince
	}
	l.doubtSince, l.doubtUntil = since, l.now().Add(doubtLasts)
}

// end writes down that nothing is missing.
func (l *Ledger) end() error {
	return l.db.Update(func(tx *bbolt.Tx) error { return tx.Bucket([]byte(ownBucket)).Delete(runningKey) })
}

// newest is the time of the last record; zero when there is none.
func newest(tx *bbolt.Tx) (last time.Time, err error) {
	var day *bbolt.Bucket
	if err = days(tx, func(_ []byte, b *bbolt.Bucket) error { day = b; return nil }); err != nil || day == nil {
		return last, err
	}
	err = day.ForEach(func(k, v []byte) error {
		if r, err := decode(k, v); err == nil { // what is damaged is for verify to tell
			last = later(last, r.Time)
		}
		return nil
	})
	return last, err
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

func timeIn(b *bbolt.Bucket, key []byte) time.Time {
	v := b.Get(key)
	if len(v) != 8 {
		return time.Time{}
	}
	return time.Unix(int64(binary.BigEndian.Uint64(v)), 0).UTC()
}

func putTimes(b *bbolt.Bucket, all map[string]time.Time) error {
	for key, at := range all {
		if at.IsZero() {
			continue
		}
		if err := b.Put([]byte(key), binary.BigEndian.AppendUint64(nil, uint64(at.Unix()))); err != nil {
			return err
		}
	}
	return nil
}

func secretIn(b *bbolt.Bucket) ([]byte, error) {
	if secret := bytes.Clone(b.Get([]byte("secret"))); secret != nil {
		return secret, nil
	}
	secret := newSecret()
	return secret, b.Put([]byte("secret"), secret)
}
