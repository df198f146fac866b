package main

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mailplan/mailplan/compiler/emit/emittest"
	"github.com/mailplan/mailplan/compiler/model"
	"github.com/mailplan/mailplan/runtime/config"
	"github.com/mailplan/mailplan/test/inbound"
	"github.com/mailplan/mailplan/test/mailstore"
)

// siteOf is a site with users u00, u01 and on at example.com, for the Worker's set of recipients.
func siteOf(users int) *model.Site {
	s := emittest.Site()
	d := &s.Domains[0]
	d.Aliases, d.CatchAll, d.Subaddress = nil, "", true
	d.Users = nil
	for n := range users {
		d.Users = append(d.Users, model.User{Localpart: fmt.Sprintf("u%02d", n), Domain: d.Name, State: model.Active})
	}
	return s
}

// spoilable are the kinds of messages that mail systems like to spoil. Each begins with a field that says
// which it is.
func spoilable() map[string]string {
	inner := "--i\r\nContent-Type: text/plain\r\n\r\na\r\n--i\r\nContent-Type: text/html\r\n\r\n<p>a\r\n--i--\r\n"
	var noise bytes.Buffer
	random := rand.NewChaCha8([32]byte{1})
	for noise.Len() < 25<<20-1000 { // as large as is taken, with header and trace
		var line [57]byte
		random.Read(line[:])
		noise.WriteString(base64.StdEncoding.EncodeToString(line[:]) + "\r\n")
	}
	return map[string]string{
		"plain":         "\r\nhello\r\n",
		"eight bit":     "Content-Type: text/plain; charset=latin1\r\n\r\n\x80\x81\xe9 caf\xe9 \xff\xfe\r\n",
		"UTF-8":         "X-Raw: caf\xc3\xa9\r\n\r\n\xe6\xbc\xa2\xe5\xad\x97\r\n",
		"Message-ID":    "Message-ID: <one@b.example>\r\n\r\nhas one\r\n",
		"dots":          "\r\n.\r\n..\r\n.dot\r\n\r\n.\r\n",
		"bare LF":       "\nbody with\nbare\n\nline feeds\n",
		"mixed ends":    "\r\none\ntwo\r\nthree\n",
		"long lines":    "\r\n" + strings.Repeat("x", 300_000) + "\r\n" + strings.Repeat("y ", 5_000) + "\r\n",
		"long header":   "X-Long: " + strings.Repeat("z", 20_000) + "\r\n\r\nx\r\n",
		"no final CRLF": "\r\nends here",
		"header only":   "\r\n",
		"nested": "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\nContent-Type: multipart/alternative; boundary=i\r\n\r\n" + inner +
			"--o\r\nContent-Type: message/rfc822\r\n\r\nSubject: in\r\nContent-Type: multipart/mixed; boundary=i\r\n\r\n" + inner + "--o--\r\n",
		"25 MiB": "MIME-Version: 1.0\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n" + noise.String(),
	}
}

// realMail is the whole way of inbound mail, all of it real: the Worker in workerd, mailpland, Rspamd with
// clamd, Dovecot.
type realMail struct {
	worker  *inbound.Worker
	scanner *inbound.Scanner
	store   *mailstore.Dovecot
}

func newRealMail(t *testing.T, spool bool, edits ...string) realMail {
	m := realMail{scanner: inbound.StartScanner(t, edits...), store: mailstore.Start(t, "")}
	d := newDaemon(t, func(conf *config.Ingest) {
		conf.LMTP = &config.LMTP{Address: m.store.LMTP}
		conf.Scan = &config.Scan{URL: m.scanner.URL}
	})
	d.start(t)
	m.worker = inbound.StartWorker(t, siteOf(20), inbound.Settings{URL: d.url, Token: token, Timeout: time.Minute, Spool: spool})
	return m
}

const trace = "Received: from mx.b.example (192.0.2.9)\r\n by cloudflare-email.net (cloudflare) id 1\r\n for <x>; Fri, 25 Sep 2026 05:07:50 +0000\r\n"

// TestRealWay sends every kind of message, and very many plain ones (MAILPLAN_REAL says how many), and reads
// them back by IMAP: every byte is there. Malware and spam are refused, what looks like spam is in Junk.
func TestRealWay(t *testing.T) {
	m := newRealMail(t, false)
	want := map[string]string{} // subject -> the message from its first field on
	for name, rest := range spoilable() {
		want[name] = fmt.Sprintf("From: s@b.example\r\nSubject: %s\r\n%s", name, rest)
	}
	many := 300
	if n, err := strconv.Atoi(os.Getenv("MAILPLAN_REAL")); err == nil {
		many = n
	}
	for n := range many {
		name := fmt.Sprintf("one of many %05d", n)
		want[name] = fmt.Sprintf("From: s@b.example\r\nSubject: %s\r\n\r\n%s", name, strings.Repeat("line of text\r\n", n%200))
	}
	sendEach(t, m, want)
	for subject, body := range map[string]string{
		"junk": "\r\n" + inbound.GTUBEJunk + "\r\n", "spam": "\r\n" + inbound.GTUBE + "\r\n", "virus": virus(), "virus in a message": forwarded(virus()),
	} {
		seen, err := m.worker.Send("s@b.example", "u00@example.com", []byte(trace+"From: s@b.example\r\nSubject: "+subject+"\r\n"+body))
		refused := err == nil && seen.Outcome == "rejected" && strings.HasPrefix(seen.Rejects[0], "5.7.1")
		if err != nil || refused != (subject != "junk") {
			t.Errorf("%s: %+v %v", subject, seen, err)
		}
	}
	for subject := range readBack(t, m.store, "INBOX", want) {
		t.Errorf("%q is not there as it was sent", subject)
	}
	readBack(t, m.store, "Junk", map[string]string{"junk": "From: s@b.example\r\nSubject: junk\r\n\r\n" + inbound.GTUBEJunk + "\r\n"})
}

