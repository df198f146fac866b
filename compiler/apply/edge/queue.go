package edge

import (
	"context"

	"github.com/cloudflare/cloudflare-go/v6/option"
	"github.com/cloudflare/cloudflare-go/v6/queues"
)

// Queue is a message queue and its consumer.
type Queue struct {
	ID   string
	Name string
	// Retention and DeliveryDelay are in seconds.
	Retention     int
	DeliveryDelay int
	Paused        bool
	// Consumer is the Worker that takes the messages; nil if none. The provider
	// allows one.
	Consumer *Consumer
}

// Consumer is the push consumer of a queue.
type Consumer struct {
	ID     string
	Worker string
	// DeadLetter is the queue for messages that failed MaxRetries times; the
	// provider makes it if it is absent. Without one they are lost.
	DeadLetter string
	BatchSize  int
	MaxRetries int
	// MaxWait is in milliseconds, RetryDelay in seconds.
	MaxWait    int
	RetryDelay int
	// MaxConcurrency bounds the calls at the same time; 0 leaves it to the provider.
	MaxConcurrency int
}

type wireQueue struct {
	ID       string `json:"queue_id,omitempty"`
	Name     string `json:"queue_name,omitempty"`
	Settings struct {
		DeliveryDelay int  `json:"delivery_delay"`
		Paused        bool `json:"delivery_paused"`
		Retention     int  `json:"message_retention_period"`
	} `json:"settings"`
	Consumers []wireConsumer `json:"consumers,omitempty"`
}

// wireConsumer reads the Worker's name from either of the fields that the API
// uses: requests say script_name, answers say script.
type wireConsumer struct {
	ID         string               `json:"consumer_id,omitempty"`
	Script     string               `json:"script,omitempty"`
	ScriptName string               `json:"script_name,omitempty"`
	Type       string               `json:"type"`
	DeadLetter string               `json:"dead_letter_queue,omitempty"`
	Settings   wireConsumerSettings `json:"settings"`
}

type wireConsumerSettings struct {
	BatchSize  int `json:"batch_size,omitempty"`
	MaxRetries int `json:"max_retries"`
	MaxWait    int `json:"max_wait_time_ms"`
	RetryDelay int `json:"retry_delay"`
	// MaxConcurrency is null where the provider chooses.
	MaxConcurrency *int `json:"max_concurrency"`
}

func (w wireConsumer) consumer() Consumer {
	worker := w.ScriptName
	if worker == "" {
		worker = w.Script
	}
	s, concurrency := w.Settings, 0
	if s.MaxConcurrency != nil {
		concurrency = *s.MaxConcurrency
	}
	return Consumer{w.ID, worker, w.DeadLetter, s.BatchSize, s.MaxRetries, s.MaxWait, s.RetryDelay, concurrency}
}

func (c Consumer) wire() wireConsumer {
	s := wireConsumerSettings{c.BatchSize, c.MaxRetries, c.MaxWait, c.RetryDelay, nil}
	if c.MaxConcurrency > 0 {
		s.MaxConcurrency = &c.MaxConcurrency
	}
	return wireConsumer{ScriptName: c.Worker, Type: "worker", DeadLetter: c.DeadLetter, Settings: s}
}

func (w wireQueue) queue() Queue {
	q := Queue{ID: w.ID, Name: w.Name, Retention: w.Settings.Retention, DeliveryDelay: w.Settings.DeliveryDelay, Paused: w.Settings.Paused}
	for _, c := range w.Consumers {
		if c.Type == "worker" {
			consumer := c.consumer()
			q.Consumer = &consumer
		}
	}
	return q
}

// Queues lists the account's queues with their consumers.
func (e *Edge) Queues(ctx context.Context) ([]Queue, error) {
	var p queues.QueueListParams
	p.AccountID.Value, p.AccountID.Present = e.account, true
	items, err := list[wireQueue](100, func(opts ...option.RequestOption) error {
		_, err := e.queues.List(ctx, p, opts...)
		return err
	})
	all := make([]Queue, len(items))
	for i, item := range items {
		all[i] = item.queue()
	}
	return all, naming(err, "list queues")
}

