package main

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/mailplan/mailplan/runtime/config"
	"github.com/mailplan/mailplan/test/mailstore"
)

// kind is what a message of the chaos is for.
type kind struct {
	name   string
	to     string // %02d is a user's number
	code   int    // the answer that ends its retries
	folder string // where it must then be, once; empty: nowhere
}

var kinds = []kind{
	{"ham", "u%02d@example.com", 200, "INBOX"},
	{"tagged", "u%02d+tag@example.com", 200, "INBOX"},
	{"junk", "u%02d@example.com", 200, "Junk"},
	{"spam", "u%02d@example.com", 422, ""},
	{"unknown", "nobody%02d@example.com", 422, ""},
}

// tally counts what happened; the test prints it.
type tally struct {
	tries, unanswered, deferred, killed, storeKilled, stalled, scannerDown atomic.Int64
}

// TestChaos sends messages while mailpland and Dovecot are killed, stopped and stalled and the scanner fails, all
// at random, and tries each again until it is answered for good. Nothing may be lost or doubled, and
// every refusal must be right. MAILPLAN_CHAOS is how many messages are sent.
func TestChaos(t *testing.T) {
	messages := 200
	if n, err := strconv.Atoi(os.Getenv("MAILPLAN_CHAOS")); err == nil {
		messages = n
	}
	store := mailstore.Start(t, "")
	count := &tally{}
	scanner := chaoticScanner(t, count)
	d := newDaemon(t, func(c *config.Ingest) {
		c.LMTP = &config.LMTP{Address: store.LMTP}
		c.Scan = &config.Scan{URL: scanner}
	})
	d.start(t)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		wreck(t, d, store, count, stop)
	}()
	start := time.Now()
	wrong := sendAll(d, messages, count)
	close(stop)
	<-stopped
	for _, w := range wrong {
		t.Error(w)
	}
	lost, doubled := checkChaos(t, store, messages)
	t.Logf("%d messages in %v: %d lost, %d doubled, %d wrong answers; %d tries, %d unanswered, %d deferred; mailpland killed %d times, Dovecot restarted %d and stalled %d times, %d scans failed",
		messages, time.Since(start).Round(time.Second), lost, doubled, len(wrong), count.tries.Load(), count.unanswered.Load(), count.deferred.Load(),
		count.killed.Load(), count.storeKilled.Load(), count.stalled.Load(), count.scannerDown.Load())
}

// chaoticScanner is a stand-in for Rspamd that judges by the subject and fails now and then.
func chaoticScanner(t *testing.T, count *tally) string {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		action := "no action"
		switch {
		case rand.IntN(20) == 0:
			count.scannerDown.Add(1)
			w.WriteHeader(http.StatusInternalServerError)
			return
		case rand.IntN(40) == 0:
			count.scannerDown.Add(1)
			panic(http.ErrAbortHandler)
		case bytes.Contains(body, []byte("Subject: spam ")):
			action = "reject"
		case bytes.Contains(body, []byte("Subject: junk ")):
			action = "add header"
		}
		fmt.Fprintf(w, `{"action": %q, "score": 1, "required_score": 15, "symbols": {}}`, action)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// wreck does harm until it is told to stop, and leaves everything running. Dovecot is stopped by
// SIGTERM, as a container is: killed by SIGKILL between storing a message and writing down its mark for
// the duplicate test, it would store a second copy. MAILPLAN_CHAOS_HARD=1 kills it all the same.
func wreck(t *testing.T, d *daemon, store *mailstore.Dovecot, count *tally, stop chan struct{}) {
	hard := os.Getenv("MAILPLAN_CHAOS_HARD") != ""
	for {
		select {
		case <-stop:
			return
		case <-time.After(time.Duration(50+rand.IntN(250)) * time.Millisecond):
		}
		switch rand.IntN(4) {
		case 0, 1:
			count.killed.Add(1)
			d.kill()
			d.start(t)
		case 2:
			count.storeKilled.Add(1)
			if hard {
				store.Kill(t)
			} else {
				store.Stop(t)
			}
			store.Run(t)
		case 3:
			count.stalled.Add(1)
			store.Signal(syscall.SIGSTOP)
			time.Sleep(time.Duration(rand.IntN(300)) * time.Millisecond)
			store.Signal(syscall.SIGCONT)
		}
	}
}

// sendAll has eight senders at work and returns what was answered wrongly.
func sendAll(d *daemon, messages int, count *tally) (wrong []string) {
	var mu sync.Mutex
	var wait sync.WaitGroup
	next := make(chan int)
	for range 8 {
		wait.Go(func() {
			for n := range next {
				if w := send(d, n, count); w != "" {
					mu.Lock()
					wrong = append(wrong, w)
					mu.Unlock()
				}
			}
		})
	}
	for n := range messages {
		next <- n
	}
	close(next)
	wait.Wait()
	return wrong
}

func of(n int) (k kind, user int, subject string) {
	k, user = kinds[n%len(kinds)], n/len(kinds)%20
	return k, user, fmt.Sprintf("%s %06d", k.name, n)
}

func send(d *daemon, n int, count *tally) (wrong string) {
	k, user, subject := of(n)
	size := 2000
	if n%17 == 0 {
		size = 400_000
	}
	message := fmt.Sprintf("Message-ID: <%d@b.example>\r\nSubject: %s\r\n\r\n%s", n, subject, strings.Repeat("caf\xe9 .\r\n", size/9))
	for try := range 500 {
		count.tries.Add(1)
		trace := fmt.Sprintf("Received: from mx.b.example (192.0.2.9)\r\n by cloudflare-email.net (cloudflare) id %d-%d\r\n", n, try)
		code, a := d.post("s@b.example", fmt.Sprintf(k.to, user), []byte(trace+message), n%2 == 0)
		switch code {
		case k.code:
			return ""
		case 0:
			count.unanswered.Add(1)
		case 503:
			count.deferred.Add(1)
		default:
			return fmt.Sprintf("%s: %d %+v, want %d", subject, code, a, k.code)
		}
		time.Sleep(time.Duration(20+rand.IntN(100)) * time.Millisecond)
	}
	return subject + ": never answered"
}

func checkChaos(t *testing.T, store *mailstore.Dovecot, messages int) (lost, doubled int) {
	have := map[string]int{}
	for user := range 20 {
		for _, folder := range []string{"INBOX", "Junk"} {
			for _, m := range store.Read(t, fmt.Sprintf("u%02d@example.com", user), folder) {
				_, rest, _ := strings.Cut(string(m), "\nSubject: ")
				subject, _, _ := strings.Cut(rest, "\r\n")
				have[fmt.Sprintf("%s in %s of %d", subject, folder, user)]++
			}
		}
	}
	for n := range messages {
		k, user, subject := of(n)
		if k.folder == "" {
			continue
		}
		where := fmt.Sprintf("%s in %s of %d", subject, k.folder, user)
		switch got := have[where]; {
		case got == 0:
			lost++
			t.Errorf("lost: %s", where)
		case got > 1:
			doubled++
			t.Errorf("%d copies: %s", got, where)
		}
		delete(have, where)
	}
	for where, n := range have {
		t.Errorf("%d of %s, which is wrong", n, where)
	}
	return lost, doubled
}
