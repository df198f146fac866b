// Package access is the part of the edge plane that is Zero Trust Access: service tokens, reusable policies and the
// applications that use them, as objects of a plan. Tokens and policies are ours by the mark that begins their name; so
// are applications, but they are known by what they guard, since the provider has one application for a place.
//
// The secret of a token is shown once. Nobody keeps it here: the Worker that needs it asks for a new one.
package access

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mailplan/mailplan/compiler/apply/edge"
	"github.com/mailplan/mailplan/compiler/emit/cloudflare"
	"github.com/mailplan/mailplan/compiler/plan"
)

// Kinds of the objects.
const (
	KindToken  = "service token"
	KindPolicy = "access policy"
	KindApp    = "access application"
)

// Plane holds what a site wants of Access. It keeps what it last read and what it made since, for reads may lag.
type Plane struct {
	Site string // whose mark counts
	Want cloudflare.Access
	Edge *edge.Edge
	// Worker is the reference of the script that carries the tokens: what only tokens open is closed after it has them.
	Worker string
	// Now is the clock; nil means time.Now.
	Now func() time.Time

	known account
}

// ahead is how long before its end a token is renewed: some cycles of whoever applies on a schedule.
const ahead = 30 * 24 * time.Hour

// due says that a token's secret ends before long, or has ended.
func (p *Plane) due(t edge.ServiceToken) bool {
	now := time.Now
	if p.Now != nil {
		now = p.Now
	}
	return !t.Expires.IsZero() && t.Expires.Before(now().Add(ahead))
}

// account is what the provider holds.
type account struct {
	read     bool
	tokens   []edge.ServiceToken
	policies []edge.AccessPolicy
	apps     []edge.App
}

type tokenValue struct {
	Duration string `json:"duration"`
	Due      bool   `json:"due,omitempty"` // its secret ends before long
}

type policyValue struct {
	Decision string   `json:"decision"`
	Include  []string `json:"include"`
	Require  []string `json:"require,omitempty"`
	Exclude  []string `json:"exclude,omitempty"`
}

type appValue struct {
	Name            string   `json:"name"`
	Domain          string   `json:"domain"`
	Policies        []string `json:"policies"`
	Session         string   `json:"session"`
	Unauthorized401 bool     `json:"unauthorized401,omitempty"`
	Launcher        bool     `json:"launcher,omitempty"`
}

// usualSession is the provider's, for applications that people don't use.
const usualSession = "24h"

// Name is the plane's.
func (p *Plane) Name() plan.Plane { return plan.Edge }

// Kinds are what it knows of the plane.
func (p *Plane) Kinds() []string { return []string{KindToken, KindPolicy, KindApp} }

// TokenRef names a service token as something that others need.
func TokenRef(name string) string { return ref(KindToken, name) }

func ref(kind, id string) string { return plan.Object{Plane: plan.Edge, Kind: kind, ID: id}.Ref() }

// Desired lists tokens, then policies, then applications.
func (p *Plane) Desired(context.Context) ([]plan.Object, error) {
	var objects []plan.Object
	for _, t := range p.Want.ServiceTokens {
		objects = append(objects, tokenObject(t.Name, tokenValue{Duration: fmt.Sprintf("%dh", t.Hours)}, t.From))
	}
	machines := map[string]bool{}
	for _, w := range p.Want.Policies {
		machines[w.Name] = len(w.ServiceTokens) > 0
		objects = append(objects, policyObject(w.Name, wantedPolicy(w), w.From))
	}
	for _, a := range p.Want.Applications {
		o := appObject(wantedApp(a), a.From)
		o.Sole = true
		if machines[a.Policy] {
			o.Phase, o.Needs = plan.Switch, append(o.Needs, p.Worker)
		}
		objects = append(objects, o)
	}
	return objects, nil
}

func wantedPolicy(w cloudflare.Policy) policyValue {
	v := policyValue{Decision: w.Decision, Include: []string{}}
	for kind, values := range map[string][]string{"email": w.Emails, "email_domain": w.EmailDomains, "service_token": w.ServiceTokens} {
		for _, value := range values {
			v.Include = append(v.Include, kind+" "+value)
		}
	}
	slices.Sort(v.Include)
	return v
}

func wantedApp(a cloudflare.Application) appValue {
	v := appValue{Name: a.Name, Domain: a.Domain, Policies: []string{a.Policy}, Session: usualSession, Unauthorized401: a.ServiceAuth401}
	if a.SessionHours > 0 {
		v.Session = fmt.Sprintf("%dh", a.SessionHours)
	}
	return v
}

func tokenObject(name string, v tokenValue, from string) plan.Object {
	show := "for " + v.Duration
	if v.Due {
		show = "about to end"
	}
	return plan.Object{Plane: plan.Edge, Kind: KindToken, ID: name, Value: plan.Encode(v), Show: show, From: from, Phase: plan.Publish}
}

func policyObject(name string, v policyValue, from string) plan.Object {
	o := plan.Object{Plane: plan.Edge, Kind: KindPolicy, ID: name, Value: plan.Encode(v), From: from, Phase: plan.Publish,
		Show: v.Decision + " " + strings.Join(v.Include, ", ")}
	for _, rule := range v.Include {
		if name, ok := strings.CutPrefix(rule, "service_token "); ok {
			o.Needs = append(o.Needs, TokenRef(name))
		}
	}
	return o
}

