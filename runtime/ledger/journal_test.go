package ledger

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// crash opens what a crash would leave of an open ledger: the file as of its last commit, and its journal.
func crash(t *testing.T, l *Ledger, path string) (copied string) {
	t.Helper()
	copied = filepath.Join(t.TempDir(), "crashed.db")
	out, err := os.Create(copied)
	if err != nil {
		t.Fatal(err)
	}
	journal, err := os.ReadFile(journalPath(path))
	if err := errors.Join(err, snapshot(l.db, out), out.Close(), os.WriteFile(journalPath(copied), journal, 0o600)); err != nil {
		t.Fatal(err)
	}
	return copied
}

// TestJournalOutlivesACrash looks for what was begun and not yet committed, after the ring has gone round a few
// times, both in the file at rest and in the next run.
func TestJournalOutlivesACrash(t *testing.T) {
	path := filepath.Join(t.TempDir(), "l.db")
	l := open(t, path)
	endless := strings.Repeat("x", 500) + "@x" // fits no slot
	const last = slotCount + 7
	var all sync.WaitGroup
	for from := range 8 {
		all.Go(func() {
			for n := from; n < last; n += 8 {
				if err := l.Begin([]Record{record(n, "a@x", InDoubt), record(n, "b@x", InDoubt)}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	err := errors.Join(l.Begin([]Record{record(last, endless, InDoubt)}), l.Begin([]Record{record(last+1, "a@x", InDoubt)}))
	if err != nil {
		t.Fatal(err)
	}
	copied := crash(t, l, path)
	holds(t, copied, map[State]int{InDoubt: 2*last + 2})
	l = open(t, copied)
	for n := range last {
		if got := states(t, l, n, "a@x", "b@x"); got[0] != "in-doubt" || got[1] != "in-doubt" {
			t.Fatalf("record %d of %d: %s", n, last, got)
		}
	}
	if got := append(states(t, l, last, endless), states(t, l, last+1, "a@x")...); got[0] != "in-doubt" || got[1] != "in-doubt" {
		t.Errorf("last records: %s", got)
	}
}

// TestJournalDoesNotUndoOutcomes has an outcome committed after its beginning: the slot is still there.
func TestJournalDoesNotUndoOutcomes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "l.db")
	l := open(t, path)
	err := errors.Join(l.Begin([]Record{record(1, "a@x", InDoubt)}), l.Finish([]Record{record(1, "a@x", Delivered)}), l.flush(),
		l.Begin([]Record{record(2, "a@x", InDoubt)}))
	if err != nil {
		t.Fatal(err)
	}
	l = open(t, crash(t, l, path))
	if diff := cmp.Diff([]string{"delivered", "in-doubt"}, append(states(t, l, 1, "a@x"), states(t, l, 2, "a@x")...)); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// TestCommitCutShort crashes when the file has taken a part of what the journal holds.
func TestCommitCutShort(t *testing.T) {
	path := filepath.Join(t.TempDir(), "l.db")
	l := open(t, path)
	const count = 3 * turnCount
	for n := range count {
		if err := l.Begin([]Record{record(n, "a@x", InDoubt)}); err != nil {
			t.Fatal(err)
		}
	}
	l.mu.Lock()
	part := slices.Clone(l.queue[count-turnCount:])
	l.mu.Unlock()
	if err := l.put(time.Now().UTC().Format(dayLayout), part); err != nil {
		t.Fatal(err)
	}
	copied := crash(t, l, path)
	l = open(t, copied)
	for n := range count {
		if got := states(t, l, n, "a@x"); got[0] != "in-doubt" {
			t.Fatalf("record %d: %s", n, got)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	holds(t, copied, map[State]int{InDoubt: count})
}

// TestTornSlotIsLeftOut damages the newest slot, as a write that a power cut has torn.
func TestTornSlotIsLeftOut(t *testing.T) {
	path := filepath.Join(t.TempDir(), "l.db")
	l := open(t, path)
	for n := range 3 {
		if err := l.Begin([]Record{record(n, "a@x", InDoubt)}); err != nil {
			t.Fatal(err)
		}
	}
	entries, err := readJournal(path, 0)
	if err != nil || len(entries) != 3 {
		t.Fatalf("%d entries: %v", len(entries), err)
	}
	copied := crash(t, l, path)
	journal, err := os.ReadFile(journalPath(copied))
	if err != nil {
		t.Fatal(err)
	}
	journal[entries[2].number*slotSize+100] ^= 1
	if err := os.WriteFile(journalPath(copied), journal, 0o600); err != nil {
		t.Fatal(err)
	}
	if entries, err = readJournal(copied, 0); err != nil || len(entries) != 2 {
		t.Errorf("%d entries, want 2: %v", len(entries), err)
	}
}

// TestLateEntryLeavesANewerOneAlone writes an entry whose slot is in use again.
func TestLateEntryLeavesANewerOneAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "l.db")
	j, err := openJournal(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.close() })
	for _, number := range []uint64{5 + slotCount, 5} {
		r := record(1, "a@x", InDoubt)
		if err := j.write([]journalEntry{{number, recordKey(r.Key, r.Mailbox), r}}); err != nil {
			t.Fatal(err)
		}
	}
	if all, err := readJournal(path, 0); err != nil || len(all) != 1 || all[0].number != 5+slotCount {
		t.Errorf("%+v %v", all, err)
	}
}

func FuzzDecodeSlot(f *testing.F) {
	r := record(1, "a@x", InDoubt)
	f.Add(appendSlot(nil, journalEntry{7, recordKey(r.Key, r.Mailbox), r}))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, slot []byte) {
		if len(slot) >= slotHead {
			slot = append(slot, make([]byte, slotSize)...)[:slotSize]
			binary.BigEndian.PutUint32(slot, crc32.Checksum(slot[4:], castagnoli))
		}
		e, err := decodeSlot(slot)
		if err == nil && recordKey(e.rec.Key, e.rec.Mailbox) != e.key {
			t.Errorf("%x is read under another key: %+v", slot, e)
		}
	})
}
