// Package heal looks at the containers of one Docker Compose project and restarts those that are unhealthy, which Docker
// itself never does. It restarts the root of a fault only: a service whose dependencies are ill waits for them, and has
// time to find them again. It waits longer after each restart and gives up, loudly, where restarts do not help. It must
// not know what the services are.
package heal

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// Container is one of the project as the engine sees it.
type Container struct {
	ID      string
	Service string
	State   string   // running, exited, restarting, paused, created, dead
	Health  string   // healthy, unhealthy, starting; empty without a check
	Needs   []string // services that must be healthy for this one
}

// Engine is what is asked of Docker.
type Engine interface {
	Containers(ctx context.Context, project string) ([]Container, error)
	// Complaint is what the last failed check of a container said, in one line.
	Complaint(ctx context.Context, id string) (string, error)
	Restart(ctx context.Context, id string) error
}

// Settings say when to restart.
type Settings struct {
	Project string
	Every   time.Duration // between two looks
	Settle  time.Duration // a service must be ill for so long: an apply puts bad files back by itself meanwhile
	Rejoin  time.Duration // a service may take so long to find one it needs again, once that is well
	Pause   time.Duration // after the first restart; twice as long after each further one
	Hourly  int           // restarts of one service within an hour
}

// Healer is at work when Run is. Make it by New.
type Healer struct {
	Settings
	engine Engine
	log    *slog.Logger
	now    func() time.Time

	mu    sync.Mutex // guards what Collect reads
	seen  error      // of the last look
	cases map[string]*patient
	count map[string]int
}

// patient is what is remembered of a container.
type patient struct {
	service  string
	healthy  bool
	since    time.Time   // it is ill; zero when it is not
	restarts []time.Time // by us, within the last hour
	until    time.Time   // it is left alone
	givenUp  bool
}

// New makes a healer.
func New(s Settings, engine Engine, log *slog.Logger) *Healer {
	return &Healer{Settings: s, engine: engine, log: log, now: time.Now, cases: map[string]*patient{}, count: map[string]int{}}
}

// Run looks again and again until ctx ends.
func (h *Healer) Run(ctx context.Context) {
	tick := time.NewTicker(h.Every)
	defer tick.Stop()
	for {
		if err := h.Look(ctx); err != nil && ctx.Err() == nil {
			h.log.Error("the engine cannot be asked", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Look takes one look and does what it asks for.
func (h *Healer) Look(ctx context.Context) error {
	list, err := h.engine.Containers(ctx, h.Project)
	due := h.note(list, err)
	if err != nil {
		return err
	}
	for _, c := range due {
		h.restart(ctx, c)
	}
	return nil
}

// note remembers what was seen and returns what is to be restarted.
func (h *Healer) note(list []Container, err error) (due []Container) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.seen = err; err != nil {
		return nil
	}
	for id := range h.cases {
		if !slices.ContainsFunc(list, func(c Container) bool { return c.ID == id }) {
			delete(h.cases, id) // another container is another patient
		}
	}
	for _, c := range list {
		if h.due(c, list) {
			due = append(due, c)
		}
	}
	return due
}

// due brings what is remembered of a container up to date and says whether to restart it now.
func (h *Healer) due(c Container, all []Container) bool {
	p, now := h.cases[c.ID], h.now()
	if p == nil {
		p = &patient{service: c.Service}
		h.cases[c.ID] = p
	}
	p.healthy = c.well()
	p.restarts = slices.DeleteFunc(p.restarts, func(t time.Time) bool { return now.Sub(t) >= time.Hour })
	if len(p.restarts) < h.Hourly {
		p.givenUp = false
	}
	grounded := c.grounded(all)
	if again := now.Add(h.Rejoin); !grounded && again.After(p.until) {
		p.until = again
	}
	if c.State != "running" || c.Health != "unhealthy" || !grounded {
		p.since = time.Time{}
		return false
	}
	if p.since.IsZero() {
		p.since = now
	}
	if now.Sub(p.since) < h.Settle || now.Before(p.until) {
		return false
	}
	if len(p.restarts) >= h.Hourly {
		if !p.givenUp {
			h.log.Error("restarts do not help; it is left as it is for now", "service", c.Service, "restarts", len(p.restarts))
		}
		p.givenUp = true
		return false
	}
	return true
}

// restart restarts a container and says why.
func (h *Healer) restart(ctx context.Context, c Container) {
	said, err := h.engine.Complaint(ctx, c.ID)
	if err != nil {
		said = fmt.Sprintf("unknown: %v", err)
	}
	h.log.Warn("restart of an unhealthy service", "service", c.Service, "check", said)
	err = h.engine.Restart(ctx, c.ID)
	h.mu.Lock()
	defer h.mu.Unlock()
	p, now := h.cases[c.ID], h.now()
	p.until = now.Add(h.Pause << min(len(p.restarts), 10))
	p.restarts = append(p.restarts, now)
	p.since = time.Time{}
	h.count[c.Service]++
	if err != nil {
		h.log.Error("the restart failed", "service", c.Service, "error", err)
	}
}

// well says that a container does its work, as far as anybody can tell.
func (c Container) well() bool {
	return c.State == "running" && (c.Health == "healthy" || c.Health == "")
}

// grounded says that all services that a container needs are well, so that the fault must be its own.
func (c Container) grounded(all []Container) bool {
	return !slices.ContainsFunc(c.Needs, func(need string) bool {
		return !slices.ContainsFunc(all, func(o Container) bool { return o.Service == need && o.well() })
	})
}
