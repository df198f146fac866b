package walk_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/mailplan/mailplan/runtime/backup/walk"
)

// busy is a Maildir in which somebody renames messages all the time.
type busy struct {
	root    string
	paths   []string
	renames int
	stop    chan struct{}
	done    sync.WaitGroup
}

func newBusy(t *testing.T, messages, perSecond int) *busy {
	t.Helper()
	b := &busy{root: t.TempDir(), stop: make(chan struct{})}
	for _, folder := range []string{"", ".Archive/"} {
		for _, dir := range []string{"cur", "new", "tmp"} {
			if err := os.MkdirAll(filepath.Join(b.root, folder+dir), 0o700); err != nil {
				t.Fatal(err)
			}
		}
	}
	for i := range messages {
		path := filepath.Join(b.root, "new", fmt.Sprintf("%d.M%dP1.mx", 1700000000+i, i))
		if err := os.WriteFile(path, []byte(strconv.Itoa(i)), 0o600); err != nil {
			t.Fatal(err)
		}
		b.paths = append(b.paths, path)
	}
	b.done.Add(1)
	go b.rename(perSecond)
	t.Cleanup(b.end)
	return b
}

func (b *busy) end() {
	select {
	case <-b.stop:
	default:
		close(b.stop)
	}
	b.done.Wait()
}

// rename gives messages new flags, and moves them between folders, at a steady rate.
func (b *busy) rename(perSecond int) {
	defer b.done.Done()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	random := rand.New(rand.NewPCG(1, 2))
	for {
		select {
		case <-b.stop:
			return
		case <-tick.C:
		}
		for range perSecond / 200 {
			i := random.IntN(len(b.paths))
			folder := []string{"", "", "", ".Archive/"}[random.IntN(4)]
			flags := []string{"S", "RS", "FS", ""}[random.IntN(4)]
			to := filepath.Join(b.root, folder+"cur", walk.BaseName(filepath.Base(b.paths[i]))+":2,"+flags)
			if os.Rename(b.paths[i], to) == nil {
				b.paths[i] = to
				b.renames++
			}
		}
	}
}

// read walks the Maildir and reads every message; it returns how often each was found.
func (b *busy) read(t *testing.T) map[string]int {
	t.Helper()
	found := map[string]int{}
	var entries []walk.Entry
	err := walk.Tree(context.Background(), b.root, walk.Options{}, func(e walk.Entry) error {
		if e.Message() {
			entries = append(entries, e)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		file, err := e.Open()
		if errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: not found again", e.Path)
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(file)
		file.Close()
		if err != nil {
			t.Fatal(err)
		}
		found[string(content)]++
	}
	return found
}

// raceRuns is how often the race is run; MAILPLAN_RACE_RUNS asks for more.
func raceRuns(t *testing.T) int {
	t.Helper()
	n, err := strconv.Atoi(os.Getenv("MAILPLAN_RACE_RUNS"))
	if err != nil {
		return 3
	}
	return n
}

func TestNoMessageIsMissedWhileTheyAreRenamed(t *testing.T) {
	const messages = 3000
	for run := range raceRuns(t) {
		b := newBusy(t, messages, 1000)
		time.Sleep(20 * time.Millisecond)
		found := b.read(t)
		b.end()
		missed := 0
		for i := range messages {
			if found[strconv.Itoa(i)] == 0 {
				missed++
			}
		}
		if missed > 0 {
			t.Errorf("run %d: %d messages of %d missed with %d renames", run, missed, messages, b.renames)
		}
	}
}

func TestTmpAndLocksAreLeftOut(t *testing.T) {
	root := t.TempDir()
	for _, dir := range []string{"cur", "new", "tmp"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"tmp/1.half", "new/2.whole", "dovecot-uidlist", "dovecot-uidlist.lock"} {
		if err := os.WriteFile(filepath.Join(root, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	err := walk.Tree(context.Background(), root, walk.Options{Exclude: []string{"*.lock"}}, func(e walk.Entry) error {
		got = append(got, e.Path)
		return nil
	})
	if want := "[. cur dovecot-uidlist new new/2.whole tmp]"; err != nil || fmt.Sprint(got) != want {
		t.Errorf("got %v, %v; want %s", got, err, want)
	}
}

func TestLinkedRootIsFollowed(t *testing.T) {
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(root, link); err != nil {
		t.Fatal(err)
	}
	n := 0
	err := walk.Tree(context.Background(), link, walk.Options{}, func(walk.Entry) error { n++; return nil })
	if err != nil || n != 2 {
		t.Errorf("found %d, %v", n, err)
	}
}

// TestWalkIsLinear walks two trees of Maildirs, the second ten times as large. MAILPLAN_WALK_FILES is the
// size of the second.
func TestWalkIsLinear(t *testing.T) {
	files, err := strconv.Atoi(os.Getenv("MAILPLAN_WALK_FILES"))
	if err != nil {
		files = 20000
	}
	var took [2]time.Duration
	for i, n := range []int{files / 10, files} {
		root := t.TempDir()
		fill(t, root, n)
		start, found := time.Now(), 0
		err := walk.Tree(context.Background(), root, walk.Options{}, func(e walk.Entry) error {
			if e.Message() {
				found++
			}
			_, err := e.Lstat()
			return err
		})
		took[i] = time.Since(start)
		if err != nil || found != n {
			t.Fatalf("found %d of %d, %v", found, n, err)
		}
	}
	t.Logf("%d files in %v, %d in %v", files/10, took[0], files, took[1])
	if took[1] > 30*took[0]+time.Second {
		t.Errorf("ten times the files took %v instead of %v", took[1], took[0])
	}
}

// fill makes n empty messages in Maildirs of 1,000.
func fill(t *testing.T, root string, n int) {
	t.Helper()
	for i := range n {
		maildir := filepath.Join(root, "example.com", fmt.Sprintf("user%04d", i/1000), "Maildir")
		if i%1000 == 0 {
			for _, dir := range []string{"cur", "new", "tmp"} {
				if err := os.MkdirAll(filepath.Join(maildir, dir), 0o700); err != nil {
					t.Fatal(err)
				}
			}
		}
		file, err := os.Create(filepath.Join(maildir, "cur", fmt.Sprintf("%d.M%dP1.mx,S=0:2,S", 1700000000+i, i)))
		if err != nil {
			t.Fatal(err)
		}
		file.Close()
	}
}
