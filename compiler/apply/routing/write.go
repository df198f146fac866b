package routing

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/mailplan/mailplan/compiler/apply/edge"
	"github.com/mailplan/mailplan/compiler/plan"
)

// Apply makes the changes one by one, in their order.
func (p *Plane) Apply(ctx context.Context, changes []plan.Change) error {
	for _, c := range changes {
		var err error
		switch c.Kind {
		case Kind:
			err = p.applyRouting(ctx, c)
		case KindSubaddress:
			err = p.applySubaddress(ctx, c)
		default:
			err = p.applyRule(ctx, c)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// decode reads what a change makes, or what it takes away.
func decode[T any](c plan.Change) (v T, err error) {
	data := c.New
	if c.Verb == plan.Delete {
		data = c.Old
	}
	if err = json.Unmarshal(data, &v); err != nil {
		err = fmt.Errorf("change of %s: %w", c.ID, err)
	}
	return v, err
}

func (p *Plane) zone(ctx context.Context, name string) (edge.Zone, error) {
	zones, err := p.Edge.Zones(ctx, []string{name})
	if err != nil {
		return edge.Zone{}, err
	}
	return zones[0], nil
}

// applyRouting opens or shuts a domain's door. Email Routing may put its own SPF record in the place of ours when it
// is switched on, and takes its own away when it is switched off: so ours is settled after the one and before the other.
func (p *Plane) applyRouting(ctx context.Context, c plan.Change) error {
	v, err := decode[routingValue](c)
	if err != nil {
		return err
	}
	z, err := p.zone(ctx, v.Zone)
	if err != nil {
		return err
	}
	below := c.ID
	if below == z.Name {
		below = ""
	}
	if c.Verb != plan.Delete {
		if err := p.Edge.EnableRouting(ctx, z, below); err != nil {
			return err
		}
		return p.SettleSPF(ctx, c.ID)
	}
	if err := p.SettleSPF(ctx, c.ID); err != nil {
		return err
	}
	return p.Edge.DisableRouting(ctx, z, below)
}

func (p *Plane) applySubaddress(ctx context.Context, c plan.Change) error {
	v, err := decode[subaddressValue](c)
	if err != nil {
		return err
	}
	z, err := p.zone(ctx, c.ID)
	if err != nil {
		return err
	}
	return p.Edge.SetSubaddressing(ctx, z, v.On)
}

func (p *Plane) applyRule(ctx context.Context, c plan.Change) error {
	v, err := decode[ruleValue](c)
	if err != nil {
		return err
	}
	z, err := p.zone(ctx, v.Zone)
	if err != nil {
		return err
	}
	want := edge.Rule{Name: v.Name, Address: v.Address, Action: v.Action, Target: v.Target, Enabled: v.Enabled}
	switch {
	case c.Kind == KindCatchAll && c.Verb == plan.Delete: // it can't be deleted, only made to do nothing
		return p.Edge.UpdateRule(ctx, z, edge.Rule{Action: drop})
	case c.Kind == KindCatchAll:
		return p.Edge.UpdateRule(ctx, z, want)
	case c.Verb == plan.Delete:
		want.ID = c.Handle
		return p.Edge.DeleteRule(ctx, z, want)
	case c.Verb == plan.Update:
		want.ID = c.Handle
		return p.Edge.UpdateRule(ctx, z, want)
	}
	// It may be the second time that the run is told to be made.
	if slices.ContainsFunc(p.made, func(r edge.Rule) bool { return r.Address == v.Address }) {
		return nil
	}
	made, err := p.Edge.CreateRule(ctx, z, want)
	if err == nil {
		p.made = append(p.made, made)
	}
	return err
}
