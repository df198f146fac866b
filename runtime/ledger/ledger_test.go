package ledger

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.etcd.io/bbolt"
)

func open(t *testing.T, path string) *Ledger {
	t.Helper()
	l, err := Open(path, 14*24*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func key(n int) (k Key) {
	copy(k.Head[:], fmt.Sprintf("head %011d", n))
	copy(k.Content[:], fmt.Sprintf("content %024d", n))
	return k
}

func record(n int, mailbox string, s State) Record {
	return Record{Key: key(n), Mailbox: mailbox, ID: [16]byte{byte(n)}, State: s, Reply: "250 2.0.0 saved"}
}

func states(t *testing.T, l *Ledger, n int, mailboxes ...string) (all []string) {
	t.Helper()
	records, err := l.Lookup(key(n), mailboxes)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		if r.Mailbox == "" {
			all = append(all, "-")
		} else {
			all = append(all, r.State.String())
		}
	}
	return all
}

// holds wants a sound ledger at path, of no running daemon, with so many records in each state.
func holds(t *testing.T, path string, want map[State]int) {
	t.Helper()
	f, err := OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	got, err := f.Verify()
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v: -want +got\n%s", err, diff)
	}
}

func TestOutcomesAreKnownAtOnceAndAfterRestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "l.db")
	l := open(t, path)
	if err := l.Begin([]Record{record(1, "a@x", InDoubt), record(1, "b@x", InDoubt)}); err != nil {
		t.Fatal(err)
	}
	if err := l.Finish([]Record{record(1, "a@x", Delivered), record(2, "a@x", Refused)}); err != nil {
		t.Fatal(err)
	}
	check := func(when string) {
		t.Helper()
		got := append(states(t, l, 1, "a@x", "b@x", "c@x"), states(t, l, 2, "a@x")...)
		if diff := cmp.Diff([]string{"delivered", "in-doubt", "-", "refused"}, got); diff != "" {
			t.Errorf("%s: -want +got\n%s", when, diff)
		}
		for n, want := range map[int]bool{1: true, 2: true, 3: false} {
			if seen, err := l.Seen(key(n).Head); err != nil || seen != want {
				t.Errorf("%s: Seen(%d) = %v, %v", when, n, seen, err)
			}
		}
	}
	check("at once")
	secret := l.Secret()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = open(t, path)
	check("after a restart")
	if !bytes.Equal(secret, l.Secret()) || len(secret) != 32 {
		t.Error("the secret did not stay")
	}
}

