//go:build stack

package stack_test

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-msgauth/dkim"

	"github.com/mailplan/mailplan/test/browser"
	"github.com/mailplan/mailplan/test/inbound"
	"github.com/mailplan/mailplan/test/stack"
)

// eicar is the test file every scanner knows; GTUBE is the same for spam filters. Both are put together
// here so that this file is neither.
const (
	eicar = `X5O!P%@AP[4\PZX54(P^)7CC)7}$` + `EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*`
	gtube = "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE" + "-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"
)

// flow is one way that mail or a person takes through the stack.
type flow struct {
	name string
	run  func(t *testing.T) error
}

// actors are who and what the flows need.
type actors struct {
	t          *testing.T
	alice, bob stack.Client
	stranger   stack.Client // knows no password
	smarthost  *stack.Smarthost
	tunnel     stack.Tunnel
	dkimRecord string
	journal    *stack.Journal
	project    *stack.Project
	chromium   *browser.Browser
	worker     *inbound.Worker
}

func (a actors) flows() []flow {
	return slices.Concat(a.edgeFlows(), []flow{
		{"IMAP: sign-in with the declared password", mail(a.alice.SignIn)},
		{"IMAP: wrong password refused", mail(refused(a.stranger.SignIn, "Authentication failed"))},
		{"inbound: to a user", mail(a.arrives("alice@example.com", a.alice, "INBOX"))},
		{"inbound: to an alias of two", mail(a.both("sales@example.com"))},
		{"inbound: plus address", mail(a.arrives("bob+list@example.com", a.bob, "INBOX"))},
		{"inbound: unknown address to the catch-all", mail(a.arrives("whoever@example.com", a.alice, "INBOX"))},
		{"inbound: foreign domain refused", mail(a.refusedLetter("someone@other.example", letter("writer@partner.example", "elsewhere"), "not served here"))},
		{"inbound: GTUBE refused", mail(a.refusedLetter("alice@example.com", letter("writer@partner.example", "bad")+gtube+"\r\n", "Gtube"))},
		{"inbound: EICAR refused", mail(a.refusedLetter("alice@example.com", infected(), "malware"))},
		{"inbound: outside target of an alias relayed with SRS", mail(a.forwarded)},
		{"POP3S: the message of IMAP is there", mail(a.byPOP3)},
		{"submission 465: signed, relayed by TLS", mail(a.submits("465"))},
		{"submission 587: signed, relayed by TLS", mail(a.submits("587"))},
		{"submission: X-SMTPAPI stripped", mail(a.stripped)},
		{"submission: another user's address refused", mail(a.refusesSender("bob@example.com", "not owned by user"))},
		{"submission: foreign address refused", mail(a.refusesSender("alice@other.example", "not owned by user"))},
		{"submission: null sender refused", mail(a.refusesSender("", "null sender"))},
		{"submission: no relay without sign-in", mail(a.closed)},
		{"vacation: the reply is signed and from nobody", mail(a.replies)},
		{"learning: a message moved to Junk is learnt as spam", mail(a.learns)},
	}, a.moreFlows(), []flow{
		{"user retired in the database alone: no sign-in, mail waits", mail(a.retires)},
		{"inbound: mailbox full", mail(a.full)},
		{"console in a browser: sign-in, own password", a.console},
		{"webmail in a browser: read, answer, change password", a.webmail},
	})
}

// mail is a flow without a browser.
func mail(run func() error) func(*testing.T) error {
	return func(*testing.T) error { return run() }
}

// refused turns an expected refusal into success.
func refused(run func() error, words string) func() error {
	return func() error {
		err := run()
		if err == nil {
			return fmt.Errorf("was not refused")
		}
		if !strings.Contains(err.Error(), words) {
			return fmt.Errorf("refused without %q: %w", words, err)
		}
		return nil
	}
}

// letter is a plain message.
func letter(from, subject string) string {
	return "From: " + from + "\r\nTo: someone@partner.example\r\nSubject: " + subject + "\r\nMessage-ID: <" + word(subject) +
		"@partner.example>\r\nDate: " + time.Now().Format(time.RFC1123Z) + "\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\nThis is about " + subject +
		". A classifier wants some more words than these, such as harbour, lantern, orchard, pebble, violin and window.\r\n"
}

func word(s string) string {
	return strings.Map(func(r rune) rune { return map[bool]rune{true: '-', false: r}[r == ' ' || r == '@'] }, s)
}

