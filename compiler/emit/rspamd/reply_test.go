package rspamd_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-msgauth/dkim"
	"github.com/emersion/go-smtp"

	"github.com/mailplan/mailplan/compiler/emit/cloudflare/dkimkey"
	"github.com/mailplan/mailplan/compiler/emit/emittest"
	"github.com/mailplan/mailplan/compiler/emit/postfix"
	"github.com/mailplan/mailplan/compiler/emit/rspamd"
	"github.com/mailplan/mailplan/test/daemon"
)

// replyRoot starts the emitted Postfix, which relays to this test's own program, before the emitted Rspamd.
const replyRoot = `
gzip -dc /client.gz >/client
chmod 755 /client
nc -lkuU /dev/log >/tmp/log &
bash /etc/mailplan/postfix/10-mailplan.sh
postconf -e 'relayhost = [127.0.0.1]:2525' smtp_tls_security_level=none smtp_sasl_auth_enable=no smtp_tls_wrappermode=no
postfix start >/dev/null 2>&1
MAILPLAN_INSIDE=1 /client -test.run '^TestReplies$' -test.v && exit 0
cat /tmp/log /tmp/rspamd.log
exit 1
`

// TestReplies sends what Dovecot does by sieve through the real Postfix and Rspamd: automatic replies leave signed and
// from nobody; strangers' mail that is redirected leaves as it came, whatever it claims to be.
func TestReplies(t *testing.T) {
	if os.Getenv("MAILPLAN_INSIDE") != "" {
		repliesInside(t)
		return
	}
	t.Parallel()
	s := emittest.Site()
	s.Host.Subnet = "127.16.0.0/20" // so that the containers' addresses exist
	key := signingKeys(t, s)
	r := rspamdAndRedis(t, emittest.Layout(t, emittest.Emit(t, rspamd.Files, s), "config/rspamd", key))
	r.Mount(emittest.Layout(t, emittest.Emit(t, postfix.Files, s), "config/postfix", nil), "/etc/mailplan/postfix")
	r.Mount(daemon.Self(t), "/client.gz")
	record, err := dkimkey.Record([]byte(key("dkim/example.com/mail2026")))
	if err != nil {
		t.Fatal(err)
	}
	r.Setenv("DKIM_RECORD", record)
	if result := r.Script(rspamdAlive + replyRoot); result.Err != nil {
		t.Errorf("%v\n%s\n%s", result.Err, result.Stdout, result.Stderr)
	}
}

const (
	vacation = "X-Sieve: Pigeonhole Sieve 2.4.1\r\nAuto-Submitted: auto-replied (vacation)\r\nPrecedence: bulk\r\n"
	redirect = "X-Sieve: Pigeonhole Sieve 2.4.1\r\nX-Sieve-Redirected-From: bob@example.com\r\n"
	way      = "Received: from mail.remote.test by dovecot with LMTP; Sat, 21 Nov 2026 10:00:00 +0000\r\n"
	auto     = "Auto-Submitted: auto-replied\r\n"
)

