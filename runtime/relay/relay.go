// Package relay turns a message for an outside address into one transaction with the site's smarthost,
// by SMTP (RFC 5321). It must not know why mail goes outside or what its reverse path was before.
package relay

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"github.com/mailplan/mailplan/runtime/lmtp"
)

// Smarthost is the server that takes the mail.
type Smarthost struct {
	Address  string // host:port
	TLS      string // "", none, starttls or implicit
	Username string // SASL PLAIN when not empty
	Password string
	Hostname string        // said in EHLO
	Timeout  time.Duration // for the whole transaction
}

// Send hands the message to the smarthost for one recipient. Its result is read like that of an LMTP
// recipient: without InDoubt, what is not positive is surely not sent.
func (s *Smarthost) Send(ctx context.Context, from, to string, message io.Reader) lmtp.Result {
	c, err := s.connect(ctx)
	if err != nil {
		// What the smarthost says before any envelope, such as 535 to a wrong password, is no word about the message.
		return lmtp.Result{Err: err}
	}
	defer c.Close()
	if err := c.Mail(from, nil); err != nil {
		return failed(err)
	}
	if err := c.Rcpt(to, nil); err != nil {
		return failed(err)
	}
	w, err := c.Data()
	if err != nil {
		return failed(err)
	}
	if _, err := io.Copy(w, message); err != nil {
		return failed(err) // closing the connection without the final dot sends nothing
	}
	if err := w.Close(); err != nil {
		r := failed(err)
		r.InDoubt = r.Reply.Code == 0
		return r
	}
	c.Quit()
	return lmtp.Result{Reply: lmtp.Reply{Code: 250, Enhanced: "2.0.0", Text: "taken by the smarthost"}}
}

// connect dials, says hello and signs in. The connection's own deadline bounds what follows.
func (s *Smarthost) connect(ctx context.Context) (*smtp.Client, error) {
	host, _, err := net.SplitHostPort(s.Address)
	if err != nil {
		return nil, fmt.Errorf("smarthost: %w", err)
	}
	d := net.Dialer{Timeout: min(s.Timeout, 30*time.Second)}
	nc, err := d.DialContext(ctx, "tcp", s.Address)
	if err != nil {
		return nil, fmt.Errorf("connect to the smarthost: %w", err)
	}
	conn := bounded{nc, time.Now().Add(s.Timeout)}
	var c *smtp.Client
	switch s.TLS {
	case "implicit":
		c = smtp.NewClient(tls.Client(conn, &tls.Config{ServerName: host}))
	case "starttls":
		c, err = smtp.NewClientStartTLS(conn, &tls.Config{ServerName: host})
	default:
		c = smtp.NewClient(conn)
	}
	if err == nil && s.TLS != "starttls" {
		err = c.Hello(s.Hostname)
	}
	if err == nil && s.Username != "" {
		err = c.Auth(sasl.NewPlainClient("", s.Username, s.Password))
	}
	if err != nil {
		nc.Close()
		return nil, fmt.Errorf("greet the smarthost: %w", err)
	}
	return c, nil
}

// bounded never waits beyond until: go-smtp sets and clears deadlines of its own and leaves the body
// without one.
type bounded struct {
	net.Conn
	until time.Time
}

func (b bounded) clip(t time.Time) time.Time {
	if t.IsZero() || t.After(b.until) {
		return b.until
	}
	return t
}

// SetDeadline sets the earlier of t and the transaction's end.
func (b bounded) SetDeadline(t time.Time) error { return b.Conn.SetDeadline(b.clip(t)) }

// SetReadDeadline sets the earlier of t and the transaction's end.
func (b bounded) SetReadDeadline(t time.Time) error { return b.Conn.SetReadDeadline(b.clip(t)) }

// SetWriteDeadline sets the earlier of t and the transaction's end.
func (b bounded) SetWriteDeadline(t time.Time) error { return b.Conn.SetWriteDeadline(b.clip(t)) }

func failed(err error) lmtp.Result {
	var said *smtp.SMTPError
	if !errors.As(err, &said) || said.Code >= 530 && said.Code <= 538 { // of our sign-in, RFC 4954 section 6
		return lmtp.Result{Err: err}
	}
	e := said.EnhancedCode
	r := lmtp.Reply{Code: said.Code, Text: said.Message}
	if e[0] > 0 {
		r.Enhanced = fmt.Sprintf("%d.%d.%d", e[0], e[1], e[2])
	}
	return lmtp.Result{Reply: r}
}
