package main

import (
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mailplan/mailplan/runtime/config"
	"github.com/mailplan/mailplan/test/inbound"
	"github.com/mailplan/mailplan/test/mailstore"
)

// kind is what a message of the chaos is for.
type kind struct {
	name   string
	to     string // %02d is a user's number
	folder string // where it must then be, once; empty: nowhere, its sender is told so, or it is a dead letter
	body   string
}

var kinds = []kind{
	{"ham", "u%02d@example.com", "INBOX", ""},
	{"tagged", "u%02d+tag@example.com", "INBOX", ""},
	{"junk", "u%02d@example.com", "Junk", inbound.GTUBEJunk},
	{"spam", "u%02d@example.com", "", inbound.GTUBE},
	{"virus", "u%02d@example.com", "", ""},
	{"unknown", "nobody%02d@example.com", "", ""},
}

// chaos is everything that inbound mail passes, all of it real but for the tunnel and the senders.
type chaos struct {
	t        testing.TB
	workers  [2]*inbound.Worker // without and with a spool
	tunnel   *inbound.Tunnel
	daemon   *daemon
	scanner  *inbound.Scanner
	store    *mailstore.Dovecot
	database *inbound.Database

	mu    sync.Mutex
	tally map[string]int
	wrong []string
}

func newChaos(t testing.TB) *chaos {
	c := &chaos{t: t, tally: map[string]int{}, scanner: inbound.StartScanner(t), database: inbound.StartDatabase(t)}
	var users []string
	for n := range 20 {
		users = append(users, fmt.Sprintf("u%02d@example.com", n))
	}
	sql := filepath.Join(t.TempDir(), "sql.conf")
	c.store = mailstore.StartWith(t, func(root string) string { return c.database.Users(t, sql, root, users) }, "")
	c.daemon = newDaemon(t, func(conf *config.Ingest) {
		conf.LMTP = &config.LMTP{Address: c.store.LMTP}
		conf.Scan = &config.Scan{URL: c.scanner.URL}
	})
	c.daemon.start(t)
	c.tunnel = inbound.StartTunnel(t, c.daemon.conf.Ingest.Listen)
	for n, spool := range []bool{false, true} {
		c.workers[n] = inbound.StartWorker(t, siteOf(20), inbound.Settings{URL: "http://" + c.tunnel.Address, Token: token,
			Timeout: 20 * time.Second, Spool: spool})
	}
	return c
}

// TestChaos sends messages through the Worker while the tunnel, mailpland, Rspamd, clamd, Dovecot and
// MariaDB are killed, stopped and stalled at random; what the Worker does not take is sent again, as a
// sender would. Nothing may be lost or doubled, and every refusal must be right. MAILPLAN_CHAOS is how
// many messages are sent.
func TestChaos(t *testing.T) {
	messages, pause := 120, 100*time.Millisecond
	if n, err := strconv.Atoi(os.Getenv("MAILPLAN_CHAOS")); err == nil {
		messages, pause = n, 400*time.Millisecond
	}
	c := newChaos(t)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		c.wreck(pause, stop)
	}()
	begin := time.Now()
	c.sendAll(messages)
	close(stop)
	<-stopped
	c.drain()
	for _, w := range c.wrong {
		t.Error(w)
	}
	lost, doubled := c.check(messages)
	t.Logf("%d messages in %v: %d lost, %d doubled, %d wrong answers; %v", messages, time.Since(begin).Round(time.Second),
		lost, doubled, len(c.wrong), c.tally)
}

func (c *chaos) count(what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tally[what]++
}

// wreck does harm until it is told to stop, and leaves everything running.
func (c *chaos) wreck(pause time.Duration, stop chan struct{}) {
	moment := func() time.Duration { return pause/2 + rand.N(3*pause) }
	outage := func(what string, off, on func()) func() {
		return func() { c.count(what); off(); time.Sleep(rand.N(pause)); on() }
	}
	stall := func(what string, f func(time.Duration)) func() {
		return func() { c.count(what); f(moment()) }
	}
	harms := []func(){
		outage("mailpland killed", c.daemon.kill, func() { c.daemon.start(c.t) }),
		outage("mailpland killed", c.daemon.kill, func() { c.daemon.start(c.t) }),
		outage("Dovecot killed", func() { c.store.Kill(c.t) }, func() { c.store.Run(c.t) }),
		outage("Dovecot stopped", func() { c.store.Stop(c.t) }, func() { c.store.Run(c.t) }),
		outage("Rspamd killed", c.scanner.Rspamd.Kill, c.scanner.Rspamd.Run),
		outage("clamd killed", c.scanner.Clamd.Kill, c.scanner.Clamd.Run),
		outage("MariaDB killed", c.database.Kill, c.database.Run),
		outage("tunnel cut", c.tunnel.Cut, c.tunnel.Mend),
		stall("Dovecot stalled", c.store.Stall),
		stall("Rspamd stalled", c.scanner.Rspamd.Stall),
		stall("MariaDB stalled", c.database.Stall),
		stall("tunnel stalled", c.tunnel.Stall),
	}
	for {
		select {
		case <-stop:
			return
		case <-time.After(moment()):
			harms[rand.IntN(len(harms))]()
		}
	}
}

