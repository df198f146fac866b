package backup_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/google/go-cmp/cmp"
	"github.com/mailplan/mailplan/runtime/backup"
	"github.com/mailplan/mailplan/runtime/backup/backuptest"
	"github.com/mailplan/mailplan/runtime/backup/extract"
	"github.com/mailplan/mailplan/runtime/backup/restore"
	"github.com/mailplan/mailplan/runtime/config"
	"github.com/mailplan/mailplan/test/need"
)

// order is what a child process of these tests is told to do.
type order struct {
	Do       string // run, sync or restore
	Config   config.Backup
	Clock    time.Time
	Identity string
	Snapshot string
}

const orderVariable = "MAILPLAN_TEST_ORDER"

func TestMain(m *testing.M) {
	if text := os.Getenv(orderVariable); text != "" {
		if err := obey(text); err != nil {
			for range 3 { // strace counts each thread's calls: the write that fails may be this one
				if _, failed := fmt.Fprintln(os.Stderr, err); failed == nil {
					break
				}
			}
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func obey(text string) error {
	var o order
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		return err
	}
	x, err := backup.New(o.Config)
	if err != nil {
		return err
	}
	x.Now = func() time.Time { return o.Clock }
	switch o.Do {
	case "run":
		_, err = x.Run(context.Background(), backup.RunOptions{Full: true})
	case "sync":
		_, err = x.Sync(context.Background(), nil)
	case "restore":
		err = restoreSnapshot(o)
	}
	return err
}

func restoreSnapshot(o order) error {
	trusted, err := backup.Trusted(o.Config)
	if err != nil {
		return err
	}
	identity, err := age.ParseX25519Identity(o.Identity)
	if err != nil {
		return err
	}
	s, err := extract.Open(context.Background(), extract.Folder(o.Snapshot), trusted, []age.Identity{identity}, o.Config.State)
	if err != nil {
		return err
	}
	defer s.Close()
	r := restore.Restorer{Config: o.Config, Snapshot: s, Options: restore.Options{Workers: 2}}
	_, err = r.Run(context.Background())
	return err
}

// killed and failed are what strace does to the n-th of some system calls of each thread.
const (
	killed   = "signal=KILL"
	diskFull = "error=ENOSPC"
	steps    = "renameat,renameat2,linkat,unlinkat,fsync,mkdirat,syncfs"
)

// child has a child process carry an order out; what happens to its n-th system call of the set. It
// reports whether the process came to its end by itself, and its error.
func child(t testing.TB, o order, set, what string, n int) (ended bool, err error) {
	t.Helper()
	text, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(need.Program(t, "strace"), "-f", "-o", "/dev/null", "-e", "trace="+set, "-e", fmt.Sprintf("inject=%s:%s:when=%d", set, what, n), os.Args[0])
	cmd.Env = append(os.Environ(), orderVariable+"="+string(text), "GOMAXPROCS=2")
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		status := exit.Sys().(syscall.WaitStatus)
		if status.Signaled() {
			return false, nil
		}
		return true, fmt.Errorf("%w: %s", err, out)
	}
	return true, err
}

// every is how many system calls lie between two attempts; MAILPLAN_CRASH_EVERY=1 tries each.
func every(t testing.TB) int {
	t.Helper()
	n, err := strconv.Atoi(os.Getenv("MAILPLAN_CRASH_EVERY"))
	if err != nil {
		return 5
	}
	return n
}

func (o order) of(s *backuptest.Site) order {
	o.Config, o.Clock, o.Identity = s.Config, s.Clock, s.Identity.String()
	return o
}

// good asserts that verify has nothing to say against the site's snapshots.
func good(t testing.TB, s *backuptest.Site, when string) {
	t.Helper()
	if _, err := s.Executor(t).Verify(t.Context(), []age.Identity{s.Identity}, nil); err != nil {
		t.Errorf("%s: %v", when, err)
	}
}

// anotherDay changes a few files.
func anotherDay(t testing.TB, s *backuptest.Site) {
	t.Helper()
	s.Clock = s.Clock.AddDate(0, 0, 1)
	s.Write(t, "config/today", s.Clock.String())
	s.Write(t, fmt.Sprintf("vmail/example.com/alice/Maildir/new/%d.M1P1.mx", s.Clock.Unix()), "Subject: today\n\n"+s.Clock.String())
}

func TestRunKilledAnywhereLeavesGoodBackupsAndTheNextOneIsRight(t *testing.T) {
	s := backuptest.NewSite(t)
	s.Config.Local.KeepDaily, s.Config.Local.KeepWeekly = 2, 1
	for range 3 {
		anotherDay(t, s)
		s.Run(t, backup.RunOptions{})
	}
	deaths := 0
	for n, survived := 1, 0; survived < 3; n += every(t) {
		anotherDay(t, s)
		ended, err := child(t, order{Do: "run"}.of(s), steps, killed, n)
		if err != nil {
			t.Fatalf("call %d: %v", n, err)
		}
		good(t, s, fmt.Sprintf("after a kill at call %d", n))
		if ended {
			survived++
			continue
		}
		deaths++
		s.Clock = s.Clock.Add(time.Hour)
		r := s.Run(t, backup.RunOptions{})
		good(t, s, fmt.Sprintf("after the run after a kill at call %d", n))
		if deaths%4 == 0 {
			restoreByHand(t, s, filepath.Join(s.Config.Local.Path, r.Snapshot), s.Path("restored"))
			got := backuptest.Tree(t, s.Path("restored"))
			delete(got, ".")
			if diff := cmp.Diff(s.Want(t), got); diff != "" {
				t.Errorf("after a kill at call %d (-want +got):\n%s", n, diff)
			}
			os.RemoveAll(s.Path("restored"))
		}
	}
	t.Logf("killed %d times", deaths)
	if deaths < 2 {
		t.Errorf("killed only %d times: the test shows nothing", deaths)
	}
}

func TestFullDiskIsAFailureAndTheNextRunIsRight(t *testing.T) {
	s := backuptest.NewSite(t)
	s.Run(t, backup.RunOptions{})
	failures := 0
	for n := 1; n < 40; n += 3 {
		anotherDay(t, s)
		ended, err := child(t, order{Do: "run"}.of(s), "write,fsync,linkat,mkdirat", diskFull, n)
		if !ended {
			t.Fatal("killed by a full disk")
		}
		if err != nil {
			failures++
			if !strings.Contains(err.Error(), "no space left") {
				t.Errorf("call %d: the error does not name the reason: %v", n, err)
			}
		}
		good(t, s, fmt.Sprintf("after a full disk at call %d", n))
		s.Clock = s.Clock.Add(time.Hour)
		s.Run(t, backup.RunOptions{})
		good(t, s, fmt.Sprintf("after the run after a full disk at call %d", n))
	}
	if failures == 0 {
		t.Error("no run failed: the test shows nothing")
	}
}

func TestRestoreKilledAnywhereGoesOn(t *testing.T) {
	s := backuptest.NewSite(t)
	r := s.Run(t, backup.RunOptions{})
	want := s.Want(t)
	drop := func(m map[string]string) {
		maps.DeleteFunc(m, func(path, _ string) bool {
			return strings.HasSuffix(path, "dovecot-uidlist") || strings.Contains(path, restore.Reserved)
		})
	}
	drop(want)
	o := order{Do: "restore", Snapshot: filepath.Join(s.Config.Local.Path, r.Snapshot)}.of(s)
	deaths := 0
	for n, survived := 1, 0; survived < 2; n += every(t) {
		for _, c := range s.Config.Classes { // half of it is lost, half is another version
			if err := os.RemoveAll(filepath.Join(c.Path, "example.com/bob")); err != nil {
				t.Fatal(err)
			}
		}
		s.Write(t, "config/docker-compose.yml", "services: {other: {}}\n")
		ended, err := child(t, o, steps+",openat,utimensat", killed, 10+n)
		if err != nil {
			t.Fatal(err)
		}
		if ended {
			survived++
		} else {
			deaths++
			if err := restoreSnapshot(o); err != nil {
				t.Fatalf("restore after a kill at call %d: %v", n, err)
			}
		}
		got := s.Want(t)
		drop(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("killed at call %d and restored again (-want +got):\n%s", n, diff)
		}
	}
	t.Logf("killed %d times", deaths)
	if deaths < 2 {
		t.Errorf("killed only %d times: the test shows nothing", deaths)
	}
}

func TestSyncKilledAnywhereShowsNoHalfSnapshot(t *testing.T) {
	s := backuptest.NewSite(t)
	server := backuptest.StartS3(t, "copies")
	offsite := server.Offsite(t, s, "copies")
	s.Config.Offsite = &offsite
	s.Clock = time.Now()
	deaths := 0
	for n := 1; n < 20; n += 3 {
		s.Clock = s.Clock.Add(time.Second)
		s.Write(t, "config/today", s.Clock.String())
		s.Run(t, backup.RunOptions{})
		x := s.Executor(t)
		ended, err := child(t, order{Do: "sync"}.of(s), "write", killed, n)
		if err != nil {
			t.Fatal(err)
		}
		if !ended {
			deaths++
		}
		bucket, err := x.Bucket()
		if err != nil {
			t.Fatal(err)
		}
		all, err := bucket.Snapshots(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, one := range all { // whatever shows is whole
			opened, err := extract.Open(t.Context(), one, x.Store().Trusted, []age.Identity{s.Identity}, s.Config.State)
			if err != nil {
				t.Fatalf("killed at write %d: snapshot %s shows but %v", n, one.Name, err)
			}
			opened.Close()
		}
		if _, err := x.Sync(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		if _, err := x.VerifyOffsite(t.Context()); err != nil {
			t.Errorf("after a kill at write %d: %v", n, err)
		}
	}
	if deaths < 2 {
		t.Errorf("killed only %d times: the test shows nothing", deaths)
	}
}

// TestRestoreOntoAFullDiskChangesNothingHalf: each class is as it was or as it was backed up, whole.
func TestRestoreOntoAFullDiskChangesNothingHalf(t *testing.T) {
	s := backuptest.NewSite(t)
	state := func() map[string]string {
		all := s.Want(t)
		maps.DeleteFunc(all, func(path, _ string) bool {
			return strings.HasSuffix(path, "dovecot-uidlist") || strings.Contains(path, restore.Reserved)
		})
		return all
	}
	saved := state()
	r := s.Run(t, backup.RunOptions{})
	s.Write(t, "config/docker-compose.yml", "services: {live: {}}\n")
	s.Write(t, "config/added", "since")
	live := state()
	o := order{Do: "restore", Snapshot: filepath.Join(s.Config.Local.Path, r.Snapshot)}.of(s)
	failures := 0
	for n := 1; n < 60; n += 4 * every(t) {
		_, err := child(t, o, "mkdirat,openat,write", diskFull, 30+n)
		if err == nil {
			break
		}
		if failures++; !strings.Contains(err.Error(), "no space left") {
			t.Errorf("call %d: the error does not name the reason: %v", n, err)
		}
		if got := state(); !maps.Equal(got, live) && !maps.Equal(got, saved) {
			t.Fatalf("call %d: %v left half of it (-saved +got):\n%s", n, err, cmp.Diff(saved, got))
		}
	}
	if failures == 0 {
		t.Error("no restore failed: the test shows nothing")
	}
	if err := restoreSnapshot(o); err != nil {
		t.Errorf("with room again: %v", err)
	}
	if got := state(); !maps.Equal(got, saved) {
		t.Errorf("restored (-want +got):\n%s", cmp.Diff(saved, got))
	}
}
