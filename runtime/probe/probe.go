// Package probe sends messages that only a machine reads, by the same door as all inbound mail: the ingest's HTTP endpoint,
// with token and signature, then scan, ledger and LMTP. It proves each by reading it over IMAP (RFC 9051) in a mailbox that
// has no other use, and deletes it there. It must not know what is behind the door.
package probe

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/mailplan/mailplan/runtime/config"
	"github.com/mailplan/mailplan/runtime/ingest"
)

// Prober sends one message at a time. Make it by New.
type Prober struct {
	conf     *config.Probe
	url      string // of the endpoint
	token    string
	key      []byte // nil when requests are not signed
	deadline time.Duration
	now      func() time.Time
}

const standardDeadline = 30 * time.Second

// New reads the secrets of the door, which is at base, such as http://127.0.0.1:8000.
func New(conf *config.Probe, auth config.Auth, base string) (*Prober, error) {
	p := &Prober{conf: conf, url: base + "/v1/ingest", deadline: conf.Deadline.Or(standardDeadline), now: time.Now}
	if len(auth.TokenFiles) == 0 {
		return nil, fmt.Errorf("probe: the ingest has no token")
	}
	token, err := ingest.ReadSecret(auth.TokenFiles[0])
	if err != nil {
		return nil, fmt.Errorf("probe: %w", err)
	}
	p.token = string(token)
	if auth.Signature != nil && len(auth.Signature.KeyFiles) > 0 {
		if p.key, err = ingest.ReadSecret(auth.Signature.KeyFiles[0]); err != nil {
			return nil, fmt.Errorf("probe: %w", err)
		}
	}
	return p, nil
}

// Once sends a message for a domain and waits until it has arrived. The error says how far it came.
func (p *Prober) Once(ctx context.Context, domain string) error {
	ctx, cancel := context.WithTimeout(ctx, p.deadline)
	defer cancel()
	id := rand.Text()
	if err := p.send(ctx, domain, id); err != nil {
		return err
	}
	return p.arrives(ctx, messageID(id, domain))
}

func messageID(id, domain string) string { return "<mailplan-probe." + id + "@" + domain + ">" }

func (p *Prober) send(ctx context.Context, domain, id string) error {
	address := p.conf.Localpart + "@" + domain
	body := fmt.Appendf(nil, "Date: %s\r\nFrom: mailplan <%s>\r\nTo: <%s>\r\nMessage-ID: %s\r\nSubject: mailplan probe of %s\r\n"+
		"Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"+
		"This message shows that mail for %s arrives. It is deleted as soon as it did.\r\n",
		p.now().Format(time.RFC1123Z), address, address, messageID(id, domain), domain, domain)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header = http.Header{"Authorization": {"Bearer " + p.token}, "Content-Type": {"message/rfc822"},
		"X-Mail-From": {address}, "X-Rcpt-To": {address}}
	if p.key != nil {
		ingest.Sign(req.Header, p.key, sha256.Sum256(body), id, p.now())
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("the ingest does not take it: %w", err)
	}
	defer resp.Body.Close()
	return taken(resp)
}

// taken says whether the ingest has delivered the message, and else why not.
func taken(resp *http.Response) error {
	said, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil {
		return fmt.Errorf("the ingest does not answer: %w", err)
	}
	var answer struct {
		Message    string
		Recipients []struct{ Status, Enhanced, Message string }
	}
	if err := json.Unmarshal(said, &answer); err != nil {
		return fmt.Errorf("the ingest answers %s: %.200q", resp.Status, said)
	}
	for _, r := range answer.Recipients {
		if r.Status == "delivered" {
			continue
		}
		return fmt.Errorf("the ingest has not delivered it: %s: %s %s", r.Status, r.Enhanced, r.Message)
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the ingest answers %s: %s", resp.Status, answer.Message)
	}
	return nil
}
