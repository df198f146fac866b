//go:build stack

package stack_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/mailplan/mailplan/runtime/srs"
)

// edgeFlows come by the Email Worker in workerd and the tunnel's connector.
func (a actors) edgeFlows() []flow {
	return []flow{
		{"Worker: byte for byte to IMAP and POP3S", mail(a.byteForByte)},
		{"Worker: a foreign domain refused in the session", mail(a.edgeRefuses)},
		{"Worker: malware refused in the session", mail(a.edgeRefusesMalware)},
	}
}

// awkward is a message with what is easily broken on the way: bytes above 127 and some that are no UTF-8, lines of one
// dot and with leading dots, trailing blanks, a long line, and no line end at its end.
func awkward(subject string) []byte {
	head := strings.Replace(letter("writer@partner.example", subject), "text/plain", "text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: 8bit", 1)
	return []byte(head + ".\r\n..\r\n.hidden\r\nblanks  \t \r\n\t\r\n" + strings.Repeat("long ", 180) + "\r\n\xe9t\xe9 \x80\r\nthe end")
}

// byteForByte wants what a stranger sent behind the headers that the way added, and nothing else changed.
func (a actors) byteForByte() error {
	message := awkward("as it was sent")
	seen, err := a.worker.Send("writer@partner.example", "alice@example.com", message)
	if err != nil || seen.Outcome != "accepted" {
		return fmt.Errorf("the sender sees %+v, %w", seen, err)
	}
	ctx, cancel := context.WithTimeout(a.t.Context(), 20*time.Second)
	defer cancel()
	byIMAP, err := a.alice.Find(ctx, "INBOX", "as it was sent")
	if err != nil {
		return err
	}
	byPOP3, err := a.alice.POP3()
	if err != nil {
		return err
	}
	// Where a message ends without a line end, mail programs are given one.
	whole := string(message) + "\r\n"
	if !strings.HasSuffix(unmarked(strings.TrimSuffix(byIMAP, "\r\n")+"\r\n"), whole) {
		return fmt.Errorf("by IMAP it is another: %q", byIMAP)
	}
	if !strings.Contains(unmarked(byPOP3), whole) {
		return errors.New("by POP3S it is another")
	}
	return nil
}

// unmarked takes the lines away with which the filter says what it thinks, after the message's own headers.
func unmarked(text string) string {
	return marks.ReplaceAllString(text, "")
}

var marks = regexp.MustCompile(`(?m)^X-Spam-[A-Za-z]+: .*\r\n`)

func (a actors) edgeRefuses() error {
	return a.rejected("someone@other.example", []byte(letter("writer@partner.example", "elsewhere")))
}

func (a actors) edgeRefusesMalware() error {
	return a.rejected("alice@example.com", []byte(infected()))
}

func (a actors) rejected(to string, message []byte) error {
	seen, err := a.worker.Send("writer@partner.example", to, message)
	if err == nil && seen.Outcome != "rejected" {
		err = fmt.Errorf("the sender sees %+v", seen)
	}
	return err
}

// moreFlows are those of people that need no browser.
func (a actors) moreFlows() []flow {
	return []flow{
		{"inbound: spam into Junk by sieve", mail(a.junk)},
		{"inbound: a bounce to a rewritten sender finds the sender", mail(a.bounces)},
		{"app password: IMAP and submission, and no other", mail(a.appPassword)},
		{"submission: no relay from any container", mail(a.closedInside)},
		{"learning: out of Junk as ham, Bayes counts both", mail(a.unlearns)},
	}
}

// junk sends what has too few marks of a decent message, and nothing bad in it.
func (a actors) junk() error {
	message := "From: writer@partner.example\r\nDate: " + time.Now().Format(time.RFC1123Z) +
		"\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\nAn offer that nobody asked for, Q7Z4.\r\n"
	if err := a.send("alice@example.com", message); err != nil {
		return err
	}
	return a.find(a.alice, "Junk", "Q7Z4")
}

