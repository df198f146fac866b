package ingest

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/mailplan/mailplan/runtime/config"
	"github.com/mailplan/mailplan/test/mailstore"
)

// TestDoubtIsNotRefused has a mail store take a message without a reply, and then refuse it: it may hold it.
func TestDoubtIsNotRefused(t *testing.T) {
	var full, silent atomic.Bool
	conf := settings(t)
	conf.LMTP = &config.LMTP{Address: mailstore.Talk(t, func(line string) (string, bool) {
		switch {
		case strings.HasPrefix(line, "LHLO"):
			return "250-x\r\n250-PIPELINING\r\n250 CHUNKING\r\n", true
		case full.Load() && strings.HasPrefix(line, "RCPT"):
			return "552 5.2.2 mailbox is full\r\n", true
		case strings.HasPrefix(line, "BDAT") && silent.Load():
			return "", false
		}
		return "250 2.0.0 ok\r\n", true
	})}
	e := start(t, conf)
	for _, step := range []struct {
		silent, full bool
		code         int
	}{
		{silent: true, code: http.StatusServiceUnavailable},
		{full: true, code: http.StatusServiceUnavailable},
		{code: http.StatusOK},
	} {
		silent.Store(step.silent)
		full.Store(step.full)
		if code, res := e.post(t, "s@b.example", []string{"alice@example.com"}, bodies()["plain"]); code != step.code {
			t.Errorf("%+v: %d %+v", step, code, res)
		}
	}
	full.Store(true)
	if code, res := e.post(t, "s@b.example", []string{"alice@example.com"}, []byte("Subject: another\r\n\r\n")); code != http.StatusUnprocessableEntity {
		t.Errorf("one without doubt: %d %+v", code, res)
	}
	e.server.ledger.Claim([16]byte{}, []string{"bob@example.com"}) // never released, so that the end looks like a crash
	e.server.ledger.Close()
	again := start(t, conf)
	if code, res := again.post(t, "s@b.example", []string{"alice@example.com"}, []byte("Subject: another\r\n\r\n")); code != http.StatusServiceUnavailable ||
		res.Recipients[0].Enhanced != "4.2.2" {
		t.Errorf("after a crash: %d %+v", code, res)
	}
}

// TestStoreWithoutPipelining has a mail store of no extensions put off the only recipient, and say 5xx to what follows.
func TestStoreWithoutPipelining(t *testing.T) {
	conf := settings(t)
	conf.LMTP = &config.LMTP{Address: mailstore.Talk(t, func(line string) (string, bool) {
		switch {
		case strings.HasPrefix(line, "RCPT"):
			return "451 4.2.0 try later\r\n", true
		case strings.HasPrefix(line, "DATA"):
			return "503 5.5.1 no valid recipients\r\n", true
		}
		return "250 ok\r\n", true
	})}
	if code, res := start(t, conf).post(t, "s@b.example", []string{"alice@example.com"}, bodies()["plain"]); code != http.StatusServiceUnavailable {
		t.Errorf("%d %+v", code, res)
	}
}

// TestNothingIsDeliveredWithoutMemory has the ledger end before the requests do.
func TestNothingIsDeliveredWithoutMemory(t *testing.T) {
	conf := settings(t)
	conf.LMTP = &config.LMTP{Address: mailstore.StartSink(t)}
	e := start(t, conf)
	if err := e.server.ledger.Close(); err != nil {
		t.Fatal(err)
	}
	if code, res := e.post(t, "s@b.example", []string{"alice@example.com"}, bodies()["plain"]); code != http.StatusServiceUnavailable {
		t.Errorf("%d %+v", code, res)
	}
}
