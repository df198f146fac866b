// Package waf is the part of the edge plane that is the web application firewall: the rules of the site in each phase
// of a zone, as objects of a plan. They are ours by the mark in their description; rules of others stay where they
// are, before ours. Only the zones of the site's web names are read: a rule names its host, so that one which is left
// in another zone matches nothing.
package waf

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"

	"github.com/mailplan/mailplan/compiler/apply/edge"
	"github.com/mailplan/mailplan/compiler/emit/cloudflare"
	"github.com/mailplan/mailplan/compiler/plan"
)

// Kind of the objects.
const Kind = "firewall rule"

// Plane holds the rules that a site wants. Zones are those that are read.
type Plane struct {
	Site  string
	Want  []cloudflare.Ruleset
	Zones []string
	Edge  *edge.Edge
}

// sets are the wanted rules of every phase that is read; of most there are none.
func (p *Plane) sets() []cloudflare.Ruleset {
	var out []cloudflare.Ruleset
	for _, zone := range p.Zones {
		for _, phase := range []string{cloudflare.PhaseCustom, cloudflare.PhaseRateLimit, cloudflare.PhaseManaged} {
			set := cloudflare.Ruleset{Zone: zone, Phase: phase}
			for _, w := range p.Want {
				if w.Zone == zone && w.Phase == phase {
					set = w
				}
			}
			out = append(out, set)
		}
	}
	return out
}

// value is what is compared. The position is that among the site's own rules of the phase.
type value struct {
	Zone     string       `json:"zone"`
	Phase    string       `json:"phase"`
	Position int          `json:"position"`
	Rule     edge.WAFRule `json:"rule"`
}

// Name is the plane's.
func (p *Plane) Name() plan.Plane { return plan.Edge }

// Kinds are what it knows of the plane.
func (p *Plane) Kinds() []string { return []string{Kind} }

// Desired lists the rules by zone, phase and position.
func (p *Plane) Desired(context.Context) ([]plan.Object, error) {
	var objects []plan.Object
	for _, set := range p.Want {
		for i, r := range rules(set) {
			o := object(value{set.Zone, set.Phase, i, r})
			o.From, o.Sole = set.Rules[i].From, true
			objects = append(objects, o)
		}
	}
	return objects, nil
}

// rules spells a ruleset as the API wants it.
func rules(set cloudflare.Ruleset) []edge.WAFRule {
	out := make([]edge.WAFRule, len(set.Rules))
	for i, r := range set.Rules {
		w := edge.WAFRule{Ref: r.Ref, Description: r.Description, Action: r.Action, Expression: r.Expression, Enabled: true}
		switch {
		case len(r.SkipPhases) > 0:
			w.Parameters = map[string]any{"phases": r.SkipPhases}
		case r.Ruleset != "":
			w.Parameters = map[string]any{"id": r.Ruleset}
		}
		if l := r.RateLimit; l != nil {
			w.RateLimit = &edge.RateLimit{Characteristics: l.Characteristics, Period: l.Period, Requests: l.Requests, MitigationTimeout: l.MitigationTimeout}
		}
		out[i] = w
	}
	return out
}

func object(v value) plan.Object {
	return plan.Object{Plane: plan.Edge, Kind: Kind, ID: v.Zone + " " + v.Rule.Ref, Value: plan.Encode(v), Phase: plan.Publish,
		Show: v.Rule.Action + " " + v.Rule.Expression}
}

// Live reads every phase of the zones.
func (p *Plane) Live(ctx context.Context) ([]plan.Object, error) {
	var objects []plan.Object
	for _, set := range p.sets() {
		live, err := p.read(ctx, set)
		if err != nil {
			return nil, err
		}
		position := 0
		for _, r := range live {
			o := object(value{set.Zone, set.Phase, position, r})
			o.Foreign = edge.Owner(r.Description) != p.Site
			if !o.Foreign {
				position++
			}
			if !o.Foreign || slices.ContainsFunc(set.Rules, func(w cloudflare.FirewallRule) bool { return w.Ref == r.Ref }) {
				objects = append(objects, o)
			}
		}
	}
	return objects, nil
}

func (p *Plane) zone(ctx context.Context, name string) (edge.Zone, error) {
	zones, err := p.Edge.Zones(ctx, []string{name})
	if err != nil {
		return edge.Zone{}, err
	}
	return zones[0], nil
}

func (p *Plane) read(ctx context.Context, set cloudflare.Ruleset) ([]edge.WAFRule, error) {
	z, err := p.zone(ctx, set.Zone)
	if err != nil {
		return nil, err
	}
	return p.Edge.WAFRules(ctx, z, edge.Phase(set.Phase))
}

// Apply writes each phase that a change touches, once: the provider takes the whole list only.
func (p *Plane) Apply(ctx context.Context, changes []plan.Change) error {
	for _, set := range p.sets() {
		if !slices.ContainsFunc(changes, func(c plan.Change) bool { return touches(c, set) }) {
			continue
		}
		settled, err := p.settled(ctx, set)
		if err != nil {
			return err
		}
		if settled {
			continue
		}
		z, err := p.zone(ctx, set.Zone)
		if err != nil {
			return err
		}
		if err := p.Edge.SetWAFRules(ctx, z, edge.Phase(set.Phase), p.Site, rules(set)); err != nil {
			return err
		}
	}
	return nil
}

func touches(c plan.Change, set cloudflare.Ruleset) bool {
	data := c.New
	if c.Verb == plan.Delete {
		data = c.Old
	}
	var v value
	return json.Unmarshal(data, &v) == nil && v.Zone == set.Zone && v.Phase == set.Phase
}

// settled says that our rules of the phase are what the site wants already, as after the run before did them too.
func (p *Plane) settled(ctx context.Context, set cloudflare.Ruleset) (bool, error) {
	live, err := p.read(ctx, set)
	if err != nil {
		return false, err
	}
	live = slices.DeleteFunc(live, func(r edge.WAFRule) bool { return edge.Owner(r.Description) != p.Site })
	return slices.EqualFunc(live, rules(set), func(a, b edge.WAFRule) bool { return bytes.Equal(plan.Encode(a), plan.Encode(b)) }), nil
}