// bounces returns a message to the sender that an alias' outside target was given.
func (a actors) bounces() error {
	sent, err := a.relayedTo("to sales-example.com")
	if err != nil {
		return err
	}
	rewriter := srs.Rewriter{Domain: "example.com", Keys: [][]byte{[]byte(secretOf("SRS_KEY"))}, MaxAge: 24 * time.Hour, Now: time.Now}
	if was, err := rewriter.Reverse(sent.From); err != nil || was != "writer@partner.example" {
		return fmt.Errorf("%s stands for %q: %w", sent.From, was, err)
	}
	bounce := letter("mailer-daemon@partner.example", "returned to its sender")
	status, body, err := a.tunnel.Deliver("mail-api.example.com", secretOf("MAILSERVER_API_TOKEN"), secretOf("INGEST_SIGNING_KEY"), "", sent.From, bounce)
	if err != nil || status != http.StatusOK {
		return fmt.Errorf("%d: %s, %w", status, body, err)
	}
	back, err := a.relayedTo("returned to its sender")
	if err == nil && (len(back.To) != 1 || back.To[0] != "writer@partner.example" || back.From != "") {
		err = fmt.Errorf("relayed from %q to %v", back.From, back.To)
	}
	return err
}

// appPassword gives alice one as the console does.
func (a actors) appPassword() error {
	const fresh, wrong = "tkrb-4npx-wq2s-jd7f-a3me", "tkrb-4npx-wq2s-jd7f-a3mf"
	hash, err := a.project.Compose("exec", "--no-TTY", "dovecot", "doveadm", "pw", "-s", "SSHA512", "-p", fresh)
	if err != nil {
		return err
	}
	digest := sha256.Sum256([]byte(fresh))
	if _, err := a.project.SQL(fmt.Sprintf("INSERT INTO mailserver.app_passwords (user_id, name, selector, password_hash) "+
		"SELECT id, 'telephone', '%s', '%s' FROM mailserver.users WHERE email = 'alice@example.com'", hex.EncodeToString(digest[:2]), strings.TrimSpace(hash))); err != nil {
		return err
	}
	phone, guess := a.alice, a.alice
	phone.Password, guess.Password = fresh, wrong
	err = errors.Join(phone.SignIn(), phone.Submit("465", "alice@example.com", []string{"x@partner.example"}, letter("alice@example.com", "by app password")),
		refused(guess.SignIn, "Authentication failed")())
	if err == nil {
		_, err = a.relayedTo("by app password")
	}
	return err
}

// closedInside tries from every container to have Postfix relay without a sign-in. Those who may hand on scanned mail
// have a port of their own for it, which nobody else reaches (the port matrix).
func (a actors) closedInside() error {
	relays, err := a.project.Relays("x@partner.example")
	if err != nil {
		return err
	}
	allowed := map[string]bool{"mailserver-api -> postfix:10025": true, "dovecot -> postfix:10025": true}
	for _, r := range relays {
		if !allowed[r.String()] {
			err = errors.Join(err, fmt.Errorf("%s relays", r))
		}
		delete(allowed, r.String())
	}
	if len(allowed) > 0 {
		err = errors.Join(err, fmt.Errorf("who should relay does not: %v", allowed))
	}
	return err
}

// unlearns takes what was moved into Junk out of it again.
func (a actors) unlearns() error {
	before, err := a.learnt()
	if err != nil {
		return err
	}
	if err := a.alice.Move("Junk", "INBOX", "to alice-example.com"); err != nil {
		return err
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(200 * time.Millisecond) {
		now, err := a.learnt()
		if err != nil || now["learns_ham"] != before["learns_ham"] && before["learns_spam"] != "" {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("Bayes has %v, before %v", now, before)
		}
	}
}

// learnt are the classifier's own counters.
func (a actors) learnt() (map[string]string, error) {
	out, err := a.project.Compose("exec", "--no-TTY", "--env", "REDISCLI_AUTH="+secretOf("REDIS_PASSWORD"), "redis", "redis-cli", "--raw", "HGETALL", "RS")
	if err != nil {
		return nil, err
	}
	fields, counters := strings.Fields(out), map[string]string{}
	for i := 0; i+1 < len(fields); i += 2 {
		counters[fields[i]] = fields[i+1]
	}
	return counters, nil
}