func virus() string {
	return "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=v\r\n\r\n--v\r\nContent-Type: application/octet-stream; name=a.com\r\nContent-Transfer-Encoding: base64\r\n\r\n" +
		base64.StdEncoding.EncodeToString([]byte(inbound.EICAR)) + "\r\n--v--\r\n"
}

func forwarded(message string) string {
	return "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=f\r\n\r\n--f\r\nContent-Type: message/rfc822\r\n\r\nSubject: in\r\n" + message + "--f--\r\n"
}

// sendEach has eight senders at work, for twenty users. A temporary error, of a busy mailbox, is no loss.
func sendEach(t *testing.T, m realMail, all map[string]string) {
	var wait sync.WaitGroup
	slots := make(chan struct{}, 8)
	user := 0
	for name, message := range all {
		to := fmt.Sprintf("u%02d@example.com", user%20)
		user++
		slots <- struct{}{}
		wait.Go(func() {
			defer func() { <-slots }()
			seen, err := m.worker.Send("s@b.example", to, []byte(trace+message))
			for try := 0; try < 5 && err == nil && seen.Outcome == "exception"; try++ {
				seen, err = m.worker.Send("s@b.example", to, []byte(trace+message))
			}
			if err != nil || seen.Outcome != "accepted" {
				t.Errorf("%s: %+v %v", name, seen, err)
			}
		})
	}
	wait.Wait()
}

var scannersFields = regexp.MustCompile(`(?m)^X-Spam-(Status|Level): .*\r\n`)

// readBack takes what the users have in a folder out of want and returns the rest. What the scanner adds at the end of the
// header section does not count. Dovecot gives every message CRLF line ends, and one that does not end in a
// line end gets one.
func readBack(t *testing.T, store *mailstore.Dovecot, folder string, want map[string]string) map[string]string {
	t.Helper()
	for user := range 20 {
		for _, got := range store.Read(t, fmt.Sprintf("u%02d@example.com", user), folder) {
			head, body, _ := strings.Cut(string(got), "\r\n\r\n")
			head = scannersFields.ReplaceAllString(head+"\r\n", "")
			_, rest, _ := strings.Cut(head+"\r\n"+body, "\r\nFrom: s@b.example\r\n")
			_, line, _ := strings.Cut(rest, "Subject: ")
			subject, _, _ := strings.Cut(line, "\r\n")
			sent, known := want[subject]
			if stored := "From: s@b.example\r\n" + rest; !known || strings.TrimSuffix(stored, "\r\n") != strings.TrimSuffix(crlf(sent), "\r\n") {
				t.Errorf("%s: %d bytes of %q, sent %d", folder, len(stored), subject, len(sent))
			}
			delete(want, subject)
		}
	}
	return want
}

func crlf(s string) string {
	return strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\n", "\r\n")
}

// TestNothingPassesUnscanned has clamd stand still, so that Rspamd runs out of time, and then die: no message
// gets in, malware or not, and each is there once when clamd is back.
func TestNothingPassesUnscanned(t *testing.T) {
	m := newRealMail(t, true, "timeout = 24.0", "timeout = 2.0", "task_timeout = 30s", "task_timeout = 3s")
	message := func(subject, body string) []byte {
		return []byte(trace + "From: s@b.example\r\nSubject: " + subject + "\r\nMessage-ID: <" + strings.ReplaceAll(subject, " ", "-") + "@b.example>\r\n" + body)
	}
	send := func(subject, body string) {
		t.Helper()
		if seen, err := m.worker.Send("s@b.example", "u00@example.com", message(subject, body)); err != nil || seen.Outcome != "accepted" {
			t.Errorf("%s: %+v %v", subject, seen, err)
		}
	}
	stalled := make(chan struct{})
	go func() { m.scanner.Clamd.Stall(8 * time.Second); close(stalled) }()
	time.Sleep(100 * time.Millisecond)
	send("clean while clamd stands", "\r\nhello\r\n")
	send("virus while clamd stands", virus())
	<-stalled
	m.scanner.Clamd.Kill()
	send("clean while clamd is dead", "\r\nhello\r\n")
	send("virus while clamd is dead", virus())
	if n := len(m.store.Read(t, "u00@example.com", "INBOX")) + len(m.store.Read(t, "u00@example.com", "Junk")); n != 0 {
		t.Fatalf("%d messages came in unscanned", n)
	}
	m.scanner.Clamd.Run()
	eventually(t, func() error {
		dead, err := m.worker.Spooled("dead/")
		stored := len(m.store.Read(t, "u00@example.com", "INBOX"))
		if err != nil || len(dead) != 2 || stored != 2 {
			return fmt.Errorf("%d stored, dead letters %q, %w", stored, dead, err)
		}
		return nil
	})
}
