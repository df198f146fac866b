package access

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/mailplan/mailplan/compiler/apply/edge"
	"github.com/mailplan/mailplan/compiler/plan"
)

// applyToken lets the secret of a new token go: whoever needs one asks for a new one.
func (p *Plane) applyToken(ctx context.Context, c plan.Change) error {
	live, there, err := p.Token(ctx, c.ID)
	switch {
	case err != nil:
		return err
	case c.Verb == plan.Delete && there:
		return p.Edge.DeleteServiceToken(ctx, live)
	case c.Verb == plan.Delete:
		return nil
	}
	v, err := decode[tokenValue](c)
	if err != nil {
		return err
	}
	if there {
		return p.renew(ctx, live, v)
	}
	made, _, err := p.Edge.CreateServiceToken(ctx, c.ID, v.Duration)
	if err == nil {
		p.known.tokens = append(p.known.tokens, made)
	}
	return err
}

// renew sets for how long a token is valid and begins that anew where it is about to end. Who has its secret keeps it.
func (p *Plane) renew(ctx context.Context, live edge.ServiceToken, v tokenValue) error {
	if live.Duration != v.Duration {
		if err := p.Edge.SetServiceTokenDuration(ctx, live, v.Duration); err != nil {
			return err
		}
	}
	if !p.due(live) {
		return nil
	}
	return p.Edge.RefreshServiceToken(ctx, live)
}

func (p *Plane) applyPolicy(ctx context.Context, c plan.Change) error {
	i := slices.IndexFunc(p.known.policies, func(l edge.AccessPolicy) bool { return l.Name == c.ID })
	if c.Verb == plan.Delete {
		if i < 0 {
			return nil
		}
		return p.Edge.DeleteAccessPolicy(ctx, p.known.policies[i])
	}
	v, err := decode[policyValue](c)
	if err != nil {
		return err
	}
	w := edge.AccessPolicy{Name: c.ID, Decision: v.Decision}
	if w.Include, err = p.resolve(ctx, v.Include); err != nil {
		return err
	}
	if i >= 0 {
		w.ID = p.known.policies[i].ID
		return p.Edge.UpdateAccessPolicy(ctx, w)
	}
	made, err := p.Edge.CreateAccessPolicy(ctx, w)
	if err == nil {
		p.known.policies = append(p.known.policies, made)
	}
	return err
}

// resolve spells rules as the provider wants them: tokens by their identifiers.
func (p *Plane) resolve(ctx context.Context, rules []string) ([]edge.AccessRule, error) {
	var out []edge.AccessRule
	for _, rule := range rules {
		kind, value, _ := strings.Cut(rule, " ")
		if kind == "service_token" {
			t, ok, err := p.Token(ctx, value)
			if err != nil {
				return nil, err
			}
			if !ok {
				return nil, fmt.Errorf("the service token %s does not exist", value)
			}
			value = t.ID
		}
		out = append(out, edge.AccessRule{Kind: kind, Value: value})
	}
	return out, nil
}

func (p *Plane) applyApp(ctx context.Context, c plan.Change) error {
	i := slices.IndexFunc(p.known.apps, func(a edge.App) bool { return a.Domain == c.ID })
	if c.Verb == plan.Delete {
		if i < 0 {
			return nil
		}
		return p.Edge.DeleteApp(ctx, p.known.apps[i])
	}
	v, err := decode[appValue](c)
	if err != nil {
		return err
	}
	w := edge.App{Name: v.Name, Domain: v.Domain, SessionDuration: v.Session, Unauthorized401: v.Unauthorized401, Launcher: v.Launcher}
	for _, name := range v.Policies {
		j := slices.IndexFunc(p.known.policies, func(l edge.AccessPolicy) bool { return l.Name == name })
		if j < 0 {
			return fmt.Errorf("access application %s: the policy %s does not exist", c.ID, name)
		}
		w.Policies = append(w.Policies, p.known.policies[j].ID)
	}
	if i >= 0 {
		w.ID = p.known.apps[i].ID
		return p.Edge.UpdateApp(ctx, w)
	}
	made, err := p.Edge.CreateApp(ctx, w)
	if err == nil {
		p.known.apps = append(p.known.apps, made)
	}
	return err
}
