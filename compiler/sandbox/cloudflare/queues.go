package cloudflare

import (
	"encoding/json"
	"regexp"
	"slices"
	"time"
)

// queue is one queue with its consumers.
type queue struct {
	ID        string        `json:"id"`
	Name      string        `json:"name"`
	Settings  queueSettings `json:"settings"`
	Consumers []consumer    `json:"consumers"`
	Created   time.Time     `json:"created"`
	Modified  time.Time     `json:"modified"`

	Messages []json.RawMessage `json:"messages,omitempty"`
}

type queueSettings struct {
	DeliveryDelay  float64 `json:"delivery_delay"`
	DeliveryPaused bool    `json:"delivery_paused"`
	Retention      float64 `json:"message_retention_period"`
}

// consumer is a push consumer: a Worker.
type consumer struct {
	ID         string           `json:"consumer_id"`
	Script     string           `json:"script"`
	Type       string           `json:"type"`
	DeadLetter string           `json:"dead_letter_queue"`
	Settings   consumerSettings `json:"settings"`
	Created    time.Time        `json:"created_on"`
}

type consumerSettings struct {
	BatchSize      *float64 `json:"batch_size"`
	MaxRetries     *float64 `json:"max_retries"`
	MaxWait        *float64 `json:"max_wait_time_ms"`
	MaxConcurrency *float64 `json:"max_concurrency"`
	RetryDelay     *float64 `json:"retry_delay"`
}

const usualRetention = 4 * 24 * 3600 // seconds

var queueName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

func (a *account) queueNamed(name string) *queue {
	i := slices.IndexFunc(a.Queues, func(q queue) bool { return q.Name == name })
	if i < 0 {
		return nil
	}
	return &a.Queues[i]
}

// view is the queue as the API shows it, with its consumers and producers.
func (q *queue) view(a *account) map[string]any {
	consumers, producers := []map[string]any{}, []map[string]any{}
	for _, c := range q.Consumers {
		consumers = append(consumers, c.view(q))
	}
	for _, s := range a.Scripts {
		for _, b := range s.Meta.Bindings {
			if b.text("type") == "queue" && b.text("queue_name") == q.Name {
				producers = append(producers, map[string]any{"type": "worker", "script": s.Name})
			}
		}
	}
	return map[string]any{
		"queue_id": q.ID, "queue_name": q.Name, "settings": q.Settings,
		"created_on": q.Created, "modified_on": q.Modified,
		"consumers": consumers, "consumers_total_count": len(consumers),
		"producers": producers, "producers_total_count": len(producers),
	}
}

// view answers with "script", where requests say "script_name".
func (c consumer) view(q *queue) map[string]any {
	return map[string]any{
		"consumer_id": c.ID, "script": c.Script, "type": c.Type, "dead_letter_queue": c.DeadLetter,
		"settings": c.Settings, "created_on": c.Created, "queue_name": q.Name, "queue_id": q.ID,
	}
}

func (c *call) pathQueue(edit bool) (*account, *queue, error) {
	a, err := c.ownAccount(edit)
	if err != nil {
		return nil, nil, err
	}
	i := slices.IndexFunc(a.Queues, func(q queue) bool { return q.ID == c.r.PathValue("queue") })
	if i < 0 {
		return nil, nil, notFound(11002, "Queue not found.")
	}
	return a, &a.Queues[i], nil
}

func listQueues(c *call) (any, error) {
	a, err := c.ownAccount(false)
	if err != nil {
		return nil, err
	}
	views := []map[string]any{}
	for i := range a.Queues {
		views = append(views, a.Queues[i].view(a))
	}
	return listed(views, 1, 100, 100), nil
}

func getQueue(c *call) (any, error) {
	a, q, err := c.pathQueue(false)
	if err != nil {
		return nil, err
	}
	return q.view(a), nil
}

