// Package spool is the part of the edge plane that keeps mail while the host is away: queues, their consumer and the
// bucket, as objects of a plan. A queue is ours when the site's Worker consumes it, or when it bears the site's name for
// it and nobody consumes it. A bucket is ours by its name alone, and nothing here deletes one, for mail lies in it: one
// that is no longer wanted is emptied by its own rules, which spare all but the Worker's keys.
package spool

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/mailplan/mailplan/compiler/apply/edge"
	"github.com/mailplan/mailplan/compiler/emit/cloudflare"
	"github.com/mailplan/mailplan/compiler/plan"
)

// Kinds of the objects.
const (
	KindQueue    = "queue"
	KindConsumer = "queue consumer"
	KindBucket   = "bucket"
)

const secondsPerDay = 24 * 3600

// prefixes of the keys under which the Worker keeps mail.
var prefixes = []string{"dead/", "mail/"}

// Plane holds the spool that a site wants. Ours says whether a Worker is the site's, Worker is the reference of the
// wanted one. It keeps what it last read and what it made since, for reads may lag.
type Plane struct {
	Site   string
	Queues []cloudflare.Queue
	Bucket *cloudflare.Bucket
	Was    string // name of the bucket at the last apply
	Edge   *edge.Edge
	Ours   func(ctx context.Context, worker string) (bool, error)
	Worker func(name string) string

	live []edge.Queue
}

type queueValue struct {
	RetentionDays int  `json:"retentionDays"`
	Delay         int  `json:"delay,omitempty"` // seconds
	Paused        bool `json:"paused,omitempty"`
}

type consumerValue struct {
	Script         string `json:"script"`
	DeadLetter     string `json:"deadLetter,omitempty"`
	BatchSize      int    `json:"batchSize"`
	MaxRetries     int    `json:"maxRetries"`
	MaxWaitMS      int    `json:"maxWaitMS"`
	MaxConcurrency int    `json:"maxConcurrency"`
	RetryDelay     int    `json:"retryDelay"`
}

// bucketValue maps each prefix to the days after which its objects go.
type bucketValue struct {
	DeleteAfterDays map[string]int `json:"deleteAfterDays"`
}

// Name is the plane's.
func (p *Plane) Name() plan.Plane { return plan.Edge }

// Kinds are what it knows of the plane.
func (p *Plane) Kinds() []string { return []string{KindQueue, KindConsumer, KindBucket} }

// Refs name all that must be there before a Worker can be bound to it.
func Refs(queues []cloudflare.Queue, bucket *cloudflare.Bucket) []string {
	var refs []string
	for _, q := range queues {
		refs = append(refs, ref(KindQueue, q.Name))
	}
	if bucket != nil {
		refs = append(refs, ref(KindBucket, bucket.Name))
	}
	return refs
}

func ref(kind, id string) string { return plan.Object{Plane: plan.Edge, Kind: kind, ID: id}.Ref() }

// Desired lists bucket, queues and consumers.
func (p *Plane) Desired(context.Context) ([]plan.Object, error) {
	var objects []plan.Object
	if b := p.Bucket; b != nil {
		v := bucketValue{map[string]int{}}
		for _, prefix := range prefixes {
			v.DeleteAfterDays[prefix] = b.DeleteAfterDays
		}
		objects = append(objects, bucketObject(b.Name, v, b.From))
	}
	for _, q := range p.Queues {
		o := queueObject(q.Name, queueValue{RetentionDays: q.RetentionDays})
		o.From, o.Sole = q.From, true
		c := q.Consumer
		consumer := consumerObject(q.Name, consumerValue{c.Script, c.DeadLetterQueue, c.BatchSize, c.MaxRetries, c.MaxWaitMS, c.MaxConcurrency, c.RetryDelay})
		consumer.From, consumer.Needs = q.From, []string{o.Ref(), p.Worker(c.Script)}
		objects = append(objects, o, consumer)
	}
	return objects, nil
}

