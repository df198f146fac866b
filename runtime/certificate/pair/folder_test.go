package pair_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/mailplan/mailplan/runtime/certificate/pair"
	"github.com/mailplan/mailplan/test/need"
)

const orderVariable = "MAILPLAN_TEST_PUT"

// TestMain is also the process that is killed: it puts the pair of one folder into another.
func TestMain(m *testing.M) {
	if to := os.Getenv(orderVariable); to != "" {
		p, err := pair.Folder{Path: to + ".next"}.Load()
		if err == nil {
			err = pair.Folder{Path: to, UID: -1}.Put(p)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func placeholder(t *testing.T) *pair.Pair {
	t.Helper()
	p, err := pair.Placeholder([]string{"imap.example.com"}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func put(t *testing.T, dir string, p *pair.Pair) {
	t.Helper()
	if err := (pair.Folder{Path: dir, UID: -1}).Put(p); err != nil {
		t.Fatal(err)
	}
}

// TestPutKilled kills a process that replaces a pair at each of its steps on the disk. What is there afterwards is the
// old pair or the new one, and another run comes to its end.
func TestPutKilled(t *testing.T) {
	strace := need.Program(t, "strace")
	for name, begin := range map[string]func(t *testing.T, dir string, old *pair.Pair){
		"nothing there": func(*testing.T, string, *pair.Pair) {},
		"a pair there":  put,
		"files put there by hand": func(t *testing.T, dir string, old *pair.Pair) {
			if err := errors.Join(os.MkdirAll(dir, 0o700), os.WriteFile(filepath.Join(dir, "fullchain.pem"), old.Chain, 0o644),
				os.WriteFile(filepath.Join(dir, "privkey.pem"), old.Key, 0o600)); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			kills := 0
			old, next := placeholder(t), placeholder(t)
			for _, call := range []string{"renameat", "symlinkat", "unlinkat", "fsync", "mkdirat"} {
				for n, ended := 1, false; !ended; n++ {
					dir := filepath.Join(t.TempDir(), "tls")
					begin(t, dir, old)
					put(t, dir+".next", next)
					ended = killAt(t, strace, dir, call, n)
					seen := look(t, dir)
					if name != "nothing there" && seen == "" || seen != "" && seen != old.Fingerprint() && seen != next.Fingerprint() {
						t.Fatalf("killed at %s %d: %q is there", call, n, seen)
					}
					put(t, dir, next)
					if look(t, dir) != next.Fingerprint() {
						t.Fatalf("killed at %s %d: another run does not come to its end", call, n)
					}
					kills++
				}
			}
			t.Logf("%d kills", kills)
		})
	}
}

// killAt kills the process at its n-th system call of a kind, and says whether it came to its end before.
func killAt(t *testing.T, strace, dir, call string, n int) bool {
	t.Helper()
	cmd := exec.Command(strace, "-f", "-o", "/dev/null", "-e", "trace="+call, "-e", fmt.Sprintf("inject=%s:signal=KILL:when=%d", call, n), os.Args[0])
	cmd.Env = append(os.Environ(), orderVariable+"="+dir, "GOMAXPROCS=1")
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signaled() {
		return false
	}
	if err != nil {
		t.Fatalf("%s %d: %v: %s", call, n, err, out)
	}
	return true
}

// look is the fingerprint of what is in use; empty for none.
func look(t *testing.T, dir string) string {
	t.Helper()
	p, err := pair.Folder{Path: dir}.Load()
	if errors.Is(err, fs.ErrNotExist) {
		return ""
	}
	if err != nil {
		t.Fatalf("key and certificate do not belong together: %v", err)
	}
	return p.Fingerprint()
}

// TestVersions: the one before stays, older ones go, and links lead nowhere outside, so that they hold in a container.
func TestVersions(t *testing.T) {
	dir := t.TempDir()
	var last *pair.Pair
	for range 4 {
		last = placeholder(t)
		put(t, dir, last)
	}
	put(t, dir, last) // once more changes nothing
	entries, err := os.ReadDir(filepath.Join(dir, "versions"))
	if err != nil || len(entries) != 2 {
		t.Errorf("%d versions are there, want the one in use and the one before: %v", len(entries), err)
	}
	for _, name := range []string{"fullchain.pem", "privkey.pem", "current"} {
		if to, err := os.Readlink(filepath.Join(dir, name)); err != nil || filepath.IsAbs(to) {
			t.Errorf("%s leads to %q, %v", name, to, err)
		}
	}
	if look(t, dir) != last.Fingerprint() {
		t.Error("the last one is not in use")
	}
}

// TestOthersKey: a key of another certificate is no pair.
func TestOthersKey(t *testing.T) {
	if _, err := pair.Parse(placeholder(t).Chain, placeholder(t).Key); err == nil {
		t.Error("taken")
	}
}