func appObject(v appValue, from string) plan.Object {
	o := plan.Object{Plane: plan.Edge, Kind: KindApp, ID: v.Domain, Value: plan.Encode(v), From: from, Phase: plan.Publish,
		Show: strings.Join(v.Policies, ", ") + ", session " + v.Session}
	for _, name := range v.Policies {
		o.Needs = append(o.Needs, ref(KindPolicy, name))
	}
	return o
}

// Token finds a service token by its name. It reads the account only if nothing did before.
func (p *Plane) Token(ctx context.Context, name string) (edge.ServiceToken, bool, error) {
	if !p.known.read {
		if err := p.read(ctx); err != nil {
			return edge.ServiceToken{}, false, err
		}
	}
	i := slices.IndexFunc(p.known.tokens, func(t edge.ServiceToken) bool { return t.Name == name })
	if i < 0 {
		return edge.ServiceToken{}, false, nil
	}
	return p.known.tokens[i], true, nil
}

// AppRef names the application of a host name as something that others need.
func AppRef(domain string) string { return ref(KindApp, domain) }

// Audience is the AUD tag of the application before a host name; ok is false while there is none. It reads the account only
// if nothing did before.
func (p *Plane) Audience(ctx context.Context, domain string) (tag string, ok bool, err error) {
	if !p.known.read {
		if err := p.read(ctx); err != nil {
			return "", false, err
		}
	}
	i := slices.IndexFunc(p.known.apps, func(a edge.App) bool { return a.Domain == domain })
	if i < 0 || p.known.apps[i].AUD == "" {
		return "", false, nil
	}
	return p.known.apps[i].AUD, true, nil
}

// read lists all of it in three calls.
func (p *Plane) read(ctx context.Context) (err error) {
	var a account
	if a.tokens, err = p.Edge.ServiceTokens(ctx); err != nil {
		return err
	}
	if a.policies, err = p.Edge.AccessPolicies(ctx); err != nil {
		return err
	}
	if a.apps, err = p.Edge.Apps(ctx); err != nil {
		return err
	}
	a.read = true
	p.known = a
	return nil
}

// Live lists what bears the site's mark, and what others put where the site wants something.
func (p *Plane) Live(ctx context.Context) ([]plan.Object, error) {
	if err := p.read(ctx); err != nil {
		return nil, err
	}
	var objects []plan.Object
	for _, t := range p.known.tokens {
		if edge.Owner(t.Name) == p.Site {
			objects = append(objects, handled(tokenObject(t.Name, tokenValue{t.Duration, p.due(t)}, ""), t.ID))
		}
	}
	for _, l := range p.known.policies {
		if edge.Owner(l.Name) == p.Site {
			objects = append(objects, handled(policyObject(l.Name, p.known.policy(l), ""), l.ID))
		}
	}
	for _, a := range p.known.apps {
		o := handled(appObject(p.known.app(a), ""), a.ID)
		o.Foreign = edge.Owner(a.Name) != p.Site
		if !o.Foreign || p.wants(a.Domain) {
			objects = append(objects, o)
		}
	}
	return objects, nil
}

func handled(o plan.Object, id string) plan.Object {
	o.Handle = id
	return o
}

func (p *Plane) wants(domain string) bool {
	return slices.ContainsFunc(p.Want.Applications, func(a cloudflare.Application) bool { return a.Domain == domain })
}

// policy spells a live one by names.
func (a account) policy(l edge.AccessPolicy) policyValue {
	return policyValue{l.Decision, a.rules(l.Include), a.rules(l.Require), a.rules(l.Exclude)}
}

func (a account) rules(live []edge.AccessRule) []string {
	out := []string{}
	for _, r := range live {
		if i := slices.IndexFunc(a.tokens, func(t edge.ServiceToken) bool { return t.ID == r.Value }); i >= 0 {
			r.Value = a.tokens[i].Name
		}
		out = append(out, strings.TrimSuffix(r.Kind+" "+r.Value, " "))
	}
	slices.Sort(out)
	return out
}

func (a account) app(l edge.App) appValue {
	v := appValue{Name: l.Name, Domain: l.Domain, Policies: []string{}, Session: l.SessionDuration, Unauthorized401: l.Unauthorized401, Launcher: l.Launcher}
	for _, id := range l.Policies {
		if i := slices.IndexFunc(a.policies, func(p edge.AccessPolicy) bool { return p.ID == id }); i >= 0 {
			id = a.policies[i].Name
		}
		v.Policies = append(v.Policies, id)
	}
	return v
}

// Apply makes the changes one by one, by names that it resolves in what the account holds.
func (p *Plane) Apply(ctx context.Context, changes []plan.Change) error {
	for _, c := range changes {
		if err := p.apply(ctx, c); err != nil {
			return err
		}
	}
	return nil
}

func (p *Plane) apply(ctx context.Context, c plan.Change) error {
	switch c.Kind {
	case KindToken:
		return p.applyToken(ctx, c)
	case KindPolicy:
		return p.applyPolicy(ctx, c)
	}
	return p.applyApp(ctx, c)
}

// decode reads the value of a change.
func decode[T any](c plan.Change) (v T, err error) {
	if err = json.Unmarshal(c.New, &v); err != nil {
		err = fmt.Errorf("change of %s: %w", c.ID, err)
	}
	return v, err
}