// TestDoubtAfterACrash copies the file while the ledger is open, which is what a crash leaves of it.
func TestDoubtAfterACrash(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "l.db")
	l := open(t, path)
	if _, ok := l.Doubt(); ok {
		t.Error("a new ledger is in doubt")
	}
	if err := l.Begin([]Record{record(1, "a@x", Delivered)}); err != nil {
		t.Fatal(err)
	}
	var crashed bytes.Buffer
	if err := l.Snapshot(&crashed); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = open(t, path)
	if _, ok := l.Doubt(); ok {
		t.Error("in doubt after a clean end")
	}
	if err := os.WriteFile(path+"2", crashed.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 { // a clean end does not take the doubt away before its time
		l = open(t, path+"2")
		since, ok := l.Doubt()
		if age := time.Since(since); !ok || age < underWay || age > underWay+time.Minute {
			t.Errorf("after a crash: %v, since %v ago", ok, age)
		}
		l.now = func() time.Time { return time.Now().Add(doubtLasts + time.Second) }
		if _, ok := l.Doubt(); ok {
			t.Error("the doubt does not end")
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestDoubtAfterAnImpatientEnd closes the ledger while a delivery is under way.
func TestDoubtAfterAnImpatientEnd(t *testing.T) {
	path := filepath.Join(t.TempDir(), "l.db")
	l := open(t, path)
	release := l.Claim(key(1).Head, []string{"a@x"})
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	release()
	if _, ok := open(t, path).Doubt(); !ok {
		t.Error("no doubt")
	}
}

// TestDoubtAfterALateOutcome has an outcome come while the ledger is being closed, and its claim end before that.
func TestDoubtAfterALateOutcome(t *testing.T) {
	path := filepath.Join(t.TempDir(), "l.db")
	l := open(t, path)
	release := l.Claim(key(1).Head, []string{"a@x"})
	slow, err := l.db.Begin(true) // what is queued waits for it
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Finish([]Record{record(2, "b@x", Delivered)}); err != nil {
		t.Fatal(err)
	}
	closed := make(chan error)
	go func() { closed <- l.Close() }()
	for l.Err() == nil {
		time.Sleep(time.Millisecond)
	}
	if err := l.Finish([]Record{record(1, "a@x", Delivered)}); err == nil {
		t.Error("a closed ledger takes an outcome")
	}
	release()
	if err := errors.Join(slow.Rollback(), <-closed); err != nil {
		t.Fatal(err)
	}
	if _, ok := open(t, path).Doubt(); !ok {
		t.Error("no doubt")
	}
}

// TestNothingIsWrittenAfterAFailure has a write fail while the next one waits: in the file there must be no later
// journal number than that of what is missing.
func TestNothingIsWrittenAfterAFailure(t *testing.T) {
	path := filepath.Join(t.TempDir(), "l.db")
	l := open(t, path)
	slow, err := l.db.Begin(true) // what is queued waits for it
	if err != nil {
		t.Fatal(err)
	}
	begun := record(1, "a@x", InDoubt)
	if err := l.Begin([]Record{begun}); err != nil {
		t.Fatal(err)
	}
	l.mu.Lock()
	l.queue = append(l.queue, write{key: strings.Repeat("k", bbolt.MaxKeySize+1)})
	l.urgent = true
	l.wake.Signal()
	l.mu.Unlock()
	for queued := 1; queued > 0; time.Sleep(time.Millisecond) {
		l.mu.Lock()
		queued = len(l.queue)
		l.mu.Unlock()
	}
	if err := errors.Join(l.Finish([]Record{record(2, "b@x", Delivered)}), slow.Rollback()); err != nil {
		t.Fatal(err)
	}
	for l.Err() == nil {
		time.Sleep(time.Millisecond)
	}
	if got := states(t, l, 1, "a@x"); got[0] != InDoubt.String() {
		t.Errorf("what was begun is %s while the ledger is still asked", got[0])
	}
	if err := l.Close(); err == nil {
		t.Error("the failure was forgotten")
	}
	again := open(t, path)
	if got := states(t, again, 1, "a@x"); got[0] != InDoubt.String() {
		t.Errorf("what was begun is %s", got[0])
	}
	if _, ok := again.Doubt(); !ok {
		t.Error("no doubt")
	}
}

// TestDoubtKeepsItsTime begins a delivery a second time.
func TestDoubtKeepsItsTime(t *testing.T) {
	l := open(t, filepath.Join(t.TempDir(), "l.db"))
	first := time.Unix(1_700_000_000, 0).UTC()
	r := record(1, "a@x", InDoubt)
	r.Time = first
	if err := l.Begin([]Record{r}); err != nil {
		t.Fatal(err)
	}
	got, err := l.Lookup(key(1), []string{"a@x"})
	if err != nil || !got[0].Time.Equal(first) {
		t.Errorf("%v %v, want %v", got, err, first)
	}
}

// TestOutcomesAreWrittenSoon has the ledger crash after the time that an outcome may be in memory alone, and looks
// into the file, not into the memory, after the time that it may be in the journal alone.
func TestOutcomesAreWrittenSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "l.db")
		l := open(t, path)
		committed := func() (n int) {
			if err := l.All(func(Record) error { n++; return nil }); err != nil {
				t.Fatal(err)
			}
			return n
		}
		if err := l.Finish([]Record{record(1, "a@x", Delivered)}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(lateDelay + time.Second)
		synctest.Wait()
		if n := committed(); n != 0 {
			t.Errorf("%d records in the file, each of which cost a page", n)
		}
		if got := states(t, open(t, crash(t, l, path)), 1, "a@x"); got[0] != "delivered" {
			t.Errorf("after a crash: %s", got)
		}
		time.Sleep(queueDelay)
		synctest.Wait()
		if n := committed(); n != 1 {
			t.Errorf("%d records in the file", n)
		}
	})
}

// TestOutcomesDoNotWaitForTheFile crashes while a commit lasts that has an outcome among it.
func TestOutcomesDoNotWaitForTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "l.db")
	l := open(t, path)
	slow, err := l.db.Begin(true) // the commit waits for it
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Finish([]Record{record(1, "a@x", Delivered)}); err != nil {
		t.Fatal(err)
	}
	flushed := make(chan error)
	go func() { flushed <- l.flush() }()
	for end := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		entries, err := readJournal(path, 0)
		if err != nil || time.Now().After(end) {
			t.Fatalf("the outcome is not in the journal: %v", err)
		}
		if len(entries) == 1 {
			break
		}
	}
	if got := states(t, open(t, crash(t, l, path)), 1, "a@x"); got[0] != "delivered" {
		t.Errorf("after a crash: %s", got)
	}
	if err := errors.Join(slow.Rollback(), <-flushed); err != nil {
		t.Error(err)
	}
}

// TestFileTakesManyAtOnce has more outcomes come than may wait for the file.
func TestFileTakesManyAtOnce(t *testing.T) {
	l := open(t, filepath.Join(t.TempDir(), "l.db"))
	for n := range 3 * slotCount {
		if err := l.Finish([]Record{record(n, "a@x", Delivered)}); err != nil {
			t.Fatal(err)
		}
	}
	for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		l.mu.Lock()
		wait := len(l.pending)
		l.mu.Unlock()
		if wait < queueFull {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%d records wait", wait)
		}
	}
	for _, n := range []int{0, slotCount, 3*slotCount - 1} {
		if got := states(t, l, n, "a@x"); got[0] != "delivered" {
			t.Errorf("record %d: %s", n, got)
		}
	}
}

