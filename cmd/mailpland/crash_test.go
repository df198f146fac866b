package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mailplan/mailplan/runtime/config"
	"github.com/mailplan/mailplan/test/mailstore"
)

// between is a proxy in front of Dovecot's LMTP port that strikes once, at a chosen step of a
// transaction. The step sees what passes; what it strikes at does not pass, and what comes before does.
type between struct {
	net.Listener
	server string

	mu     sync.Mutex
	step   step
	strike func()
	armed  int // how often; what passed before counts for nothing
}

// step is a moment in a transaction, by what the client has sent or the server has answered.
type step struct {
	name   string
	client string // strike when the client sends this, before the server sees it
	server string // strike when the server answers this, before the client sees it
	after  bool   // strike when the client has seen it
}

const lastLine = "the last line of a message\r\n"

func steps() []step {
	return []step{
		{name: "before the envelope", client: "MAIL FROM"},
		{name: "before the envelope's replies", server: "2.1.5 OK"},
		{name: "before the body", client: "BDAT "},
		{name: "within the body", client: lastLine},
		{name: "before the last command", client: " LAST\r\n"},
		{name: "before the mail store's 250", server: " Saved"},
		{name: "after the mail store's 250", server: " Saved", after: true},
	}
}

func newBetween(t *testing.T, server string) *between {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &between{Listener: ln, server: server}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go b.carry(c)
		}
	}()
	return b
}

func (b *between) arm(s step, strike func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.step, b.strike = s, strike
	b.armed++
}

func (b *between) carry(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", b.server)
	if err != nil {
		return
	}
	defer server.Close()
	go func() {
		b.pump(server, client, func(s step) string { return s.server })
		client.Close()
	}()
	b.pump(client, server, func(s step) string { return s.client })
}

// pump carries one direction. Marks are looked for across reads, so that none is missed.
func (b *between) pump(from, to net.Conn, mark func(step) string) {
	buf := make([]byte, 64<<10)
	var tail []byte
	armed := 0
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		b.mu.Lock()
		s, strike := b.step, b.strike
		if b.armed != armed {
			tail, armed = nil, b.armed
		}
		seen := append(tail, buf[:n]...)
		at := bytes.Index(seen, []byte(mark(s)))
		hit := strike != nil && mark(s) != "" && at >= 0
		if hit {
			b.strike = nil
		}
		b.mu.Unlock()
		if hit && !s.after {
			to.Write(buf[:max(0, at-len(tail))])
			strike()
			return
		}
		tail = bytes.Clone(seen[max(0, len(seen)-40):])
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
		if hit {
			strike()
		}
	}
}

// TestKilledAtEveryStep kills mailpland, or Dovecot, at each step of a delivery and has the client try
// again until it is told 2xx: the message must then be there, once.
func TestKilledAtEveryStep(t *testing.T) {
	store := mailstore.Start(t, "")
	proxy := newBetween(t, store.LMTP)
	d := newDaemon(t, func(c *config.Ingest) { c.LMTP = &config.LMTP{Address: proxy.Addr().String()} })
	d.start(t)
	sizes := map[string]int{"small": 3000, "held": 700_000, "streamed": 1_500_000}
	want := map[string]bool{}
	n := 0
	for _, s := range steps() {
		for size, bytes := range sizes {
			for _, chunked := range []bool{false, true} {
				for _, to := range []string{"u05@example.com", "team@example.com"} {
					n++
					name := fmt.Sprintf("%03d killed %s, %s, chunked %v, to %s", n, s.name, size, chunked, to)
					want[name] = true
					message := fmt.Sprintf("Message-ID: <%d@b.example>\r\nSubject: %s\r\n\r\n%s", n, name, strings.Repeat("line of a message\r\n", bytes/19)+lastLine)
					struck := make(chan struct{})
					proxy.arm(s, func() { d.kill(); close(struck) })
					deliverThroughCrash(t, d, to, message, chunked, struck, name)
				}
			}
		}
	}
	checkOnce(t, store, want, map[string][]string{"u05@example.com": {"to u05@"}, "u00@example.com": {"to team@"},
		"u01@example.com": {"to team@"}, "u02@example.com": {"to team@"}})
}

