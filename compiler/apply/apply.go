// Package apply brings the live planes to what a site declares: it asks every plane what is wanted and what lives,
// has plan compare them, and carries the plan out step by step under a journal. It knows no provider and no format;
// each plane below it (host, dns, edge) does.
package apply

import (
	"context"
	"fmt"

	"github.com/mailplan/mailplan/compiler/model"
	"github.com/mailplan/mailplan/compiler/plan"
)

// Plane is one place where the declared meets the live, or the part of it that has some kinds of objects. Desired and
// Live change nothing. Apply is called with runs of changes that Diff made of the two, each of one phase; it may be
// called again with a run that was done in part, and must then do only what is left.
type Plane interface {
	Name() plan.Plane
	Kinds() []string
	Desired(ctx context.Context) ([]plan.Object, error)
	Live(ctx context.Context) ([]plan.Object, error)
	Apply(ctx context.Context, changes []plan.Change) error
}

// Noter is a Plane that says what a change comes to: in a few words, such as a reload, the service that it stops, and the
// data that it puts at risk.
type Noter interface {
	Note(c *plan.Change)
}

// Request is what a plan is made of beside the planes.
type Request struct {
	Site     string
	Revision string // of the site, may be empty
	Tree     string // digest of the compiled tree
	Before   model.Accounts
	After    model.Accounts
}

// State is what planes say: what is wanted, and what is there.
type State struct{ Desired, Live []plan.Object }

// Read adds what a plane says.
func (s *State) Read(ctx context.Context, p Plane) error {
	desired, err := p.Desired(ctx)
	if err != nil {
		return err
	}
	live, err := p.Live(ctx)
	if err != nil {
		return err
	}
	s.Desired, s.Live = append(s.Desired, desired...), append(s.Live, live...)
	return nil
}

// Plan reads all planes and compares.
func Plan(ctx context.Context, r Request, planes []Plane) (plan.Plan, error) {
	var s State
	for _, p := range planes {
		if err := s.Read(ctx, p); err != nil {
			return plan.Plan{}, fmt.Errorf("%s: %w", p.Name(), err)
		}
	}
	return Compare(r, planes, s)
}

// Compare compares what all planes said, orders, and walks the order to see that no mail is lost on the way.
func Compare(r Request, planes []Plane, s State) (plan.Plan, error) {
	p, err := plan.New(r.Site, r.Revision, r.Tree, s.Live, s.Desired)
	if err != nil {
		return p, err
	}
	if err := note(p.Changes, planes); err != nil {
		return p, err
	}
	p.Headline = plan.NewHeadline(r.Before, r.After, p.Changes...)
	p.Refusals = p.Headline.Guard(r.Before, r.After)
	return p, p.Check(r.Before, r.After, s.Live, s.Desired)
}

// Progress is told before each run of changes: how many are done, how many there are, and the first of the run.
type Progress func(done, total int, next plan.Change)

// Run carries the plan out in its order. Neighbouring changes of one plane and phase go to it together, so that it
// can use its provider's batches. When the context ends it stops between two runs; the journal says how far it came.
func Run(ctx context.Context, p plan.Plan, planes []Plane, j *Journal, progress Progress) error {
	if len(p.Conflicts) > 0 {
		return fmt.Errorf("%d objects are in the way that mailplan did not make", len(p.Conflicts))
	}
	owner, err := owners(p.Changes, planes)
	if err != nil {
		return err
	}
	if err := j.begin(p); err != nil {
		return err
	}
	for start := 0; start < len(p.Changes); {
		target := owner[p.Changes[start].Ref()]
		end := run(p.Changes, start, func(c plan.Change) bool { return owner[c.Ref()] == target })
		progress(start, len(p.Changes), p.Changes[start])
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("stopped after %d of %d steps; run apply again to go on: %w", start, len(p.Changes), err)
		}
		if err := j.step(ctx, start, end, target, p.Changes[start:end]); err != nil {
			return err
		}
		start = end
	}
	return j.end()
}

// note lets the planes say what their changes come to.
func note(changes []plan.Change, planes []Plane) error {
	owner, err := owners(changes, planes)
	if err != nil {
		return err
	}
	for i, c := range changes {
		if n, ok := owner[c.Ref()].(Noter); ok {
			n.Note(&changes[i])
		}
	}
	return nil
}

// owners maps every change to who makes it, before the first is made.
func owners(changes []plan.Change, planes []Plane) (map[string]Plane, error) {
	type kind struct {
		plane plan.Plane
		kind  string
	}
	byKind := map[kind]Plane{}
	for _, pl := range planes {
		for _, k := range pl.Kinds() {
			byKind[kind{pl.Name(), k}] = pl
		}
	}
	owner := make(map[string]Plane, len(changes))
	for _, c := range changes {
		pl := byKind[kind{c.Plane, c.Kind}]
		if pl == nil {
			return nil, fmt.Errorf("the plan changes %s, and nothing here can change a %s", c.ID, c.Kind)
		}
		owner[c.Ref()] = pl
	}
	return owner, nil
}

// run finds the end of the changes that may go together.
func run(changes []plan.Change, start int, ours func(plan.Change) bool) int {
	first := changes[start]
	end := start + 1
	for end < len(changes) && ours(changes[end]) && changes[end].Phase == first.Phase && (changes[end].Verb == plan.Delete) == (first.Verb == plan.Delete) {
		end++
	}
	return end
}
