package logline

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// calls keeps what each call wrote.
type calls struct {
	mu  sync.Mutex
	all []string
	err error
}

func (c *calls) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all = append(c.all, string(b))
	return len(b), c.err
}

// words are the messages of what was written, a slice for each call.
func (c *calls) words(t *testing.T) (all [][]string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, call := range c.all {
		var said []string
		for line := range strings.Lines(call) {
			var record struct{ Msg string }
			if err := json.Unmarshal([]byte(line), &record); err != nil {
				t.Errorf("%q: %v", line, err)
			}
			said = append(said, record.Msg)
		}
		all = append(all, said)
	}
	return all
}

func TestLinesWaitForCompany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &calls{}
		log := slog.New(New(out))
		log.Info("a")
		time.Sleep(company / 2)
		log.With("k", "v").WithGroup("g").Info("b", "x", 1)
		if got := out.words(t); got != nil {
			t.Errorf("written too early: %v", got)
		}
		time.Sleep(company/2 + time.Millisecond)
		synctest.Wait()
		log.Info("c")
		log.Warn("d")
		log.With("k", "v").Error("e")
		time.Sleep(time.Hour)
		log.Info("f")
		time.Sleep(2 * company)
		synctest.Wait()
		want := [][]string{{"a", "b"}, {"c", "d"}, {"e"}, {"f"}}
		if got := out.words(t); !slices.EqualFunc(got, want, slices.Equal) {
			t.Errorf("wrote %v, want %v", got, want)
		}
	})
}

// TestNoLineIsLost has many write at once, more than waits, and ends with Flush.
func TestNoLineIsLost(t *testing.T) {
	out := &calls{}
	h := New(out)
	var all sync.WaitGroup
	for n := range 8 {
		all.Go(func() {
			for i := range 500 {
				slog.New(h).Info(fmt.Sprint(n, "/", i), "to", strings.Repeat("x", 100))
			}
		})
	}
	all.Wait()
	if err := h.Flush(); err != nil {
		t.Error(err)
	}
	var got []string
	for _, call := range out.words(t) {
		got = append(got, call...)
	}
	slices.Sort(got)
	if len(slices.Compact(got)) != 4000 {
		t.Errorf("%d different lines of 4000", len(slices.Compact(got)))
	}
	for _, call := range out.all {
		if len(call) > 2*enough || !bytes.HasSuffix([]byte(call), []byte("\n")) {
			t.Errorf("a call wrote %d bytes that end with %q", len(call), call[len(call)-1:])
		}
	}
}

// stuck is written to when it is let go.
type stuck struct {
	calls
	begun, free chan struct{}
}

func (s *stuck) Write(b []byte) (int, error) {
	s.begun <- struct{}{}
	<-s.free
	return s.calls.Write(b)
}

// TestNobodyWaitsForASlowLog has a line come while the one before is still being written.
func TestNobodyWaitsForASlowLog(t *testing.T) {
	out := &stuck{begun: make(chan struct{}, 2), free: make(chan struct{})}
	h := New(out)
	log := slog.New(h)
	log.Info("a")
	<-out.begun
	logged := make(chan struct{})
	go func() { log.Info("b"); close(logged) }()
	select {
	case <-logged:
	case <-time.After(10 * time.Second):
		t.Error("a line waits for the log to be written")
	}
	close(out.free)
	<-logged
	if err := h.Flush(); err != nil {
		t.Error(err)
	}
	if got, want := out.words(t), [][]string{{"a"}, {"b"}}; !slices.EqualFunc(got, want, slices.Equal) {
		t.Errorf("wrote %v, want %v", got, want)
	}
}

func TestErrorOfTheLog(t *testing.T) {
	h := New(&calls{err: errors.New("disk is full")})
	slog.New(h).Info("a")
	if err := h.Flush(); err == nil {
		t.Error("nobody was told")
	}
}
