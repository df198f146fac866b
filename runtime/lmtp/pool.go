// Package lmtp turns a message and its envelope into deliveries over LMTP (RFC 2033), with pipelining
// (RFC 2920) and, where the server offers it, chunking (RFC 3030), so that a body goes out in large
// blocks and byte for byte. Every transaction has two steps, so that a caller can write down what it
// is about to do: until [Transaction.Commit] the server cannot deliver anything. The package must not
// know where messages come from or what a reply means for their sender.
package lmtp

import (
	"context"
	"sync"
	"time"
)

// Timeouts bound each phase of a transaction.
type Timeouts struct {
	Connect  time.Duration // dial, greeting and LHLO
	Envelope time.Duration // from MAIL to the last RCPT reply
	Block    time.Duration // one block of the body
	Commit   time.Duration // from the last byte to the last reply
}

// Pool keeps idle connections to one server, newest first. It sets no limit on how many are in use:
// its caller's concurrency does. The zero values of MaxIdle and IdleTimeout keep none.
type Pool struct {
	Address     string        // host:port or unix:PATH
	Hostname    string        // said in LHLO
	MaxIdle     int           // connections kept
	IdleTimeout time.Duration // an older one is closed
	Timeouts    Timeouts

	mu   sync.Mutex
	idle []*conn
}

// get returns an idle connection, or dials.
func (p *Pool) get(ctx context.Context) (*conn, error) {
	p.mu.Lock()
	for n := len(p.idle); n > 0; n = len(p.idle) {
		c := p.idle[n-1]
		p.idle = p.idle[:n-1]
		p.mu.Unlock()
		if time.Since(c.idleSince) < p.IdleTimeout && c.alive() {
			c.reused = true
			return c, nil
		}
		c.Close()
		p.mu.Lock()
	}
	p.mu.Unlock()
	return p.dial(ctx)
}

func (p *Pool) put(c *conn) {
	c.idleSince = time.Now()
	p.mu.Lock()
	if len(p.idle) < p.MaxIdle {
		p.idle = append(p.idle, c)
		c = nil
	}
	p.mu.Unlock()
	if c != nil {
		c.Close()
	}
}

// Close closes the idle connections.
func (p *Pool) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.idle {
		c.Close()
	}
	p.idle = nil
}

// Ping asks whether the server answers: it opens a connection and says hello.
func (p *Pool) Ping(ctx context.Context) error {
	c, err := p.dial(ctx)
	if err != nil {
		return err
	}
	p.put(c)
	return nil
}
