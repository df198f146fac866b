package ingest

import (
	"context"
	"slices"
	"sync"
	"time"
)

// mailboxes lets one delivery at a time into each mailbox. Deliveries that run side by side for one
// user make Dovecot lose marks of its duplicate test (seen with 2.3.19), so that a second try would be
// stored again; its lmtp_user_concurrency_limit = 1 holds the same for what an earlier process of ours
// has left running.
type mailboxes struct {
	mu   sync.Mutex
	held map[string]chan struct{} // closed when the mailbox is free again
}

const mailboxPatience = 20 * time.Second

// lock waits for all of the names, in one order for everybody, and gives up after a while.
func (b *mailboxes) lock(ctx context.Context, names []string) (release func(), ok bool) {
	names = slices.Sorted(slices.Values(names))
	var timeout <-chan time.Time
	for i := 0; i < len(names); {
		held := b.try(names[i])
		if held == nil {
			i++
			continue
		}
		if timeout == nil {
			timer := time.NewTimer(mailboxPatience)
			defer timer.Stop()
			timeout = timer.C
		}
		select {
		case <-held:
		case <-timeout:
			b.unlock(names[:i])
			return nil, false
		case <-ctx.Done():
			b.unlock(names[:i])
			return nil, false
		}
	}
	return func() { b.unlock(names) }, true
}

// try takes a free mailbox, or returns what to wait for.
func (b *mailboxes) try(name string) chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if held, ok := b.held[name]; ok {
		return held
	}
	if b.held == nil {
		b.held = map[string]chan struct{}{}
	}
	b.held[name] = make(chan struct{})
	return nil
}

func (b *mailboxes) unlock(names []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, name := range names {
		close(b.held[name])
		delete(b.held, name)
	}
}
