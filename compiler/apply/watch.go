package apply

import (
	"context"
	"fmt"

	"github.com/mailplan/mailplan/compiler/plan"
)

// Finding is something that no plan mends and that somebody must see to in time: a key that runs out, a name that
// the site does not declare yet.
type Finding struct {
	Plane   plan.Plane `json:"plane"`
	ID      string     `json:"id"` // what it is about
	Message string     `json:"message"`
	From    string     `json:"from,omitempty"` // site path
}

// String is one line for people.
func (f Finding) String() string { return fmt.Sprintf("%s: %s: %s", f.Plane, f.ID, f.Message) }

// Watcher is a plane that sees such things. Watch changes nothing.
type Watcher interface {
	Watch(ctx context.Context) ([]Finding, error)
}

// Watch asks every plane that watches.
func Watch(ctx context.Context, planes []Plane) ([]Finding, error) {
	var all []Finding
	for _, p := range planes {
		w, ok := p.(Watcher)
		if !ok {
			continue
		}
		found, err := w.Watch(ctx)
		if err != nil {
			return all, fmt.Errorf("%s: %w", p.Name(), err)
		}
		all = append(all, found...)
	}
	return all, nil
}