// CreateQueue makes a queue. The API takes only the name at first, so set what
// differs from its defaults with UpdateQueue.
func (e *Edge) CreateQueue(ctx context.Context, name string) (Queue, error) {
	var p queues.QueueNewParams
	p.AccountID.Value, p.AccountID.Present = e.account, true
	p.QueueName.Value, p.QueueName.Present = name, true
	q, err := create(ctx, e, creation[Queue]{unique: true,
		post: func() (Queue, error) {
			w, err := result[wireQueue](func(opts ...option.RequestOption) error {
				_, err := e.queues.New(ctx, p, opts...)
				return err
			})
			return w.queue(), err
		},
		find: func() (Queue, bool, error) {
			return findIn(e.Queues(ctx))(func(q Queue) bool { return q.Name == name })
		},
	})
	return q, naming(err, "create queue %s", name)
}

// UpdateQueue sets retention, delay and pause of a queue.
func (e *Edge) UpdateQueue(ctx context.Context, q Queue) error {
	var p queues.QueueEditParams
	p.AccountID.Value, p.AccountID.Present = e.account, true
	var w wireQueue
	w.Settings.DeliveryDelay, w.Settings.Paused, w.Settings.Retention = q.DeliveryDelay, q.Paused, q.Retention
	body, err := jsonBody(w)
	if err != nil {
		return err
	}
	err = discard(func(opts ...option.RequestOption) error {
		_, err := e.queues.Edit(ctx, q.ID, p, append(opts, body)...)
		return err
	})
	return naming(err, "update queue %s", q.Name)
}

// DeleteQueue removes a queue and every message in it.
func (e *Edge) DeleteQueue(ctx context.Context, q Queue) error {
	var p queues.QueueDeleteParams
	p.AccountID.Value, p.AccountID.Present = e.account, true
	err := discard(func(opts ...option.RequestOption) error {
		_, err := e.queues.Delete(ctx, q.ID, p, opts...)
		return err
	})
	return naming(removed(err), "delete queue %s", q.Name)
}

// SetConsumer makes c the consumer of a queue: it creates it where q has none
// and replaces its settings where it has one.
func (e *Edge) SetConsumer(ctx context.Context, q Queue, c Consumer) error {
	body, err := jsonBody(c.wire())
	if err != nil {
		return err
	}
	if q.Consumer != nil {
		err = discard(func(opts ...option.RequestOption) error {
			var p queues.ConsumerUpdateParams
			p.AccountID.Value, p.AccountID.Present = e.account, true
			_, err := e.queues.Consumers.Update(ctx, q.ID, q.Consumer.ID, p, append(opts, body)...)
			return err
		})
		return naming(err, "update the consumer of queue %s", q.Name)
	}
	_, err = create(ctx, e, creation[Consumer]{unique: true,
		post: func() (Consumer, error) {
			var p queues.ConsumerNewParams
			p.AccountID.Value, p.AccountID.Present = e.account, true
			w, err := result[wireConsumer](func(opts ...option.RequestOption) error {
				_, err := e.queues.Consumers.New(ctx, q.ID, p, append(opts, body)...)
				return err
			})
			return w.consumer(), err
		},
		find: func() (Consumer, bool, error) { return e.findConsumer(ctx, q, c.Worker) },
	})
	return naming(err, "create the consumer of queue %s", q.Name)
}

func (e *Edge) findConsumer(ctx context.Context, q Queue, worker string) (Consumer, bool, error) {
	var p queues.ConsumerListParams
	p.AccountID.Value, p.AccountID.Present = e.account, true
	items, err := list[wireConsumer](100, func(opts ...option.RequestOption) error {
		_, err := e.queues.Consumers.List(ctx, q.ID, p, opts...)
		return err
	})
	w, ok, err := findIn(items, err)(func(w wireConsumer) bool { return w.consumer().Worker == worker })
	return w.consumer(), ok, err
}

// DeleteConsumer takes the consumer off a queue; messages then wait.
func (e *Edge) DeleteConsumer(ctx context.Context, q Queue) error {
	if q.Consumer == nil {
		return nil
	}
	var p queues.ConsumerDeleteParams
	p.AccountID.Value, p.AccountID.Present = e.account, true
	err := discard(func(opts ...option.RequestOption) error {
		_, err := e.queues.Consumers.Delete(ctx, q.ID, q.Consumer.ID, p, opts...)
		return err
	})
	return naming(removed(err), "delete the consumer of queue %s", q.Name)
}
