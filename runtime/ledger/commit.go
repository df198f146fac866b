package ledger

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.etcd.io/bbolt"
)

// What is written first goes to the journal. The file, whose keys are hashes, gives each record a page to write; it
// takes many at a time, which share pages, but not so many in one transaction that all others have to wait for it.
const (
	lateDelay  = 250 * time.Millisecond // the longest that an outcome is in memory alone
	queueDelay = time.Minute            // the longest that a record is in the journal alone
	queueFull  = slotCount / 2          // records that wait for no more
	turnCount  = 128                    // records of one transaction
	maxReply   = 200
)

var errClosed = errors.New("ledger is closed")

// write is a record for the file, or a place in the queue without one.
type write struct {
	key    string
	rec    Record
	waiter *waiter
}

type waiter struct {
	left int
	done chan error
}

// enqueue has the commit loop write the records into the file. It returns their entries for the journal, or none
// when that cannot take them and who waits must wait for the file. The caller holds the lock.
func (l *Ledger) enqueue(records []Record, w *waiter) (entries []journalEntry, err error) {
	if err := l.stopped(); err != nil {
		l.missed = true
		return nil, err
	}
	quick, now := l.journalTakes(records), l.now()
	if quick {
		w = nil
	}
	l.urgent = l.urgent || !quick || len(l.queue)+len(records) >= queueFull
	if len(l.queue) == 0 {
		l.queueAt = now.Add(queueDelay)
	}
	if l.urgent || len(l.queue) == 0 {
		l.wake.Signal()
	}
	for _, r := range records {
		if r.State != InDoubt || r.Time.IsZero() {
			r.Time = now
		}
		r.Reply = r.Reply[:min(len(r.Reply), maxReply)]
		k := recordKey(r.Key, r.Mailbox)
		l.pending[k] = r
		l.heads.Load().add(r.Key.Head[:])
		l.queue = append(l.queue, write{key: k, rec: r, waiter: w})
		if quick {
			l.number++
			entries = append(entries, journalEntry{l.number, k, r})
		}
	}
	return entries, nil
}

// journalTakes says whether there are slots for the records which hold nothing that the file lacks.
func (l *Ledger) journalTakes(records []Record) bool {
	if l.number+uint64(len(records))-l.committed > slotCount {
		return false
	}
	return !slices.ContainsFunc(records, func(r Record) bool { return !fitsSlot(r) })
}

// flush waits until everything that is known is in the file.
func (l *Ledger) flush() error {
	w := &waiter{left: 1, done: make(chan error, 1)}
	l.mu.Lock()
	if err := l.stopped(); err != nil {
		l.mu.Unlock()
		return err
	}
	l.queue = append(l.queue, write{waiter: w})
	l.urgent = true
	l.wake.Signal()
	l.mu.Unlock()
	return <-w.done
}

// commitLoop writes late outcomes into the journal, and the queue into the file.
func (l *Ledger) commitLoop() {
	defer close(l.done)
	timer := time.AfterFunc(time.Hour, func() {
		l.mu.Lock()
		l.wake.Signal()
		l.mu.Unlock()
	})
	defer timer.Stop()
	var today string
	for {
		late, batch, last, stop := l.nextBatch(timer)
		l.journalLate(late)
		if len(batch) > 0 {
			day := l.now().UTC().Format(dayLayout)
			err := l.failure() // nothing may pass what is missing: the journal counts on the order
			if err == nil {
				err = l.commit(day, batch, last)
			}
			if err == nil && day != today && today != "" {
				err = errors.Join(l.Prune(), l.fillFilter())
			}
			today = day
			l.settle(batch, last, err)
		}
		if stop {
			return
		}
	}
}

// journalLate writes outcomes into the journal.
func (l *Ledger) journalLate(late []journalEntry) {
	if len(late) == 0 {
		return
	}
	if err := l.journal.write(late); err != nil {
		l.fail(err)
	}
}

// takeLate returns the outcomes that are due in the journal. The caller holds the lock.
func (l *Ledger) takeLate() (late []journalEntry) {
	if len(l.late) > 0 && !l.now().Before(l.lateAt) {
		late, l.late = l.late, nil
	}
	return late
}

// nextBatch waits until something is due: late outcomes, or all that the file lacks, of which last is the number of
// the last journal entry. Outcomes go through the journal all the same: the file may take long.
func (l *Ledger) nextBatch(timer *time.Timer) (late []journalEntry, batch []write, last uint64, stop bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for !l.closed && !l.urgent {
		due := time.Hour
		if len(l.queue) > 0 {
			due = l.queueAt.Sub(l.now())
		}
		if due <= 0 {
			break
		}
		if late = l.takeLate(); late != nil {
			return late, nil, 0, false
		}
		if len(l.late) > 0 {
			due = min(due, l.lateAt.Sub(l.now()))
		}
		timer.Reset(due)
		l.wake.Wait()
	}
	late, batch = l.late, l.queue
	l.late, l.queue, l.urgent = nil, nil, false
	return late, batch, l.number, l.closed
}

// commit writes a batch in the order of the file's pages, and then that the file has all up to the last number:
// until that is there, what is left out by a crash is in the journal.
func (l *Ledger) commit(day string, batch []write, last uint64) error {
	slices.SortStableFunc(batch, func(x, y write) int { return strings.Compare(x.key, y.key) })
	newest := make([]write, 0, len(batch))
	for i, w := range batch {
		if w.key != "" && (i+1 == len(batch) || batch[i+1].key != w.key) { // no later word on the same
			newest = append(newest, w)
		}
	}
	for turn := range slices.Chunk(newest, turnCount) {
		if err := l.put(day, turn); err != nil {
			return err
		}
		l.mu.Lock()
		late := l.takeLate()
		l.mu.Unlock()
		l.journalLate(late)
	}
	err := l.db.Update(func(tx *bbolt.Tx) error {
		return tx.Bucket([]byte(ownBucket)).Put(journalKey, binary.BigEndian.AppendUint64(nil, last))
	})
	if err != nil {
		return fmt.Errorf("write ledger: %w", err)
	}
	return nil
}

func (l *Ledger) put(day string, turn []write) error {
	err := l.db.Update(func(tx *bbolt.Tx) error {
		b, err := tx.CreateBucketIfNotExists([]byte(day))
		if err != nil {
			return err
		}
		for _, w := range turn {
			if err := b.Put([]byte(w.key), encode(w.rec)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("write ledger: %w", err)
	}
	return nil
}

// settle tells who waited for a batch what became of it.
func (l *Ledger) settle(batch []write, last uint64, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err == nil {
		l.committed = last
	} else if l.failed == nil {
		l.failed = err
	}
	for _, w := range batch {
		if err == nil && l.pending[w.key] == w.rec { // what the file did not take, only pending can tell
			delete(l.pending, w.key)
		}
		if w.waiter == nil {
			continue
		}
		if w.waiter.left--; w.waiter.left == 0 {
			w.waiter.done <- err
		}
	}
}

// Err is why the ledger takes nothing any more; nil while it works.
func (l *Ledger) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.stopped()
}

func (l *Ledger) stopped() error {
	if l.closed {
		return errClosed
	}
	return l.failed
}

// fail keeps the first error, after which nothing is accepted any more.
func (l *Ledger) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failed == nil {
		l.failed = err
	}
}

func (l *Ledger) failure() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failed
}
