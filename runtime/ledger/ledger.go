// Package ledger turns "this message, this mailbox" into a durable state, so that a delivery that is
// tried again after any crash is neither lost nor doubled. A delivery is written down before the mail
// store can act on it ([Ledger.Begin]) and its outcome afterwards ([Ledger.Finish]); in between it is in
// doubt, and a second try must carry the delivery id of the first one, by which the mail store recognises
// it. Both are written into a small journal, which is quick, and later, many at once, into the file. The
// package must not know how messages travel.
package ledger

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"
)

// Key names a message by its content. Head covers the reverse path and the header section, Content all
// of it, so that a message seen for the first time can be told from its header alone.
type Key struct {
	Head    [headSize]byte
	Content [32]byte
}

const headSize = 16

// State is how far one delivery has come.
type State byte

// The states of a delivery.
const (
	InDoubt   State = 'i' // begun; the mail store may have it
	Delivered State = 'd' // the mail store has it
	Deferred  State = 't' // surely not delivered, may be tried again
	Refused   State = 'r' // surely not delivered, the mail store will not take it
)

// String is the state in a word.
func (s State) String() string {
	switch s {
	case InDoubt:
		return "in-doubt"
	case Delivered:
		return "delivered"
	case Deferred:
		return "deferred"
	case Refused:
		return "refused"
	}
	return fmt.Sprintf("unknown(%c)", byte(s))
}

// Record is what the ledger knows about one message and one mailbox.
type Record struct {
	Key     Key
	Mailbox string    // address the mail store or smarthost was given
	ID      [16]byte  // delivery id of the last try
	State   State     // how far it came
	Time    time.Time // of the last change, to the second; of a delivery in doubt: since when it is
	Reply   string    // the mail store's last word, at most 200 bytes
}

// Ledger is an open ledger file. Its methods may be called at the same time.
type Ledger struct {
	db     *bbolt.DB
	keep   time.Duration
	now    func() time.Time
	secret []byte

	doubtSince, doubtUntil time.Time

	journal *journal

	mu      sync.Mutex
	wake    *sync.Cond
	late    []journalEntry    // outcomes that are not in the journal yet
	lateAt  time.Time         // when they are due there
	queue   []write           // what is not being committed yet
	queueAt time.Time         // when it is due in the file
	urgent  bool              // it is due now
	pending map[string]Record // what is not committed yet
	closed  bool
	missed  bool // a record came too late to be written
	done    chan struct{}
	failed  error // the first failed commit; nothing is accepted any more

	number    uint64 // of the last journal entry
	committed uint64 // journal entries up to this number are in the file

	claims claims
	heads  atomic.Pointer[filter]
}

// Open opens the ledger at path, making it when missing. Records older than keep are forgotten.
func Open(path string, keep time.Duration) (*Ledger, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("open ledger: %w", err)
	}
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{
		Timeout: 5 * time.Second, NoFreelistSync: true, FreelistType: bbolt.FreelistMapType,
	})
	if err != nil {
		return nil, fmt.Errorf("open ledger %s: %w (is another mailpland running?)", path, err)
	}
	l := &Ledger{db: db, keep: keep, now: time.Now, pending: map[string]Record{}, done: make(chan struct{})}
	l.wake = sync.NewCond(&l.mu)
	if err := errors.Join(l.begin(), l.openJournal(path), l.Prune(), l.fillFilter()); err != nil {
		return nil, errors.Join(err, l.journal.close(), db.Close())
	}
	go l.commitLoop()
	return l, nil
}

// Secret is the ledger's own random secret of 32 bytes, for making content keys.
func (l *Ledger) Secret() []byte { return l.secret }

// Close commits what is queued and closes the file. Where a claim is still held, or an outcome came after
// this, something is missing, and the next run is in doubt as after a crash.
func (l *Ledger) Close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil
	}
	l.closed = true
	l.wake.Broadcast()
	l.mu.Unlock()
	<-l.done
	claimed := l.claims.any()
	l.mu.Lock()
	err, missed := l.failed, l.missed
	l.mu.Unlock()
	if err == nil && !claimed && !missed {
		err = l.end()
	}
	if err = errors.Join(err, l.journal.close(), l.db.Close()); err != nil {
		return fmt.Errorf("close ledger: %w", err)
	}
	return nil
}

// Begin writes down that the records' deliveries may happen from now on. It returns when that is on
// disk; after an error nothing may be delivered. A record that is in doubt already keeps its time.
func (l *Ledger) Begin(records []Record) error {
	if len(records) == 0 {
		return nil
	}
	w := &waiter{left: len(records), done: make(chan error, 1)}
	l.mu.Lock()
	entries, err := l.enqueue(records, w)
	l.mu.Unlock()
	if err != nil {
		return err
	}
	if entries == nil {
		return <-w.done
	}
	if err = l.journal.write(entries); err != nil {
		l.fail(err)
	}
	return err
}

// Finish writes down outcomes, soon but not at once: when they are lost in a crash the delivery is in
// doubt again, which a second try resolves.
func (l *Ledger) Finish(records []Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	entries, err := l.enqueue(records, nil)
	if len(l.late) == 0 && len(entries) > 0 {
		l.lateAt = l.now().Add(lateDelay)
		l.wake.Signal()
	}
	l.late = append(l.late, entries...)
	return err
}

// Seen says whether any message with this head is known. A false answer is final: no record can match.
func (l *Ledger) Seen(head [headSize]byte) (bool, error) {
	if !l.heads.Load().has(head[:]) {
		return false, nil
	}
	l.mu.Lock()
	for k := range l.pending {
		if k[:headSize] == string(head[:]) {
			l.mu.Unlock()
			return true, nil
		}
	}
	l.mu.Unlock()
	return l.prefixExists(head[:])
}

// Lookup finds what is known about a message and each of the mailboxes, in their order; the zero
// Record where nothing is.
func (l *Ledger) Lookup(k Key, mailboxes []string) ([]Record, error) {
	found := make([]Record, len(mailboxes))
	if !l.heads.Load().has(k.Head[:]) {
		return found, nil
	}
	keys := make([]string, len(mailboxes))
	for i, m := range mailboxes {
		keys[i] = recordKey(k, m)
	}
	l.mu.Lock() // before the file is looked at: what is committed in between is in one of the two
	for i, key := range keys {
		found[i] = l.pending[key]
	}
	l.mu.Unlock()
	err := l.db.View(func(tx *bbolt.Tx) error {
		for i, key := range keys {
			if found[i].State == 0 {
				found[i], _ = readRecord(tx, key)
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read ledger: %w", err)
	}
	return found, nil
}

func recordKey(k Key, mailbox string) string {
	h := sha256.Sum256([]byte(mailbox))
	b := make([]byte, 0, keySize)
	b = append(b, k.Head[:]...)
	b = append(b, k.Content[:]...)
	return string(append(b, h[:16]...))
}

// Snapshot writes a consistent copy of the ledger file while it is in use.
func (l *Ledger) Snapshot(w io.Writer) error {
	if err := l.flush(); err != nil {
		return err
	}
	return snapshot(l.db, w)
}
