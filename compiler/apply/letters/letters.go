// Package letters shows an operator the messages that wait at the edge for a host that could not take them, and
// the dead letters among them, and has the Email Worker try them again. The Worker alone delivers and moves
// messages (compiler/emit/worker, spool.mjs); this package reads its bucket and wakes it by its queue, and
// must not touch a message.
package letters

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mailplan/mailplan/compiler/apply/edge"
	"github.com/mailplan/mailplan/compiler/model"
)

// Where the Worker lays messages. A key goes on with the time at which the message came, then a random part.
const (
	waiting = "mail/"
	dead    = "dead/"
)

// Letter is one message at the edge.
type Letter struct {
	Key    string    `json:"key"`
	Dead   bool      `json:"dead"`
	Came   time.Time `json:"came"`
	From   string    `json:"from"` // reverse path
	To     string    `json:"to"`
	Size   int64     `json:"size"` // bytes
	Reason string    `json:"reason,omitempty"`
}

// Account is what of the provider's account is needed.
type Account interface {
	Objects(ctx context.Context, b edge.Bucket, prefix string) ([]edge.Object, error)
	Queues(ctx context.Context) ([]edge.Queue, error)
	Push(ctx context.Context, q edge.Queue, message any) error
}

// Spool is that of one site.
type Spool struct {
	Account Account
	Names   model.Spool
}

// List returns the messages that wait, oldest first, and then the dead letters.
func (s Spool) List(ctx context.Context) (all []Letter, err error) {
	for _, prefix := range []string{waiting, dead} {
		objects, err := s.Account.Objects(ctx, edge.Bucket{Name: s.Names.Bucket}, prefix)
		if err != nil {
			return nil, err
		}
		for _, o := range objects {
			all = append(all, letter(o))
		}
	}
	return all, nil
}

func letter(o edge.Object) Letter {
	l := Letter{Key: o.Key, Dead: strings.HasPrefix(o.Key, dead), Came: o.Time, From: o.Metadata["from"], To: o.Metadata["to"],
		Size: o.Size, Reason: o.Metadata["reason"]}
	stamp := l.Key[strings.Index(l.Key, "/")+1:]
	if at, err := time.Parse(stampLayout, stamp[:min(len(stamp), len(stampLayout))]); err == nil {
		l.Came = at // a dead letter's object is younger than its message
	}
	return l
}

const stampLayout = "2006-01-02T15:04:05.000Z"

// wake is what the Worker's queue is told: to look at all that waits, or at one message, first.
type wake struct {
	Wake bool   `json:"wake,omitempty"`
	Key  string `json:"key,omitempty"`
}

// Drain has the Worker try what waits, and the dead letters of keys again. It returns at once; the Worker goes
// on until nothing is left or the host is out of reach.
func (s Spool) Drain(ctx context.Context, keys []string) error {
	queues, err := s.Account.Queues(ctx)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(queues, func(q edge.Queue) bool { return q.Name == s.Names.Queue })
	if i < 0 {
		return fmt.Errorf("the account has no queue %s: apply the site first", s.Names.Queue)
	}
	messages := []wake{{Wake: true}}
	for _, k := range keys {
		messages = append(messages, wake{Key: k})
	}
	for _, m := range messages {
		if err := s.Account.Push(ctx, queues[i], m); err != nil {
			return err
		}
	}
	return nil
}

// Find returns the letters of keys, each of which may be cut short where it is still the only one, as in
// dead/2026-11-22T01.
func Find(all []Letter, keys []string) (found []Letter, err error) {
	for _, k := range keys {
		var fit []Letter
		for _, l := range all {
			if l.Key == k || strings.HasPrefix(l.Key, k) && k != "" {
				fit = append(fit, l)
			}
		}
		if len(fit) != 1 {
			return nil, fmt.Errorf("%q names %d messages of the spool; mailplan spool list shows their keys", k, len(fit))
		}
		found = append(found, fit[0])
	}
	return found, nil
}
