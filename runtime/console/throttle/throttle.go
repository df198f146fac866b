// Package throttle counts refused attempts per key (an address of the network, an account) and says who must wait. It
// forgets after a while, and what it remembers is bounded; it must not know what is attempted.
package throttle

import (
	"sync"
	"time"
)

// Throttle allows so many failures per key and window.
type Throttle struct {
	limit  int
	window time.Duration
	max    int // keys
	now    func() time.Time

	mu   sync.Mutex
	keys map[string]*count
}

type count struct {
	failures int
	ends     time.Time
}

// maxKeys bounds the memory, at about 100 bytes a key.
const maxKeys = 50_000

// New allows limit failures per key within window.
func New(limit int, window time.Duration) *Throttle {
	return &Throttle{limit: limit, window: window, max: maxKeys, now: time.Now, keys: map[string]*count{}}
}

// overflow is the key of everybody whom there is no room to tell apart.
const overflow = ""

// Wait is how long a key must wait before its next attempt; 0 when it may go on.
func (t *Throttle) Wait(key string) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.keys[t.place(key)]
	if c == nil || c.failures < t.limit {
		return 0
	}
	return max(0, c.ends.Sub(t.now()))
}

// Failed counts one failure.
func (t *Throttle) Failed(key string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.keys) >= t.max {
		t.sweep()
	}
	key = t.place(key)
	c := t.keys[key]
	if c == nil || !t.now().Before(c.ends) {
		c = &count{ends: t.now().Add(t.window)}
		t.keys[key] = c
	}
	c.failures++
}

// Forget ends the count of a key, after a success.
func (t *Throttle) Forget(key string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.keys, key)
}

// place is the key under which one is counted.
func (t *Throttle) place(key string) string {
	if _, known := t.keys[key]; !known && len(t.keys) >= t.max {
		return overflow
	}
	return key
}

func (t *Throttle) sweep() {
	now := t.now()
	for k, c := range t.keys {
		if !now.Before(c.ends) {
			delete(t.keys, k)
		}
	}
}
