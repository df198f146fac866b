package ledger

import "sync"

// claims are the messages and mailboxes that somebody is working on.
type claims struct {
	mu   sync.Mutex
	held map[string]chan struct{} // closed when the claim ends
}

// Claim waits until nobody else works on a message with this head for any of the mailboxes, and keeps
// others out until release is called.
func (l *Ledger) Claim(head [16]byte, mailboxes []string) (release func()) {
	keys := make([]string, len(mailboxes))
	for i, m := range mailboxes {
		keys[i] = string(head[:]) + m
	}
	mine := l.claims.take(keys)
	return func() { l.claims.give(keys, mine) }
}

func (c *claims) take(keys []string) chan struct{} {
	mine := make(chan struct{})
	c.mu.Lock()
	defer c.mu.Unlock()
	for busy := c.busy(keys); busy != nil; busy = c.busy(keys) {
		c.mu.Unlock()
		<-busy
		c.mu.Lock()
	}
	if c.held == nil {
		c.held = map[string]chan struct{}{}
	}
	for _, k := range keys {
		c.held[k] = mine
	}
	return mine
}

func (c *claims) busy(keys []string) chan struct{} {
	for _, k := range keys {
		if held, ok := c.held[k]; ok {
			return held
		}
	}
	return nil
}

// any says whether somebody is still at work.
func (c *claims) any() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.held) > 0
}

func (c *claims) give(keys []string, mine chan struct{}) {
	c.mu.Lock()
	for _, k := range keys {
		delete(c.held, k)
	}
	c.mu.Unlock()
	close(mine)
}
