package stack

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"slices"
	"sync"
	"testing"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"github.com/mailplan/mailplan/test/daemon"
)

// Sent is a message that arrived at the smarthost.
type Sent struct {
	From string
	To   []string
	Data []byte
}

// Smarthost takes the place of the site's relay: it speaks TLS with a certificate of the test's authority,
// takes one user and password, and keeps what it is given.
type Smarthost struct {
	user, password string
	mu             sync.Mutex
	sent           []Sent
}

// StartSmarthost listens on address for what the project relays to the host name.
func StartSmarthost(t testing.TB, address, name string, authority *daemon.Authority, user, password string) *Smarthost {
	t.Helper()
	cert, key := authority.Issue(name)
	pair, err := tls.X509KeyPair([]byte(cert), []byte(key))
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	s := &Smarthost{user: user, password: password}
	server := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return &relayed{host: s}, nil }))
	server.Domain, server.TLSConfig = name, &tls.Config{Certificates: []tls.Certificate{pair}}
	go server.Serve(listener) // ends with Close
	t.Cleanup(func() { server.Close() })
	return s
}

// Sent returns what has arrived so far.
func (s *Smarthost) Sent() []Sent {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.sent)
}

// relayed is one session of a client.
type relayed struct {
	host   *Smarthost
	signed bool
	now    Sent
}

// AuthMechanisms are those of SendGrid that Postfix is told to use.
func (r *relayed) AuthMechanisms() []string { return []string{sasl.Plain} }

// Auth takes the one user.
func (r *relayed) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if user != r.host.user || password != r.host.password {
			return errors.New("wrong user or password")
		}
		r.signed = true
		return nil
	}), nil
}

// Mail begins a message of whoever has signed in.
func (r *relayed) Mail(from string, _ *smtp.MailOptions) error {
	if !r.signed {
		return smtp.ErrAuthRequired
	}
	r.now = Sent{From: from}
	return nil
}

// Rcpt adds a recipient.
func (r *relayed) Rcpt(to string, _ *smtp.RcptOptions) error {
	r.now.To = append(r.now.To, to)
	return nil
}

// Data keeps the message.
func (r *relayed) Data(body io.Reader) error {
	data, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	r.now.Data = data
	r.host.mu.Lock()
	defer r.host.mu.Unlock()
	r.host.sent = append(r.host.sent, r.now)
	return nil
}

// Reset forgets a message that was begun.
func (r *relayed) Reset() { r.now = Sent{} }

// Logout ends the session.
func (r *relayed) Logout() error { return nil }
