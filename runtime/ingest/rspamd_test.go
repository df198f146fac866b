package ingest

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/mailplan/mailplan/runtime/config"
	"github.com/mailplan/mailplan/test/inbound"
	"github.com/mailplan/mailplan/test/mailstore"
)

// TestRealScanner sends clean mail, spam, worse spam and a virus through Rspamd and clamd to Dovecot,
// and ends clamd: mail that could not be scanned is deferred.
func TestRealScanner(t *testing.T) {
	scanner := inbound.StartScanner(t)
	store := mailstore.Start(t, "")
	conf := settings(t)
	conf.LMTP = &config.LMTP{Address: store.LMTP}
	whole, err := config.Parse(fmt.Appendf(nil, `{"ingest": {"listen": ":1", "auth": {"tokenFiles": ["t"]}, "table": "t", "maildir": {"root": "r"}, "scan": {"url": %q}}}`, scanner.URL))
	if err != nil {
		t.Fatal(err)
	}
	conf.Scan = whole.Ingest.Scan
	e := start(t, conf)
	trace := "Received: from mx.b.example (192.0.2.7)\r\n by cloudflare-email.net (cloudflare) id x\r\n for <alice@example.com>; Fri, 25 Sep 2026 05:07:50 +0000\r\n"
	mail := func(subject, body string) []byte {
		return []byte(trace + "Authentication-Results: test.example; dkim=pass header.d=bank.example\r\nX-Spam: No\r\nFrom: a@b.example\r\nTo: alice@example.com\r\nMessage-ID: <" +
			subject + "@b>\r\nDate: Fri, 25 Sep 2026 05:07:50 +0000\r\nSubject: " + subject + "\r\nMIME-Version: 1.0\r\n" + body)
	}
	virus := "Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nContent-Type: application/octet-stream; name=a.com\r\nContent-Transfer-Encoding: base64\r\n\r\n" +
		base64.StdEncoding.EncodeToString([]byte(inbound.EICAR)) + "\r\n--x--\r\n"
	for _, c := range []struct {
		name, body string
		code       int
		enhanced   string
	}{
		{"clean", "\r\nhello\r\n", 200, "2.0.0"},
		{"junk", "\r\n" + inbound.GTUBEJunk + "\r\n", 200, "2.0.0"},
		{"spam", "\r\n" + inbound.GTUBE + "\r\n", 422, "5.7.1"},
		{"virus", virus, 422, "5.7.1"},
	} {
		if code, res := e.post(t, "s@b.example", []string{"alice@example.com"}, mail(c.name, c.body)); code != c.code || res.Recipients[0].Enhanced != c.enhanced {
			t.Errorf("%s: %d %+v; log %s", c.name, code, res, e.log)
		}
	}
	if !strings.Contains(e.logged(), `"scan":"CLAM_VIRUS"`) {
		t.Errorf("the virus was not named: %s", e.log)
	}
	scanner.Clamd.Kill()
	if code, res := e.post(t, "s@b.example", []string{"alice@example.com"}, mail("unscanned", virus+"x")); code != 503 || res.Recipients[0].Enhanced != "4.7.1" {
		t.Errorf("clamd down: %d %+v", code, res)
	}
	checkSubjects(t, store, "INBOX", "clean")
	checkSubjects(t, store, "Junk", "junk")
}

// checkSubjects wants one message in the folder, with no more X-Spam than we set.
func checkSubjects(t *testing.T, store *mailstore.Dovecot, folder, want string) {
	t.Helper()
	all := store.Read(t, "alice@example.com", folder)
	if len(all) != 1 || !bytes.Contains(all[0], []byte("\r\nSubject: "+want+"\r\n")) {
		t.Fatalf("%s holds %d messages: %.2000q", folder, len(all), all)
	}
	marks := map[string]int{"INBOX": 0, "Junk": 1}[folder]
	if n := bytes.Count(all[0], []byte("\r\nX-Spam: ")); n != marks || bytes.Contains(all[0], []byte("X-Spam: No")) {
		t.Errorf("%s: %d fields X-Spam in %q", folder, n, all[0])
	}
}