func (a actors) deliver(to, message string) (int, string, error) {
	return a.tunnel.Deliver("mail-api.example.com", secretOf("MAILSERVER_API_TOKEN"), secretOf("INGEST_SIGNING_KEY"),
		"writer@partner.example", to, message)
}

func (a actors) send(to, message string) error {
	status, body, err := a.deliver(to, message)
	if err == nil && status/100 != 2 {
		err = fmt.Errorf("ingest says %d: %s", status, body)
	}
	return err
}

func (a actors) find(who stack.Client, mailbox, text string) error {
	ctx, cancel := context.WithTimeout(a.t.Context(), 20*time.Second)
	defer cancel()
	_, err := who.Find(ctx, mailbox, text)
	return err
}

func (a actors) arrives(to string, who stack.Client, mailbox string) func() error {
	return func() error {
		subject := "to " + word(to)
		if err := a.send(to, letter("writer@partner.example", subject)); err != nil {
			return err
		}
		return a.find(who, mailbox, subject)
	}
}

func (a actors) both(to string) func() error {
	return func() error {
		if err := a.arrives(to, a.alice, "INBOX")(); err != nil {
			return err
		}
		return a.find(a.bob, "INBOX", "to "+word(to))
	}
}

// infected is a message with the scanners' test file attached.
func infected() string {
	head, _, _ := strings.Cut(letter("writer@partner.example", "an invoice"), "Content-Type:")
	return head + "Content-Type: multipart/mixed; boundary=xx\r\n\r\n--xx\r\nContent-Type: text/plain\r\n\r\nPlease pay.\r\n" +
		"--xx\r\nContent-Type: application/octet-stream; name=invoice.com\r\nContent-Disposition: attachment; filename=invoice.com\r\n" +
		"Content-Transfer-Encoding: base64\r\n\r\n" + base64.StdEncoding.EncodeToString([]byte(eicar)) + "\r\n--xx--\r\n"
}

// refusedLetter wants a message refused for good, with these words.
func (a actors) refusedLetter(to, message, words string) func() error {
	return func() error {
		status, answer, err := a.deliver(to, message)
		if err == nil && (status != http.StatusUnprocessableEntity || !strings.Contains(answer, words)) {
			err = fmt.Errorf("%d: %s", status, answer)
		}
		return err
	}
}

// relayedTo waits for a message with text at the smarthost.
func (a actors) relayedTo(text string) (stack.Sent, error) {
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		for _, sent := range a.smarthost.Sent() {
			if strings.Contains(string(sent.Data), text) {
				return sent, nil
			}
		}
	}
	return stack.Sent{}, fmt.Errorf("nothing with %q was relayed", text)
}

func (a actors) forwarded() error {
	sent, err := a.relayedTo("to sales-example.com")
	if err != nil {
		return err
	}
	if len(sent.To) != 1 || sent.To[0] != "crm@partner.example" || !strings.HasPrefix(sent.From, "SRS0=") {
		return fmt.Errorf("relayed from %s to %v", sent.From, sent.To)
	}
	return nil
}

func (a actors) byPOP3() error {
	all, err := a.alice.POP3()
	if err == nil && !strings.Contains(all, "to alice-example.com") {
		err = fmt.Errorf("not among %d bytes", len(all))
	}
	return err
}

func (a actors) submits(port string) func() error {
	return func() error {
		subject := "by port " + port
		if err := a.alice.Submit(port, "alice@example.com", []string{"x@partner.example"}, letter("alice@example.com", subject)); err != nil {
			return err
		}
		sent, err := a.relayedTo(subject)
		if err != nil {
			return err
		}
		return a.verified(sent)
	}
}

// verified holds that the site has signed a message.
func (a actors) verified(sent stack.Sent) error {
	signatures, err := dkim.VerifyWithOptions(strings.NewReader(string(sent.Data)), &dkim.VerifyOptions{
		LookupTXT: func(string) ([]string, error) { return []string{a.dkimRecord}, nil },
	})
	if err != nil || len(signatures) != 1 || signatures[0].Err != nil || signatures[0].Domain != "example.com" {
		return fmt.Errorf("signatures: %+v, %w", signatures, err)
	}
	return nil
}

