package containers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/mailplan/mailplan/compiler/plan"
)

// A test message after a change is tried so often: services that are healthy may still have connections to ones that are
// gone.
const (
	tries      = 3
	betweenTry = 5 * time.Second
)

// proven has a change of services that carry mail proven by a test message, and puts back what it changed when that does
// not arrive. When it did not arrive before either, the change is not to blame, and may be the cure.
func (p *Plane) proven(ctx context.Context, changes []plan.Change, run func() error) error {
	if p.Proof == nil || !slices.ContainsFunc(changes, carries) || p.Proof(ctx) != nil {
		return run()
	}
	if err := run(); err != nil {
		return err
	}
	err := p.prove(ctx)
	if err == nil || ctx.Err() != nil {
		return ctx.Err()
	}
	why := fmt.Errorf("the services are healthy, and yet %w", err)
	for _, c := range changes {
		if c.Verb == plan.Update {
			why = p.bringBack(ctx, c, why)
		}
	}
	if err := p.prove(ctx); err != nil {
		return errors.Join(why, errors.New("with what was put back, it does not arrive either"))
	}
	return why
}

// carries says whether a change is of a running service that inbound mail needs.
func carries(c plan.Change) bool { return c.Verb == plan.Update && manners[c.ID].carries }

func (p *Plane) prove(ctx context.Context) (err error) {
	for range tries {
		if err = p.Proof(ctx); err == nil || ctx.Err() != nil {
			return err
		}
		select {
		case <-ctx.Done():
		case <-time.After(betweenTry):
		}
	}
	return err
}
