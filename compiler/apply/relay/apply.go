package relay

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/mailplan/mailplan/compiler/model"
	"github.com/mailplan/mailplan/compiler/plan"
)

// Apply makes the changes one by one; what an earlier run has done is found and left.
func (p *Plane) Apply(ctx context.Context, changes []plan.Change) error {
	found, err := p.find(ctx)
	if err != nil {
		return err
	}
	for _, c := range changes {
		i := slices.IndexFunc(p.domains(), func(d model.Domain) bool { return d.Name == c.ID })
		switch {
		case i < 0 || c.Verb == plan.Delete:
			return fmt.Errorf("%s %s: authentications at SendGrid are never removed by a plan", c.Kind, c.ID)
		case c.Kind == KindAuthentication:
			err = p.authenticate(ctx, found, p.domains()[i])
		default:
			err = p.validate(ctx, found, c.ID)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// authenticate makes the domain known, once, and holds SendGrid's names against the declared ones.
func (p *Plane) authenticate(ctx context.Context, found map[string]authentication, d model.Domain) error {
	if _, ok := found[d.Name]; !ok {
		subdomain := ""
		if d.RelayAuth != nil {
			subdomain = d.RelayAuth.ReturnPath.Label
		}
		a, err := p.Client.authenticate(ctx, d.Name, subdomain)
		if err != nil {
			if a, err = p.madeAnyway(ctx, d.Name, err); err != nil {
				return err
			}
		}
		found[d.Name] = a
	}
	if wants := found[d.Name].names(); d.RelayAuth != nil && !slices.Equal(wants, declared(d)) {
		return fmt.Errorf("SendGrid wants other names for %s than its relayAuth declares: write these there and apply again: %s", d.Name, show(wants))
	}
	return nil
}

// madeAnyway looks whether a request that seemed to fail had its effect.
func (p *Plane) madeAnyway(ctx context.Context, domain string, cause error) (authentication, error) {
	found, err := p.find(ctx)
	if err != nil {
		return authentication{}, cause
	}
	a, ok := found[domain]
	if !ok {
		return a, cause
	}
	return a, nil
}

// pauses lie between looks at names that resolvers may not have yet, a minute and a half in all.
var pauses = [...]time.Duration{2 * time.Second, 5 * time.Second, 15 * time.Second, 30 * time.Second, 40 * time.Second}

func (p *Plane) validate(ctx context.Context, found map[string]authentication, domain string) error {
	a, ok := found[domain]
	if !ok {
		return fmt.Errorf("%s is not authenticated at SendGrid any more: apply again", domain)
	}
	for _, pause := range pauses {
		v, err := p.Client.validate(ctx, a)
		if err == nil && v.Valid {
			return nil
		}
		if err != nil { // it may have been seen to nevertheless
			if now, e := p.find(ctx); e != nil || !now[domain].Valid {
				return err
			}
			return nil
		}
		if err := p.sleep(ctx, pause); err != nil {
			return err
		}
	}
	v, err := p.Client.validate(ctx, a)
	if err != nil || v.Valid {
		return err
	}
	return fmt.Errorf("SendGrid does not find the names of %s yet; DNS may take longer, apply again then: %s", domain, v.reasons())
}

func (v verdict) reasons() string {
	var out []string
	for _, what := range slices.Sorted(maps.Keys(v.Results)) {
		if r := v.Results[what]; !r.Valid {
			out = append(out, what+": "+r.Reason)
		}
	}
	return strings.Join(out, "; ")
}

func (p *Plane) sleep(ctx context.Context, d time.Duration) error {
	if p.Sleep != nil {
		return p.Sleep(ctx, d)
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