// replies has alice away for a moment.
func (a actors) replies() (err error) {
	away := func(change string) error {
		_, err := a.project.SQL("USE mailserver; " + change)
		if err == nil {
			_, err = a.project.Compose("exec", "--no-TTY", "dovecot", "doveadm", "auth", "cache", "flush")
		}
		return err
	}
	if err := away("INSERT INTO vacations (user_id, active, subject, body, addresses) " +
		"SELECT id, 1, 'At the sea', 'Back soon.', email FROM users WHERE email = 'alice@example.com'"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, away("DELETE FROM vacations")) }()
	message := strings.Replace(letter("writer@partner.example", "are you there"), "someone@partner.example", "alice@example.com", 1)
	if err := a.send("alice@example.com", message); err != nil {
		return err
	}
	sent, err := a.relayedTo("Subject: At the sea")
	if err == nil && (sent.From != "" || len(sent.To) != 1 || sent.To[0] != "writer@partner.example") {
		err = fmt.Errorf("from %q to %v", sent.From, sent.To)
	}
	if err != nil {
		return err
	}
	return a.verified(sent)
}

func (a actors) stripped() error {
	message := `X-SMTPAPI: {"to": ["victim@partner.example"]}` + "\r\n" + letter("alice@example.com", "with orders")
	if err := a.alice.Submit("465", "alice@example.com", []string{"x@partner.example"}, message); err != nil {
		return err
	}
	sent, err := a.relayedTo("with orders")
	if err == nil && strings.Contains(string(sent.Data), "X-SMTPAPI") {
		err = fmt.Errorf("X-SMTPAPI was relayed")
	}
	return err
}

func (a actors) refusesSender(from, words string) func() error {
	return refused(func() error {
		return a.alice.Submit("465", from, []string{"x@partner.example"}, letter("alice@example.com", "as "+word(from)))
	}, words)
}

func (a actors) learns() error {
	if err := a.alice.Move("INBOX", "Junk", "to alice-example.com"); err != nil {
		return err
	}
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		for _, line := range a.journal.Lines("home/rspamd") {
			if strings.Contains(line, "learned message as spam") {
				return nil
			}
		}
	}
	return fmt.Errorf("Rspamd has learnt nothing")
}

// retires bars bob for a while.
func (a actors) retires() (err error) {
	if _, err := a.project.SQL("UPDATE mailserver.users SET state = 'retired' WHERE email = 'bob@example.com'"); err != nil {
		return err
	}
	defer func() {
		_, undo := a.project.SQL("UPDATE mailserver.users SET state = 'active' WHERE email = 'bob@example.com'")
		err = errors.Join(err, undo)
	}()
	if _, err := a.project.Compose("exec", "--no-TTY", "dovecot", "doveadm", "auth", "cache", "flush"); err != nil {
		return err
	}
	if err := refused(a.bob.SignIn, "Authentication failed")(); err != nil {
		return err
	}
	// The compiled routes still have him: refusing for good would be worse than asking again.
	status, answer, err := a.deliver("bob@example.com", letter("writer@partner.example", "too late"))
	if err == nil && status != http.StatusServiceUnavailable {
		err = fmt.Errorf("%d: %s", status, answer)
	}
	return err
}

// open is a client that does not sign in.
func (a actors) open() stack.Client {
	return stack.Client{Address: a.alice.Address, TLS: a.alice.TLS}
}

// closed tries to relay without signing in.
func (a actors) closed() error {
	return refused(func() error {
		return a.open().Submit("587", "alice@example.com", []string{"x@partner.example"}, letter("alice@example.com", "open relay"))
	}, "not logged in")()
}

// full sends bob more than he has room for.
func (a actors) full() (err error) {
	quota := func(mb int) error {
		_, err := a.project.SQL(fmt.Sprintf("UPDATE mailserver.users SET quota_mb = %d WHERE email = 'bob@example.com'", mb))
		if err == nil {
			_, err = a.project.Compose("exec", "--no-TTY", "dovecot", "doveadm", "auth", "cache", "flush")
		}
		return err
	}
	if err := quota(1); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, quota(2048)) }()
	// Whoever still has room is let go past it once, by some megabytes.
	big := letter("writer@partner.example", "too much") + strings.Repeat("Too much of it.\r\n", 100_000)
	if err := a.send("bob@example.com", big); err != nil {
		return err
	}
	return a.refusedLetter("bob@example.com", letter("writer@partner.example", "and more"), "5.2.2")()
}

// trusting is a TLS configuration that insists on a name and trusts the test's authority alone.
func trusting(p *stack.Project, name string) *tls.Config {
	return &tls.Config{RootCAs: p.Authority.Pool(), ServerName: name}
}