// sendAll has eight senders at work.
func (c *chaos) sendAll(messages int) {
	var wait sync.WaitGroup
	next := make(chan int)
	for range 8 {
		wait.Go(func() {
			for n := range next {
				if wrong := c.send(n); wrong != "" {
					c.mu.Lock()
					c.wrong = append(c.wrong, wrong)
					c.mu.Unlock()
				}
			}
		})
	}
	for n := range messages {
		next <- n
	}
	close(next)
	wait.Wait()
}

func of(n int) (k kind, user int, subject string) {
	k, user = kinds[n%len(kinds)], n/len(kinds)%20
	return k, user, fmt.Sprintf("%s %06d", k.name, n)
}

// text is a message without its trace, of 2 KB or, now and then, 400 KB.
func text(n int) string {
	k, _, subject := of(n)
	head := fmt.Sprintf("Message-ID: <%d@b.example>\r\nFrom: s@b.example\r\nSubject: %s\r\n", n, subject)
	if k.name == "virus" {
		return head + "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nContent-Type: application/octet-stream; name=a.com\r\nContent-Transfer-Encoding: base64\r\n\r\n" +
			base64.StdEncoding.EncodeToString([]byte(inbound.EICAR)) + "\r\n--x--\r\n"
	}
	size := 2000
	if n%17 == 0 && k.body == "" { // Rspamd looks for its test patterns in small messages only
		size = 400_000
	}
	return head + "\r\n" + k.body + "\r\n" + strings.Repeat("caf\xe9 .\r\n", size/9)
}

// send tries a message until it is answered for good, and returns what was wrong with the answer.
func (c *chaos) send(n int) (wrong string) {
	k, user, subject := of(n)
	for try := range 500 {
		trace := fmt.Sprintf("Received: from mx.b.example (192.0.2.9)\r\n by cloudflare-email.net (cloudflare) id %d-%d\r\n", n, try)
		c.count("tries")
		seen, err := c.workers[n/len(kinds)%2].Send("s@b.example", fmt.Sprintf(k.to, user), []byte(trace+text(n)))
		if err != nil { // a session that breaks off: its sender comes again
			c.count("no answer")
			time.Sleep(time.Duration(20+rand.IntN(300)) * time.Millisecond)
			continue
		}
		c.count(seen.Outcome)
		switch {
		case seen.Outcome == "exception":
			time.Sleep(time.Duration(20+rand.IntN(300)) * time.Millisecond)
			continue
		case seen.Outcome == "rejected" && k.folder != "", seen.Outcome == "accepted" && k.name == "unknown":
			return fmt.Sprintf("%s: %+v", subject, seen)
		case seen.Outcome == "accepted" && k.folder == "" && n/len(kinds)%2 == 0: // there is no spool that took it
			return fmt.Sprintf("%s: %+v", subject, seen)
		}
		return ""
	}
	return subject + ": never answered"
}

// drain waits until the spool is empty, and has a look at the dead letters.
func (c *chaos) drain() {
	left := []string{"not asked"}
	for end := time.Now().Add(5 * time.Minute); len(left) > 0 && time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		var err error
		if left, err = c.workers[1].Spooled("mail/"); err != nil {
			c.t.Fatal(err)
		}
	}
	if len(left) > 0 {
		c.wrong = append(c.wrong, fmt.Sprintf("%d messages stay in the spool: %.300q", len(left), left))
	}
	dead, err := c.workers[1].Spooled("dead/")
	if err != nil {
		c.t.Fatal(err)
	}
	c.tally["dead letters"] = len(dead)
	for _, subject := range dead {
		if !strings.HasPrefix(subject, "spam ") && !strings.HasPrefix(subject, "virus ") {
			c.wrong = append(c.wrong, subject+" is a dead letter")
		}
	}
}

// check reads every mailbox: each message must be where it belongs, once and byte for byte.
func (c *chaos) check(messages int) (lost, doubled int) {
	have := map[string]int{}
	for user := range 20 {
		for _, folder := range []string{"INBOX", "Junk"} {
			for _, m := range c.store.Read(c.t, fmt.Sprintf("u%02d@example.com", user), folder) {
				head, body, _ := strings.Cut(string(m), "\r\n\r\n")
				head = scannersFields.ReplaceAllString(head+"\r\n", "")
				_, rest, _ := strings.Cut(head+"\r\n"+body, "\r\nMessage-ID: <")
				number, _, _ := strings.Cut(rest, "@")
				n, err := strconv.Atoi(number)
				if err != nil || "Message-ID: <"+rest != text(n) {
					c.t.Errorf("%s of %d holds what nobody sent: %.300q", folder, user, m)
				}
				have[fmt.Sprintf("%d in %s of %d", n, folder, user)]++
			}
		}
	}
	for n := range messages {
		k, user, _ := of(n)
		if k.folder == "" {
			continue
		}
		where := fmt.Sprintf("%d in %s of %d", n, k.folder, user)
		switch got := have[where]; {
		case got == 0:
			lost++
			c.t.Errorf("lost: %s", where)
		case got > 1:
			doubled++
			c.t.Errorf("%d copies: %s", got, where)
		}
		delete(have, where)
	}
	for where, n := range have {
		c.t.Errorf("%d of %s, which is wrong", n, where)
	}
	return lost, doubled
}