// deliverThroughCrash posts until the answer is 200, by turns as announced and as chunked, starting the daemon again
// after it was killed.
func deliverThroughCrash(t *testing.T, d *daemon, to, message string, chunked bool, struck chan struct{}, name string) {
	t.Helper()
	trace := func(n int) string {
		return fmt.Sprintf("Received: from mx.b.example (192.0.2.9)\r\n by cloudflare-email.net (cloudflare) id %d\r\n", n)
	}
	started := false // again, after the kill
	for try := range 50 {
		code, a := d.post("s@b.example", to, []byte(trace(try)+message), chunked != (try%2 == 1))
		if code != 0 && code != 200 && code != 503 {
			t.Errorf("%s: %d %+v", name, code, a)
		}
		if !started {
			waitStruck(t, struck, name)
			d.kill()
			d.start(t)
			started = true
		}
		if code == 200 {
			return
		}
		time.Sleep(20 * time.Millisecond) // Dovecot lets nobody in beside a delivery that it has not given up yet
	}
	t.Errorf("%s: not delivered", name)
}

func waitStruck(t *testing.T, struck chan struct{}, name string) {
	t.Helper()
	select {
	case <-struck:
	case <-time.After(10 * time.Second):
		t.Errorf("%s: the step never came", name)
	}
}

// checkOnce reads the users' mailboxes: each must hold, once, the wanted subjects that contain one of
// its marks, and nothing else.
func checkOnce(t *testing.T, store *mailstore.Dovecot, want map[string]bool, users map[string][]string) {
	t.Helper()
	for user, marks := range users {
		count := map[string]int{}
		for _, m := range store.Read(t, user, "INBOX") {
			_, rest, _ := strings.Cut(string(m), "\nSubject: ")
			subject, _, _ := strings.Cut(rest, "\r\n")
			count[subject]++
		}
		for subject := range want {
			mine := false
			for _, mark := range marks {
				mine = mine || strings.Contains(subject, mark)
			}
			if mine && count[subject] != 1 {
				t.Errorf("%s: %d copies of %q", user, count[subject], subject)
			}
			delete(count, subject)
		}
		for subject, n := range count {
			t.Errorf("%s: %d of %q, which nobody sent", user, n, subject)
		}
	}
}

// TestMarkIsLost has Dovecot lose the mark of its duplicate test, as it does when it is killed after a message is
// stored and before the mark is written, while mailpland has written nothing down either: a power cut. The message
// was the first of its mailbox.
func TestMarkIsLost(t *testing.T) {
	store := mailstore.Start(t, "")
	proxy := newBetween(t, store.LMTP)
	d := newDaemon(t, func(c *config.Ingest) { c.LMTP = &config.LMTP{Address: proxy.Addr().String()} })
	d.start(t)
	message := []byte("Message-ID: <1@b.example>\r\nSubject: first\r\n\r\nhello\r\n")
	struck := make(chan struct{})
	proxy.arm(step{server: " Saved"}, func() { d.kill(); close(struck) })
	if code, a := d.post("s@b.example", "u07@example.com", message, false); code != 0 {
		t.Errorf("before the power cut: %d %+v", code, a)
	}
	waitStruck(t, struck, "power cut")
	d.kill()
	store.Kill(t)
	marks, err := filepath.Glob(filepath.Join(store.Dir, "mail/example.com/u07/.dovecot.lda-dupes*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, mark := range marks {
		if err := os.Remove(mark); err != nil {
			t.Fatal(err)
		}
	}
	store.Run(t)
	d.start(t)
	for range 2 {
		if code, a := d.post("s@b.example", "u07@example.com", message, false); code != 200 {
			t.Errorf("after it: %d %+v", code, a)
		}
	}
	if n := len(store.Read(t, "u07@example.com", "INBOX")); n != 1 {
		t.Errorf("%d copies", n)
	}
}