func bucketObject(name string, v bucketValue, from string) plan.Object {
	days := 0
	for _, n := range v.DeleteAfterDays {
		days = max(days, n)
	}
	return plan.Object{Plane: plan.Edge, Kind: KindBucket, ID: name, Value: plan.Encode(v), Phase: plan.Lay, From: from,
		Show: fmt.Sprintf("mail deleted after %d days", days)}
}

func queueObject(name string, v queueValue) plan.Object {
	show := fmt.Sprintf("keeps %d days", v.RetentionDays)
	if v.Paused {
		show += ", paused"
	}
	if v.Delay > 0 {
		show += fmt.Sprintf(", %d s late", v.Delay)
	}
	return plan.Object{Plane: plan.Edge, Kind: KindQueue, ID: name, Value: plan.Encode(v), Show: show, Phase: plan.Lay}
}

func consumerObject(queue string, v consumerValue) plan.Object {
	return plan.Object{Plane: plan.Edge, Kind: KindConsumer, ID: queue, Value: plan.Encode(v), Phase: plan.Switch,
		Show: fmt.Sprintf("%s, %d at once, %d tries", v.Script, v.BatchSize, v.MaxRetries)}
}

// Live reads the bucket of the wanted name, the wanted queues, and those that the site's Worker consumes.
func (p *Plane) Live(ctx context.Context) ([]plan.Object, error) {
	var err error
	if p.live, err = p.Edge.Queues(ctx); err != nil {
		return nil, err
	}
	var objects []plan.Object
	for _, q := range p.live {
		some, err := p.queue(ctx, q)
		if err != nil {
			return nil, err
		}
		objects = append(objects, some...)
	}
	bucket, err := p.bucket(ctx)
	return append(bucket, objects...), err
}

func (p *Plane) queue(ctx context.Context, q edge.Queue) ([]plan.Object, error) {
	wanted := slices.ContainsFunc(p.Queues, func(w cloudflare.Queue) bool { return w.Name == q.Name })
	ours := wanted
	if q.Consumer != nil {
		var err error
		if ours, err = p.Ours(ctx, q.Consumer.Worker); err != nil {
			return nil, err
		}
	}
	if !wanted && !ours {
		return nil, nil
	}
	o := queueObject(q.Name, queueValue{q.Retention / secondsPerDay, q.DeliveryDelay, q.Paused})
	o.Handle, o.Foreign = q.ID, !ours
	if !wanted { // it goes with its consumer, and before the Worker can go
		o.Irreversible, o.Needs = "the mail that waits in the queue is not delivered any more", []string{p.Worker(q.Consumer.Worker)}
		return []plan.Object{o}, nil
	}
	if q.Consumer == nil {
		return []plan.Object{o}, nil
	}
	c := q.Consumer
	consumer := consumerObject(q.Name, consumerValue{c.Worker, c.DeadLetter, c.BatchSize, c.MaxRetries, c.MaxWait, c.MaxConcurrency, c.RetryDelay})
	consumer.Handle, consumer.Foreign = c.ID, !ours
	return []plan.Object{o, consumer}, nil
}

func (p *Plane) bucket(ctx context.Context) ([]plan.Object, error) {
	left, err := p.leftBucket(ctx)
	if p.Bucket == nil || err != nil {
		return left, err
	}
	b, ok, err := p.Edge.Bucket(ctx, edge.Bucket{Name: p.Bucket.Name})
	if !ok || err != nil {
		return left, err
	}
	rules, err := p.Edge.Expiries(ctx, b)
	if err != nil {
		return nil, err
	}
	v := bucketValue{map[string]int{}}
	for _, r := range rules {
		if edge.Owner(r.ID) == p.Site && r.Enabled {
			v.DeleteAfterDays[r.Prefix] = r.MaxAge / secondsPerDay
		}
	}
	return append(left, bucketObject(b.Name, v, "")), nil
}

