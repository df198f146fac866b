package ledger

import (
	"errors"
	"fmt"
	"io"
	"time"

	"go.etcd.io/bbolt"
	bbolterrors "go.etcd.io/bbolt/errors"
)

// File is a ledger opened for reading, beside no running daemon or from a copy.
type File struct {
	db    *bbolt.DB
	after []journalEntry // of the journal, which the file lacks
}

// ErrInUse says that a running daemon holds the ledger; it gives out copies of it.
var ErrInUse = errors.New("ledger is in use")

// OpenFile opens the ledger at path, of no running daemon, for reading.
func OpenFile(path string) (*File, error) {
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{ReadOnly: true, Timeout: 200 * time.Millisecond})
	if errors.Is(err, bbolterrors.ErrTimeout) {
		return nil, fmt.Errorf("open ledger %s: %w", path, ErrInUse)
	}
	if err != nil {
		return nil, fmt.Errorf("open ledger %s: %w", path, err)
	}
	f := &File{db: db}
	last, err := lastEntry(db)
	if err == nil {
		f.after, err = readJournal(path, last)
	}
	if err != nil {
		db.Close()
		return nil, fmt.Errorf("open ledger %s: %w", path, err)
	}
	return f, nil
}

// Close closes the file.
func (f *File) Close() error { return f.db.Close() }

// All calls each with every record, oldest day first, until it returns an error.
func (f *File) All(each func(Record) error) error {
	newer := map[string]Record{}
	for _, e := range f.after {
		newer[e.key] = e.rec
	}
	err := all(f.db, func(r Record) error {
		if _, ok := newer[recordKey(r.Key, r.Mailbox)]; ok {
			return nil
		}
		return each(r)
	})
	for _, e := range f.after {
		if err == nil && newer[e.key] == e.rec {
			err = each(e.rec)
		}
	}
	return err
}

// Snapshot writes a consistent copy of the file, without what only its journal has after a crash.
func (f *File) Snapshot(w io.Writer) error { return snapshot(f.db, w) }

func snapshot(db *bbolt.DB, w io.Writer) error {
	return db.View(func(tx *bbolt.Tx) error {
		_, err := tx.WriteTo(w)
		return err
	})
}

// Verify reads the whole file, its pages and its records, and returns how many records are in which
// state. Every damage found is part of the error.
func (f *File) Verify() (map[State]int, error) {
	count := map[State]int{}
	var damage []error
	err := f.db.View(func(tx *bbolt.Tx) error {
		for err := range tx.Check() {
			damage = append(damage, err)
		}
		return nil
	})
	damage = append(damage, err, f.All(func(r Record) error {
		switch r.State {
		case InDoubt, Delivered, Deferred, Refused:
			count[r.State]++
			return nil
		}
		return fmt.Errorf("record of %s: %w: state %q", r.Mailbox, errRecord, byte(r.State))
	}))
	return count, errors.Join(damage...)
}
