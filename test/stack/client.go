package stack

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// Client is a person's mail program: it knows the servers' address, trusts the test's authority and
// insists on the names in the certificate.
type Client struct {
	Address        string // of the host
	TLS            *tls.Config
	User, Password string
}

// dial opens a TLS connection to a port.
func (c Client) dial(port string) (*tls.Conn, error) {
	dialer := &net.Dialer{Timeout: 10 * time.Second}
	conn, err := tls.DialWithDialer(dialer, "tcp", net.JoinHostPort(c.Address, port), c.TLS)
	if err != nil {
		return nil, err
	}
	return conn, conn.SetDeadline(time.Now().Add(time.Minute))
}

// Submit sends a message by port 465 (TLS from the start) or 587 (STARTTLS), signing in unless User is
// empty.
func (c Client) Submit(port, from string, to []string, message string) error {
	client, err := c.submission(port)
	if err != nil {
		return err
	}
	defer client.Close()
	if c.User != "" {
		if err := client.Auth(sasl.NewPlainClient("", c.User, c.Password)); err != nil {
			return fmt.Errorf("sign in: %w", err)
		}
	}
	return client.SendMail(from, to, strings.NewReader(message))
}

func (c Client) submission(port string) (*smtp.Client, error) {
	if port == "465" {
		conn, err := c.dial(port)
		if err != nil {
			return nil, err
		}
		return smtp.NewClient(conn), nil
	}
	conn, err := net.DialTimeout("tcp", net.JoinHostPort(c.Address, port), 10*time.Second)
	if err != nil {
		return nil, err
	}
	return smtp.NewClientStartTLS(conn, c.TLS)
}

// imap opens a signed-in IMAP session.
func (c Client) imap() (*imapclient.Client, error) {
	conn, err := c.dial("993")
	if err != nil {
		return nil, err
	}
	client := imapclient.New(conn, nil)
	if err := client.Login(c.User, c.Password).Wait(); err != nil {
		client.Close()
		return nil, err
	}
	return client, nil
}

// SignIn says whether IMAP lets the client in.
func (c Client) SignIn() error {
	client, err := c.imap()
	if err != nil {
		return err
	}
	return client.Logout().Wait()
}

// ErrNotThere says that no message has arrived in time.
var ErrNotThere = errors.New("no such message")

// Find returns the text of the first message of a mailbox that has text, waiting until one comes or ctx
// ends.
func (c Client) Find(ctx context.Context, mailbox, text string) (string, error) {
	client, err := c.imap()
	if err != nil {
		return "", err
	}
	defer client.Close()
	for {
		found, err := search(client, mailbox, text)
		if err == nil || !errors.Is(err, ErrNotThere) {
			return found, err
		}
		select {
		case <-ctx.Done():
			return "", fmt.Errorf("%w in %s with %q", ErrNotThere, mailbox, text)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

func search(client *imapclient.Client, mailbox, text string) (string, error) {
	if _, err := client.Select(mailbox, nil).Wait(); err != nil {
		return "", err
	}
	data, err := client.UIDSearch(&imap.SearchCriteria{Text: []string{text}}, nil).Wait()
	if err != nil {
		return "", err
	}
	if len(data.AllUIDs()) == 0 {
		return "", ErrNotThere
	}
	whole := &imap.FetchItemBodySection{Peek: true}
	messages, err := client.Fetch(imap.UIDSetNum(data.AllUIDs()[0]), &imap.FetchOptions{BodySection: []*imap.FetchItemBodySection{whole}}).Collect()
	if err != nil || len(messages) == 0 {
		return "", fmt.Errorf("fetch from %s: %d messages, %w", mailbox, len(messages), err)
	}
	return string(messages[0].FindBodySection(whole)), nil
}

// Move moves the first message with text from one mailbox to another.
func (c Client) Move(from, to, text string) error {
	client, err := c.imap()
	if err != nil {
		return err
	}
	defer client.Close()
	if _, err := client.Select(from, nil).Wait(); err != nil {
		return err
	}
	data, err := client.UIDSearch(&imap.SearchCriteria{Text: []string{text}}, nil).Wait()
	if err != nil || len(data.AllUIDs()) == 0 {
		return fmt.Errorf("search %s for %q: %w", from, text, errors.Join(err, ErrNotThere))
	}
	_, err = client.Move(imap.UIDSetNum(data.AllUIDs()[0]), to).Wait()
	return err
}

// POP3 returns all messages of the inbox by POP3 over TLS (RFC 1939).
func (c Client) POP3() (string, error) {
	conn, err := c.dial("995")
	if err != nil {
		return "", err
	}
	defer conn.Close()
	in := bufio.NewReader(conn)
	var all strings.Builder
	if _, err := reply(in); err != nil {
		return "", err
	}
	for _, command := range []string{"USER " + c.User, "PASS " + c.Password, "STAT"} {
		if _, err := fmt.Fprintf(conn, "%s\r\n", command); err != nil {
			return "", err
		}
		line, err := reply(in)
		if err != nil {
			return "", err
		}
		var count int
		if _, err := fmt.Sscanf(line, "+OK %d", &count); command != "STAT" || err != nil {
			continue
		}
		for n := range count {
			fmt.Fprintf(conn, "RETR %d\r\n", n+1)
			if err := retrieve(in, &all); err != nil {
				return "", err
			}
		}
	}
	_, err = io.WriteString(conn, "QUIT\r\n")
	return all.String(), err
}

func reply(in *bufio.Reader) (string, error) {
	line, err := in.ReadString('\n')
	if err == nil && !strings.HasPrefix(line, "+OK") {
		err = fmt.Errorf("POP3: %s", strings.TrimSpace(line))
	}
	return line, err
}

// retrieve reads one message up to the line with a single dot.
func retrieve(in *bufio.Reader, into *strings.Builder) error {
	if _, err := reply(in); err != nil {
		return err
	}
	for {
		line, err := in.ReadString('\n')
		if err != nil || line == ".\r\n" {
			return err
		}
		into.WriteString(strings.TrimPrefix(line, "."))
	}
}