func createQueue(c *call) (any, error) {
	a, err := c.ownAccount(true)
	if err != nil {
		return nil, err
	}
	var in struct {
		Name string `json:"queue_name"`
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	if err := a.addQueue(in.Name, c.s.now()); err != nil {
		return nil, err
	}
	return a.queueNamed(in.Name).view(a), nil
}

func (a *account) addQueue(name string, now time.Time) error {
	if !queueName.MatchString(name) {
		return refuse(11003, "Queue name is invalid: %q", name)
	}
	if a.queueNamed(name) != nil {
		return conflict(11009, "Queue name '%s' is already taken. Please use a different name and try again.", name)
	}
	q := queue{ID: newID(), Name: name, Created: now, Modified: now, Consumers: []consumer{}}
	q.Settings.Retention = usualRetention
	a.Queues = append(a.Queues, q)
	return nil
}

func editQueue(c *call) (any, error) {
	a, q, err := c.pathQueue(true)
	if err != nil {
		return nil, err
	}
	var in struct {
		Name     *string `json:"queue_name"`
		Settings struct {
			Delay     *float64 `json:"delivery_delay"`
			Paused    *bool    `json:"delivery_paused"`
			Retention *float64 `json:"message_retention_period"`
		} `json:"settings"`
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	if in.Name != nil && *in.Name != q.Name {
		return nil, refuse(11003, "A queue can't be renamed.")
	}
	for _, check := range []struct {
		v           *float64
		least, most float64
		name        string
	}{{in.Settings.Delay, 0, 43200, "delivery_delay"}, {in.Settings.Retention, 60, 1209600, "message_retention_period"}} {
		if err := within(check.v, check.least, check.most, check.name); err != nil {
			return nil, err
		}
	}
	set(&q.Settings.DeliveryDelay, in.Settings.Delay)
	set(&q.Settings.DeliveryPaused, in.Settings.Paused)
	set(&q.Settings.Retention, in.Settings.Retention)
	q.Modified = c.s.now()
	return q.view(a), nil
}

func within(v *float64, least, most float64, name string) error {
	if v != nil && (*v < least || *v > most) {
		return refuse(11010, "%s must be from %g to %g", name, least, most)
	}
	return nil
}

func deleteQueue(c *call) (any, error) {
	a, q, err := c.pathQueue(true)
	if err != nil {
		return nil, err
	}
	id := q.ID
	a.Queues = slices.DeleteFunc(a.Queues, func(o queue) bool { return o.ID == id })
	return nil, nil
}

type consumerInput struct {
	Script     string           `json:"script_name"`
	Type       string           `json:"type"`
	DeadLetter string           `json:"dead_letter_queue"`
	Settings   consumerSettings `json:"settings"`
}

// consumerFrom validates a consumer; a dead letter queue is made if absent.
func (c *call) consumerFrom(a *account) (consumer, error) {
	var in consumerInput
	if err := c.decode(&in); err != nil {
		return consumer{}, err
	}
	s := a.script(in.Script)
	switch {
	case in.Type != "worker":
		return consumer{}, refuse(11005, "Consumer type %q is not supported here", in.Type)
	case s == nil:
		return consumer{}, refuse(10007, "This Worker does not exist on your account.")
	case !slices.Contains(s.Handlers, "queue"):
		return consumer{}, refuse(11001, "Queue handler is missing.")
	}
	for _, check := range []struct {
		v           *float64
		least, most float64
		name        string
	}{
		{in.Settings.BatchSize, 1, 100, "batch_size"}, {in.Settings.MaxRetries, 0, 100, "max_retries"},
		{in.Settings.MaxWait, 0, 60000, "max_wait_time_ms"}, {in.Settings.RetryDelay, 0, 43200, "retry_delay"},
		{in.Settings.MaxConcurrency, 1, 250, "max_concurrency"},
	} {
		if err := within(check.v, check.least, check.most, check.name); err != nil {
			return consumer{}, err
		}
	}
	if in.DeadLetter != "" && a.queueNamed(in.DeadLetter) == nil {
		if err := a.addQueue(in.DeadLetter, c.s.now()); err != nil {
			return consumer{}, err
		}
	}
	return consumer{ID: newID(), Script: in.Script, Type: in.Type, DeadLetter: in.DeadLetter, Settings: in.Settings, Created: c.s.now()}, nil
}

func listConsumers(c *call) (any, error) {
	_, q, err := c.pathQueue(false)
	if err != nil {
		return nil, err
	}
	views := []map[string]any{}
	for _, o := range q.Consumers {
		views = append(views, o.view(q))
	}
	return listed(views, 1, 100, 100), nil
}

func createConsumer(c *call) (any, error) {
	a, q, err := c.pathQueue(true)
	if err != nil {
		return nil, err
	}
	if len(q.Consumers) > 0 {
		return nil, conflict(11004, "Queue '%s' already has a consumer.", q.Name)
	}
	id := q.ID
	made, err := c.consumerFrom(a)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(a.Queues, func(o queue) bool { return o.ID == id })
	a.Queues[i].Consumers = append(a.Queues[i].Consumers, made)
	return made.view(&a.Queues[i]), nil
}

func putConsumer(c *call) (any, error) {
	a, q, err := c.pathQueue(true)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(q.Consumers, func(o consumer) bool { return o.ID == c.r.PathValue("id") })
	if i < 0 {
		return nil, notFound(11006, "Consumer not found.")
	}
	old, consumers := q.Consumers[i], q.Consumers
	made, err := c.consumerFrom(a)
	if err != nil {
		return nil, err
	}
	made.ID, made.Created = old.ID, old.Created
	consumers[i] = made
	return made.view(q), nil
}

func deleteConsumer(c *call) (any, error) {
	_, q, err := c.pathQueue(true)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(q.Consumers, func(o consumer) bool { return o.ID == c.r.PathValue("id") })
	if i < 0 {
		return nil, notFound(11006, "Consumer not found.")
	}
	q.Consumers = slices.Delete(q.Consumers, i, i+1)
	return nil, nil
}
