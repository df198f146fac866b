package ingest

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mailplan/mailplan/runtime/config"
	"github.com/mailplan/mailplan/test/mailstore"
)

// bodies are the kinds of messages that mail systems like to spoil.
func bodies() map[string][]byte {
	long := strings.Repeat("x", 300_000)
	return map[string][]byte{
		"plain":         []byte("From: a@b.example\r\nSubject: plain\r\n\r\nhello\r\n"),
		"eight bit":     []byte("From: a@b.example\r\nSubject: caf\xc3\xa9 \xff\xfe\r\n\r\n\x80\x81\xe9 caf\xe9\r\n"),
		"dots":          []byte("From: a@b.example\r\n\r\n.\r\n..\r\n.dot\r\n\r\n.\r\n"),
		"no Message-ID": []byte("From: a@b.example\r\n\r\nno id\r\n"),
		"long line":     []byte("From: a@b.example\r\nMessage-ID: <l@x>\r\n\r\n" + long + "\r\n"),
		"no final CRLF": []byte("From: a@b.example\r\nMessage-ID: <n@x>\r\n\r\nends here"),
		"header only":   []byte("From: a@b.example\r\nMessage-ID: <h@x>\r\n\r\n"),
		"nested": []byte("From: a@b.example\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=o\r\n\r\n" +
			"--o\r\nContent-Type: multipart/alternative; boundary=i\r\n\r\n--i\r\n\r\na\r\n--i--\r\n--o\r\nContent-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\nx\r\n--o--\r\n"),
		"just a block":  []byte("From: a@b.example\r\nMessage-ID: <b@x>\r\n\r\n" + strings.Repeat("y", smallBlock-43)),
		"a large block": []byte("From: a@b.example\r\nMessage-ID: <c@x>\r\n\r\n" + strings.Repeat("y", largeBlock-43)),
		"25 MiB":        []byte("From: a@b.example\r\nMessage-ID: <big@x>\r\n\r\n" + strings.Repeat(strings.Repeat("z", 76)+"\r\n", 25<<20/78-10)),
	}
}

// TestDovecotStoresEveryByte posts every kind of message, as announced and as chunked bodies, and reads
// them back by IMAP.
func TestDovecotStoresEveryByte(t *testing.T) {
	store := mailstore.Start(t, "")
	conf := settings(t)
	conf.LMTP = &config.LMTP{Address: store.LMTP}
	e := start(t, conf)
	n := 0
	for name, body := range bodies() {
		n++
		to := fmt.Sprintf("alice+%d@example.com", n)
		code, res := e.post(t, "sender@b.example", []string{to}, body)
		if code != 200 || res.Status != statusDelivered {
			t.Errorf("%s: %d %+v", name, code, res)
		}
	}
	want := map[string]bool{}
	for _, body := range bodies() {
		want[string(body)] = true
	}
	for _, got := range store.Read(t, "alice@example.com", "INBOX") {
		if id := bytes.Count(got, []byte(DeliveryHeader+": ")); id != 1 {
			t.Errorf("message has %d delivery ids", id)
		}
		text := below(got, "From: ")
		if !want[text] && !want[strings.TrimSuffix(text, "\r\n")] {
			t.Errorf("unexpected message of %d bytes: %.200q", len(text), text)
		}
		delete(want, text)
		delete(want, strings.TrimSuffix(text, "\r\n"))
	}
	for missing := range want {
		t.Errorf("not there: %d bytes, %.100q", len(missing), missing)
	}
}

// TestSameMessageCountsOnce posts one message again and again, as a sender's and the Worker's retries
// do, and by another address of the same mailbox.
func TestSameMessageCountsOnce(t *testing.T) {
	store := mailstore.Start(t, "")
	conf := settings(t)
	conf.LMTP = &config.LMTP{Address: store.LMTP}
	e := start(t, conf)
	trace := func(n int) string {
		return fmt.Sprintf("Received: from mx.b.example (192.0.2.%d)\r\n        by cloudflare-email.net (cloudflare) id %d\r\n        for <x>; now\r\nX-CF-SpamH-Score: %d\r\n", n, n, n)
	}
	for size, body := range map[string]string{"small": "hello\r\n", "large": strings.Repeat("hello\r\n", 40_000)} {
		message := "Message-ID: <" + size + "@b.example>\r\nFrom: a@b.example\r\n\r\n" + body
		for n := range 3 {
			code, res := e.post(t, "s@b.example", []string{"alice@example.com"}, []byte(trace(n)+message))
			if code != 200 || res.Recipients[0].Duplicate != (n > 0) {
				t.Errorf("%s, try %d: %d %+v", size, n, code, res)
			}
		}
		code, res := e.post(t, "s@b.example", []string{"sales@example.com"}, []byte(trace(9)+message))
		if code != 200 || res.Recipients[0].Duplicate {
			t.Errorf("%s by alias: %d %+v", size, code, res)
		}
	}
	for _, user := range []string{"alice@example.com", "bob@example.com"} {
		if got := len(store.Read(t, user, "INBOX")); got != 2 {
			t.Errorf("%s has %d messages, want 2", user, got)
		}
	}
}

// TestAnswersPerRecipient mixes recipients of every kind in one request.
func TestAnswersPerRecipient(t *testing.T) {
	store := mailstore.Start(t, "")
	conf := settings(t)
	conf.LMTP = &config.LMTP{Address: store.LMTP}
	e := start(t, conf)
	code, res := e.post(t, "", []string{"alice@example.com, nobody@example.com", "bob+tag@EXAMPLE.com", "x@elsewhere.example",
		"any@catch.example", "loop@example.com", "bad address@example.com"}, bodies()["plain"])
	got := map[string]string{}
	for _, r := range res.Recipients {
		got[r.Address] = fmt.Sprintf("%s %d %s", r.Status, r.Code, r.Enhanced)
	}
	want := map[string]string{
		"alice@example.com": "delivered 250 2.0.0", "nobody@example.com": "refused 550 5.1.1",
		"bob+tag@EXAMPLE.com": "delivered 250 2.0.0", "x@elsewhere.example": "refused 550 5.1.2",
		"any@catch.example": "delivered 250 2.0.0", "loop@example.com": "refused 554 5.4.6",
		"bad address@example.com": "refused 501 5.1.3",
	}
	if diff := cmp.Diff(want, got); diff != "" || code != 207 || res.Status != statusPartial {
		t.Errorf("%d %s: -want +got\n%s", code, res.Status, diff)
	}
}
