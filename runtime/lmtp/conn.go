package lmtp

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/mailplan/mailplan/runtime/socket"
)

// conn is one connection after LHLO, between two transactions.
type conn struct {
	net.Conn
	br         *bufio.Reader
	pipelining bool
	chunking   bool // BDAT, RFC 3030
	eightBit   bool // BODY=8BITMIME, RFC 6152
	size       bool // SIZE=, RFC 1870
	enhanced   bool // ENHANCEDSTATUSCODES, RFC 2034
	reused     bool // it has idled, so the server may have closed it meanwhile
	idleSince  time.Time
}

func (p *Pool) dial(ctx context.Context) (*conn, error) {
	limit := p.Timeouts.Connect
	d := net.Dialer{Timeout: limit}
	network, address := "tcp", p.Address
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		network, address = "unix", path
	}
	nc, err := d.DialContext(ctx, network, address)
	if err != nil {
		return nil, fmt.Errorf("connect to the mail store: %w", err)
	}
	c := &conn{Conn: socket.Wrap(nc)}
	c.br = bufio.NewReaderSize(c.Conn, 4096)
	c.SetDeadline(time.Now().Add(limit))
	if err := c.hello(p.Hostname); err != nil {
		c.Close()
		// %v: what a server says before any envelope is no word about the message
		return nil, fmt.Errorf("greet the mail store: %v", err)
	}
	c.SetDeadline(time.Time{})
	return c, nil
}

func (c *conn) hello(hostname string) error {
	greeting, err := ReadReply(c.br)
	if err != nil {
		return err
	}
	if greeting.Code != 220 {
		return refusedError{greeting}
	}
	if _, err := fmt.Fprintf(c, "LHLO %s\r\n", hostname); err != nil {
		return err
	}
	return c.extensions()
}

// extensions reads the LHLO reply line by line, since each line is one extension.
func (c *conn) extensions() error {
	for range maxReplyLines {
		line, err := c.br.ReadSlice('\n')
		if err != nil {
			return err
		}
		code, rest, more, err := splitLine(line)
		if err != nil {
			return err
		}
		if code != 250 {
			return refusedError{Reply{Code: code, Text: printable(rest)}}
		}
		switch keyword, _, _ := strings.Cut(strings.ToUpper(rest), " "); keyword {
		case "PIPELINING":
			c.pipelining = true
		case "CHUNKING":
			c.chunking = true
		case "8BITMIME":
			c.eightBit = true
		case "SIZE":
			c.size = true
		case "ENHANCEDSTATUSCODES":
			c.enhanced = true
		}
		if !more {
			return nil
		}
	}
	return errReply
}

// alive looks whether the server has closed an idle connection, or said something unasked (421).
func (c *conn) alive() bool {
	quick, ok := c.Conn.(*socket.Conn)
	return !ok || quick.Quiet()
}

// refusedError is a reply that ends the talk before any recipient was named.
type refusedError struct{ Reply Reply }

func (e refusedError) Error() string { return "the mail store says " + e.Reply.String() }

// RefusedReply finds the server's own reply in err, if it was one that caused it.
func RefusedReply(err error) (Reply, bool) {
	var e refusedError
	ok := errors.As(err, &e)
	return e.Reply, ok
}