func TestForgetsWholeDays(t *testing.T) {
	path := filepath.Join(t.TempDir(), "l.db")
	l := open(t, path)
	var mu sync.Mutex
	now := time.Now()
	l.mu.Lock()
	l.now = func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	l.mu.Unlock()
	for day := range 20 {
		if err := errors.Join(l.Begin([]Record{record(day, "a@x", Delivered)}), l.flush()); err != nil {
			t.Fatal(err)
		}
		mu.Lock()
		now = now.Add(24 * time.Hour)
		mu.Unlock()
	}
	if err := l.Prune(); err != nil {
		t.Fatal(err)
	}
	kept := 0
	if err := l.All(func(Record) error { kept++; return nil }); err != nil || kept != 14 {
		t.Errorf("%d days kept, want 14: %v", kept, err)
	}
	if got := states(t, l, 0, "a@x"); got[0] != "-" {
		t.Errorf("first day: %s", got)
	}
}

func TestClaimsExclude(t *testing.T) {
	l := open(t, filepath.Join(t.TempDir(), "l.db"))
	inside, most := 0, 0
	var mu sync.Mutex
	var wait sync.WaitGroup
	for n := range 20 {
		wait.Go(func() {
			mailboxes := []string{"a@x", "b@x"}
			if n%2 == 0 {
				mailboxes = []string{"b@x"}
			}
			release := l.Claim(key(1).Head, mailboxes)
			defer release()
			mu.Lock()
			inside++
			most = max(most, inside)
			mu.Unlock()
			time.Sleep(time.Millisecond)
			mu.Lock()
			inside--
			mu.Unlock()
		})
	}
	wait.Wait()
	if most != 1 {
		t.Errorf("%d at once", most)
	}
}

func TestSnapshotAndVerify(t *testing.T) {
	dir := t.TempDir()
	path, copied := filepath.Join(dir, "l.db"), filepath.Join(dir, "copy.db")
	l := open(t, path)
	for n := range 100 {
		if err := l.Begin([]Record{record(n, "a@x", []State{Delivered, InDoubt}[n%2])}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := OpenFile(path); !errors.Is(err, ErrInUse) {
		t.Errorf("open in use: %v", err)
	}
	out, err := os.Create(copied)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(l.Snapshot(out), out.Close()); err != nil {
		t.Fatal(err)
	}
	holds(t, copied, map[State]int{Delivered: 50, InDoubt: 50})
}

// TestKilledWhileWriting runs a writer in a process of its own and kills it at random moments: whatever
// Begin had returned for must be there.
func TestKilledWhileWriting(t *testing.T) {
	if os.Getenv("LEDGER_WRITER") != "" {
		writeUntilKilled(t, os.Getenv("LEDGER_WRITER"))
		return
	}
	path := filepath.Join(t.TempDir(), "l.db")
	for round := range 5 {
		cmd := exec.Command(os.Args[0], "-test.run=^TestKilledWhileWriting$")
		cmd.Env = append(os.Environ(), "LEDGER_WRITER="+path, fmt.Sprintf("LEDGER_FROM=%d", round*100000))
		var said bytes.Buffer
		cmd.Stdout = &said
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(60+round*23) * time.Millisecond)
		cmd.Process.Kill()
		cmd.Wait()
		l := open(t, path)
		n := 0
		for line := range bytes.Lines(said.Bytes()) {
			var at int
			if _, err := fmt.Sscanf(string(line), "begun %d\n", &at); err != nil {
				continue
			}
			n++
			if got := states(t, l, at, "a@x"); got[0] != "in-doubt" {
				t.Fatalf("round %d: record %d is %s", round, at, got)
			}
		}
		t.Logf("round %d: %d records", round, n)
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func writeUntilKilled(t *testing.T, path string) {
	l, err := Open(path, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	var from int
	fmt.Sscan(os.Getenv("LEDGER_FROM"), &from)
	for n := from; ; n++ {
		if err := l.Begin([]Record{record(n, "a@x", InDoubt)}); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(os.Stdout, "begun %d\n", n)
	}
}

func FuzzDecode(f *testing.F) {
	r := record(1, "a@x", Delivered)
	f.Add([]byte(recordKey(r.Key, r.Mailbox)), encode(r))
	f.Add([]byte{}, []byte{})
	f.Fuzz(func(t *testing.T, k, v []byte) {
		r, err := decode(k, v)
		if err == nil && recordKey(r.Key, r.Mailbox) != string(k) {
			t.Errorf("%x decodes under another key", k)
		}
	})
}
