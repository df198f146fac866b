package ledger

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
)

// journal is where records are written down first: a small file beside the ledger, of a fixed size, whose slots
// are used over and over. Writing some takes a single write of blocks that the file has already, and no change of
// the file system's own records, which a commit of the ledger file takes several of. The ledger file takes the
// entries over with its next commit and remembers the number of the last one; what has a higher number when it
// is opened again was lost in a crash, and is read from here.
//
// A slot is the CRC-32C of what follows, the entry's number, the length of the value, key and value.
type journal struct {
	file *os.File
	mu   sync.Mutex
	next *journalGroup // who comes while others are being written

	turn   sync.Mutex // held while a group is written
	newest uint64     // number that was written
}

// journalGroup is written at once: whoever begins it writes it, the others wait for that.
type journalGroup struct {
	entries []journalEntry
	done    chan struct{}
	err     error
}

type journalEntry struct {
	number uint64
	key    string
	rec    Record
}

const (
	slotSize   = 512 // a sector, which disks write whole
	slotCount  = 4096
	slotHead   = 4 + 8 + 2
	slotsBytes = slotSize * slotCount
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func journalPath(ledger string) string { return ledger + ".journal" }

// openJournal opens the journal of a ledger for writing, making it when missing.
func openJournal(ledger string) (*journal, error) {
	path := journalPath(ledger)
	// O_DSYNC: a write returns when its data is on disk
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|syscall.O_DSYNC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open ledger's journal: %w", err)
	}
	if err := fillOut(f); err != nil {
		f.Close()
		return nil, fmt.Errorf("make ledger's journal %s: %w", path, err)
	}
	return &journal{file: f}, nil
}

// close closes the file, if there is one.
func (j *journal) close() error {
	if j == nil {
		return nil
	}
	return j.file.Close()
}

// fillOut gives a new file all its blocks. What one that is too short held has been taken over.
func fillOut(f *os.File) error {
	if info, err := f.Stat(); err != nil || info.Size() >= slotsBytes {
		return err
	}
	if _, err := f.WriteAt(make([]byte, slotsBytes), 0); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(f.Name()))
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), dir.Sync(), dir.Close())
}

// readJournal reads the entries with a higher number than after, in their order. A slot that was not written
// to its end never counted.
func readJournal(ledger string, after uint64) (all []journalEntry, err error) {
	f, err := os.Open(journalPath(ledger))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read ledger's journal: %w", err)
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, slotsBytes))
	if err != nil {
		return nil, fmt.Errorf("read ledger's journal: %w", err)
	}
	for slot := range slices.Chunk(content, slotSize) {
		if e, err := decodeSlot(slot); err == nil && e.number > after {
			all = append(all, e)
		}
	}
	slices.SortFunc(all, func(a, b journalEntry) int { return cmp.Compare(a.number, b.number) })
	return all, nil
}

// fitsSlot says whether a record can stand in the journal: all but those of endless addresses can.
func fitsSlot(r Record) bool {
	return slotHead+keySize+fixedPart+len(r.Mailbox)+min(len(r.Reply), maxReply) <= slotSize
}

func appendSlot(b []byte, e journalEntry) []byte {
	start, value := len(b), encode(e.rec)
	b = binary.BigEndian.AppendUint64(append(b, 0, 0, 0, 0), e.number)
	b = binary.BigEndian.AppendUint16(b, uint16(len(value)))
	b = append(append(b, e.key...), value...)
	b = append(b, make([]byte, start+slotSize-len(b))...)
	binary.BigEndian.PutUint32(b[start:], crc32.Checksum(b[start+4:], castagnoli))
	return b
}

func decodeSlot(slot []byte) (e journalEntry, err error) {
	if len(slot) != slotSize || binary.BigEndian.Uint32(slot) != crc32.Checksum(slot[4:], castagnoli) {
		return e, errRecord
	}
	e.number = binary.BigEndian.Uint64(slot[4:])
	n := int(binary.BigEndian.Uint16(slot[12:]))
	if slotHead+keySize+n > slotSize {
		return e, errRecord
	}
	e.key = string(slot[slotHead : slotHead+keySize])
	e.rec, err = decode([]byte(e.key), slot[slotHead+keySize:slotHead+keySize+n])
	return e, err
}

// write returns when the entries are on disk. Their slots must be free.
func (j *journal) write(entries []journalEntry) error {
	j.mu.Lock()
	g, first := j.next, j.next == nil
	if first {
		g = &journalGroup{done: make(chan struct{})}
		j.next = g
	}
	g.entries = append(g.entries, entries...)
	j.mu.Unlock()
	if !first {
		<-g.done
		return g.err
	}
	j.turn.Lock()
	defer j.turn.Unlock()
	j.mu.Lock()
	j.next = nil
	j.mu.Unlock()
	g.err = j.put(g.entries)
	close(g.done)
	return g.err
}

// put writes entries, those of neighbouring slots at once. One that comes so late that its slot may be in use
// again is in the ledger file: numbers that far ahead are given only then.
func (j *journal) put(entries []journalEntry) error {
	entries = slices.DeleteFunc(entries, func(e journalEntry) bool { return e.number+slotCount <= j.newest })
	slices.SortFunc(entries, func(a, b journalEntry) int { return cmp.Compare(a.number, b.number) })
	for len(entries) > 0 {
		n := 1
		for n < len(entries) && entries[n].number == entries[n-1].number+1 && entries[n].number%slotCount != 0 {
			n++
		}
		b := make([]byte, 0, n*slotSize)
		for _, e := range entries[:n] {
			b = appendSlot(b, e)
		}
		if _, err := j.file.WriteAt(b, int64(entries[0].number%slotCount)*slotSize); err != nil {
			return fmt.Errorf("write ledger's journal: %w", err)
		}
		j.newest = max(j.newest, entries[n-1].number)
		entries = entries[n:]
	}
	return nil
}