func repliesInside(t *testing.T) {
	relay := smarthost(t)
	const sieve, ingest = "127.16.2.14", "127.16.3.17"
	for _, tt := range []struct {
		name, client, sender, from, more string
		code                             int
		left                             string // the sender as it leaves
		signed                           bool
	}{
		{"reply", sieve, "alice@example.com", "alice@example.com", vacation, 250, "", true},
		{"reply to an address with a detail", sieve, "alice+list@example.com", "alice+list@example.com", vacation, 250, "", true},
		{"reply to an alias", sieve, "alice@example.com", "sales@example.com", vacation, 250, "", true},
		{"reply as a declared address elsewhere", sieve, "alice@example.com", "ceo@partner.example", vacation, 250, "", false},
		{"reply as somebody else", sieve, "alice@example.com", "bob@example.com", vacation, 554, "", false},
		{"reply as two", sieve, "alice@example.com", "alice@example.com\r\nFrom: bob@example.com", vacation, 554, "", false},
		{"redirected", sieve, "bob@example.com", "friend@remote.test", redirect + way, 250, "bob@example.com", false},
		{"redirected forgery of the user", sieve, "bob@example.com", "bob@example.com", redirect + way, 250, "bob@example.com", false},
		{"redirected forgery of a reply", sieve, "bob@example.com", "bob@example.com", redirect + way + auto, 250, "bob@example.com", false},
		{"redirected forgery without its mark", sieve, "bob@example.com", "bob@example.com", way + auto, 250, "bob@example.com", false},
		{"redirected forgery without its way", sieve, "bob@example.com", "bob@example.com", redirect + auto, 250, "bob@example.com", false},
		{"redirected bounce", sieve, "", "bob@example.com", redirect + way + auto, 250, "", false},
		{"forwarded forgery of a reply", ingest, "alice@example.com", "alice@example.com", vacation, 250, "alice@example.com", false},
	} {
		err := hand(tt.client, tt.sender, tt.from, tt.more, tt.name)
		if got := code(err); got != tt.code {
			t.Errorf("%s: %v, want %d", tt.name, err, tt.code)
		}
		if tt.code != 250 || err != nil {
			continue
		}
		got := <-relay
		switch signatures, err := dkim.VerifyWithOptions(strings.NewReader(got.data), &dkim.VerifyOptions{LookupTXT: published}); {
		case err != nil:
			t.Error(err)
		case got.from != tt.left:
			t.Errorf("%s: leaves from %q, want %q", tt.name, got.from, tt.left)
		case (len(signatures) == 1 && signatures[0].Err == nil && signatures[0].Domain == "example.com") != tt.signed:
			t.Errorf("%s: signatures %+v, want signed %v", tt.name, signatures, tt.signed)
		case !tt.signed && !strings.Contains(got.data, tt.more+"From: "+tt.from):
			t.Errorf("%s: leaves as\n%s", tt.name, got.data)
		}
	}
}

func published(string) ([]string, error) { return []string{os.Getenv("DKIM_RECORD")}, nil }

// hand gives Postfix a message at the door of a service, as that does.
func hand(client, sender, from, more, subject string) error {
	door := map[string]string{"127.16.2.14": "127.16.2.15:10025", "127.16.3.17": "127.16.3.15:10025"}[client]
	conn, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(client)}}).Dial("tcp", door)
	if err != nil {
		return err
	}
	c := smtp.NewClient(conn)
	defer c.Close()
	if err := errors.Join(c.Mail(sender, nil), c.Rcpt("carol@elsewhere.example", nil)); err != nil {
		return err
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "%sFrom: %s\r\nTo: carol@elsewhere.example\r\nSubject: %s\r\nMessage-ID: <%d@example.com>\r\n"+
		"Date: Sat, 21 Nov 2026 10:00:00 +0000\r\n\r\nI am away.\r\n", more, from, subject, time.Now().UnixNano())
	return w.Close()
}

func code(err error) int {
	if reply, ok := errors.AsType[*smtp.SMTPError](err); ok {
		return reply.Code
	}
	if err != nil {
		return 0
	}
	return 250
}

// relayed is one message as it leaves.
type relayed struct{ from, data string }

type outbox chan relayed

// smarthost plays the relay.
func smarthost(t *testing.T) outbox {
	t.Helper()
	box := make(outbox, 20)
	s := smtp.NewServer(box)
	s.Addr, s.Domain = "127.0.0.1:2525", "relay"
	go s.ListenAndServe()
	t.Cleanup(func() { s.Close() })
	return box
}

func (b outbox) NewSession(*smtp.Conn) (smtp.Session, error) { return &session{box: b}, nil }

type session struct {
	box  outbox
	from string
}

func (s *session) Mail(from string, _ *smtp.MailOptions) error { s.from = from; return nil }
func (s *session) Rcpt(string, *smtp.RcptOptions) error        { return nil }
func (s *session) Reset()                                      {}
func (s *session) Logout() error                               { return nil }
func (s *session) Data(r io.Reader) error {
	data, err := io.ReadAll(r)
	s.box <- relayed{s.from, string(data)}
	return err
}