// leftBucket is the one of the last apply, where the site has another or none.
func (p *Plane) leftBucket(ctx context.Context) ([]plan.Object, error) {
	if p.Was == "" || p.Bucket != nil && p.Bucket.Name == p.Was {
		return nil, nil
	}
	b, ok, err := p.Edge.Bucket(ctx, edge.Bucket{Name: p.Was})
	if !ok || err != nil {
		return nil, err
	}
	o := bucketObject(b.Name, bucketValue{}, "")
	o.Show = "if it is empty; mail in it stays, with its bucket"
	if p.Bucket != nil {
		o.Irreversible = "what waits in it is not delivered any more; drain it first"
	}
	return []plan.Object{o}, nil
}

// Apply makes the changes one by one.
func (p *Plane) Apply(ctx context.Context, changes []plan.Change) error {
	for _, c := range changes {
		i := slices.IndexFunc(p.live, func(q edge.Queue) bool { return q.Name == c.ID })
		var err error
		switch {
		case c.Kind == KindBucket:
			err = p.applyBucket(ctx, c)
		case i >= 0 && c.Kind == KindQueue:
			err = p.changeQueue(ctx, p.live[i], c)
		case i >= 0:
			err = p.applyConsumer(ctx, p.live[i], c)
		case c.Verb == plan.Delete:
			continue
		case c.Kind == KindQueue:
			err = p.createQueue(ctx, c)
		default:
			err = fmt.Errorf("the queue %s does not exist", c.ID)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func decode[T any](c plan.Change) (v T, err error) {
	if err = json.Unmarshal(c.New, &v); err != nil {
		err = fmt.Errorf("change of %s: %w", c.ID, err)
	}
	return v, err
}

func (p *Plane) createQueue(ctx context.Context, c plan.Change) error {
	q, err := p.Edge.CreateQueue(ctx, c.ID)
	if err != nil {
		return err
	}
	p.live = append(p.live, q)
	return p.changeQueue(ctx, q, c)
}

// changeQueue sets a queue's settings, or removes it with its consumer, which would hold the Worker.
func (p *Plane) changeQueue(ctx context.Context, q edge.Queue, c plan.Change) error {
	if c.Verb == plan.Delete {
		if err := p.Edge.DeleteConsumer(ctx, q); err != nil {
			return err
		}
		return p.Edge.DeleteQueue(ctx, q)
	}
	v, err := decode[queueValue](c)
	if err != nil {
		return err
	}
	q.Retention, q.DeliveryDelay, q.Paused = v.RetentionDays*secondsPerDay, v.Delay, v.Paused
	return p.Edge.UpdateQueue(ctx, q)
}

func (p *Plane) applyConsumer(ctx context.Context, q edge.Queue, c plan.Change) error {
	if c.Verb == plan.Delete {
		return p.Edge.DeleteConsumer(ctx, q)
	}
	v, err := decode[consumerValue](c)
	if err != nil {
		return err
	}
	return p.Edge.SetConsumer(ctx, q, edge.Consumer{Worker: v.Script, DeadLetter: v.DeadLetter, BatchSize: v.BatchSize,
		MaxRetries: v.MaxRetries, MaxWait: v.MaxWaitMS, MaxConcurrency: v.MaxConcurrency, RetryDelay: v.RetryDelay})
}

func (p *Plane) applyBucket(ctx context.Context, c plan.Change) error {
	if c.Verb == plan.Delete {
		_, err := p.Edge.DeleteEmptyBucket(ctx, edge.Bucket{Name: c.ID})
		return err
	}
	v, err := decode[bucketValue](c)
	if err != nil {
		return err
	}
	b := edge.Bucket{Name: c.ID}
	_, there, err := p.Edge.Bucket(ctx, b)
	if err != nil {
		return err
	}
	if !there {
		if b, err = p.Edge.CreateBucket(ctx, b); err != nil {
			return err
		}
	}
	var rules []edge.Expiry
	for _, prefix := range prefixes {
		rules = append(rules, edge.Expiry{ID: edge.Mark(p.Site, prefix), Prefix: prefix, MaxAge: v.DeleteAfterDays[prefix] * secondsPerDay, Enabled: true})
	}
	return p.Edge.SetExpiries(ctx, b, p.Site, rules)
}
