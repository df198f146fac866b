// Package routing is the part of the edge plane that is Email Routing: where it is on, and the rules that lead mail to
// the Worker, as objects of a plan. Rules and the catch-all are ours by the mark in their name; those of others stay,
// and one for an address that the site wants is a conflict. The Email Routing of a domain that the site declares is the
// site's unless rules of others use it; that of a name the site no longer declares only if we left our mark there.
//
// A zone is read in two calls, for its settings and its rules; where Email Routing is on, its MX records say.
package routing

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/mailplan/mailplan/compiler/apply/edge"
	"github.com/mailplan/mailplan/compiler/emit/cloudflare"
	"github.com/mailplan/mailplan/compiler/plan"
)

// Kinds of the objects.
const (
	Kind           = "email routing"
	KindSubaddress = "subaddressing"
	KindCatchAll   = "catch-all"
	KindRule       = "routing rule"
)

const (
	readers    = 8 // zones read at the same time
	exchangers = 3 // MX records that Email Routing keeps at a name
	mxSuffix   = ".mx.cloudflare.net"
	toWorker   = "worker"
	drop       = "drop"
)

// Plane holds the Email Routing of a site's zones. Domains are all that the site declares. Records are those of the
// zones; SettleSPF makes the declared SPF record of a domain the only one there.
type Plane struct {
	Site      string
	Want      []cloudflare.Zone
	Domains   []string
	Past      []string // domains that were declared at the last apply and are not any more
	Edge      *edge.Edge
	Records   func(ctx context.Context) ([]edge.Record, error)
	SettleSPF func(ctx context.Context, domain string) error
	Worker    func(name string) string // reference of a script

	made []edge.Rule
}

type routingValue struct {
	Zone string `json:"zone"`
	MX   int    `json:"mx"` // records of Email Routing at the name
}

type subaddressValue struct {
	On bool `json:"on"`
}

// ruleValue is of a rule or, without an address, of the catch-all.
type ruleValue struct {
	Zone    string `json:"zone"`
	Name    string `json:"name"`
	Address string `json:"address,omitempty"`
	Action  string `json:"action"`
	Target  string `json:"target,omitempty"`
	Enabled bool   `json:"enabled"`
}

// Name is the plane's.
func (p *Plane) Name() plan.Plane { return plan.Edge }

// Kinds are what it knows of the plane.
func (p *Plane) Kinds() []string { return []string{Kind, KindSubaddress, KindCatchAll, KindRule} }

func ref(kind, id string) string { return plan.Object{Plane: plan.Edge, Kind: kind, ID: id}.Ref() }

// Desired lists what each zone wants.
func (p *Plane) Desired(context.Context) ([]plan.Object, error) {
	var objects []plan.Object
	for _, z := range p.Want {
		if z.Routing.Enabled {
			objects = append(objects, p.wanted(z)...)
		}
	}
	return objects, nil
}

func (p *Plane) wanted(z cloudflare.Zone) []plan.Object {
	r := z.Routing
	var objects []plan.Object
	add := func(o plan.Object, from string, needs ...string) {
		o.From, o.Sole, o.Needs = from, true, needs
		objects = append(objects, o)
	}
	apex := ref(Kind, z.Name)
	if c := r.CatchAll; c != nil { // before the door opens: mail that finds no rule bounces
		add(ruleObject(ruleOf(z.Name, *c)), c.From, p.Worker(c.Worker))
	}
	if r.Apex {
		add(routingObject(z.Name, routingValue{z.Name, exchangers}), r.From, ref(KindCatchAll, z.Name))
	}
	for _, name := range r.Subdomains {
		add(routingObject(name, routingValue{z.Name, exchangers}), r.From, apex)
	}
	add(subaddressObject(z.Name, r.Subaddress), r.From, apex)
	for _, w := range r.Rules {
		_, domain, _ := strings.Cut(w.To, "@")
		add(ruleObject(ruleOf(z.Name, w)), w.From, ref(Kind, domain), p.Worker(w.Worker))
	}
	return objects
}

func ruleOf(zone string, r cloudflare.Rule) ruleValue {
	return ruleValue{Zone: zone, Name: r.Name, Address: r.To, Action: toWorker, Target: r.Worker, Enabled: true}
}

func routingObject(domain string, v routingValue) plan.Object {
	show := "on"
	if v.MX != exchangers {
		show = fmt.Sprintf("%d of %d MX records", v.MX, exchangers)
	}
	return plan.Object{Plane: plan.Edge, Kind: Kind, ID: domain, Value: plan.Encode(v), Show: show, Phase: plan.Route, Effects: []string{plan.EffectMX(domain)}}
}

func subaddressObject(zone string, on bool) plan.Object {
	show := "off"
	if on {
		show = "on"
	}
	return plan.Object{Plane: plan.Edge, Kind: KindSubaddress, ID: zone, Value: plan.Encode(subaddressValue{on}), Show: show, Phase: plan.Route}
}

func ruleObject(v ruleValue) plan.Object {
	o := plan.Object{Plane: plan.Edge, Kind: KindRule, ID: v.Address, Value: plan.Encode(v), Phase: plan.Route, Show: strings.TrimSpace(v.Action + " " + v.Target)}
	if v.Address == "" {
		o.Kind, o.ID = KindCatchAll, v.Zone
	}
	if !v.Enabled {
		o.Show += ", switched off"
	}
	return o
}

// zoneState is what lives in one zone.
type zoneState struct {
	want     cloudflare.Zone
	settings edge.Routing
	rules    []edge.Rule    // the catch-all is last
	mx       map[string]int // Email Routing's MX records by name
	other    map[string]string
	marked   map[string]bool // names whose SPF record is ours
}

// Live reads the zones, several at the same time.
func (p *Plane) Live(ctx context.Context) ([]plan.Object, error) {
	records, err := p.Records(ctx)
	if err != nil {
		return nil, err
	}
	zones, err := p.zones(ctx)
	if err != nil {
		return nil, err
	}
	parts := make([][]plan.Object, len(zones))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(readers)
	for i, w := range zones {
		g.Go(func() error {
			s, err := p.read(ctx, w)
			if err == nil {
				s.see(records, p.Site)
				parts[i] = p.live(s)
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return slices.Concat(parts...), nil
}

// zones are the wanted ones and those of past domains, of which nothing is wanted.
func (p *Plane) zones(ctx context.Context) ([]cloudflare.Zone, error) {
	past, err := p.Edge.Holding(ctx, p.Past)
	zones := slices.Clone(p.Want)
	for _, z := range past {
		if !slices.ContainsFunc(zones, func(w cloudflare.Zone) bool { return w.Name == z.Name }) {
			zones = append(zones, cloudflare.Zone{Name: z.Name})
		}
	}
	return zones, err
}

func (p *Plane) read(ctx context.Context, w cloudflare.Zone) (zoneState, error) {
	s := zoneState{want: w, mx: map[string]int{}, other: map[string]string{}, marked: map[string]bool{}}
	zones, err := p.Edge.Zones(ctx, []string{w.Name})
	if err != nil {
		return s, err
	}
	if s.settings, err = p.Edge.Routing(ctx, zones[0]); err != nil {
		return s, err
	}
	s.rules, err = p.Edge.Rules(ctx, zones[0])
	return s, err
}

// see sorts out what the zone's records say of its Email Routing.
func (s *zoneState) see(records []edge.Record, site string) {
	for _, r := range records {
		ours := edge.Owner(r.Comment) == site
		switch {
		case r.Zone != s.want.Name:
		case r.Type == "MX" && strings.HasSuffix(r.Content, mxSuffix):
			s.mx[r.Name]++
		case r.Type == "MX" && !ours:
			s.other[r.Name] = r.Content
		case r.Type == "TXT" && ours && strings.HasPrefix(r.Content, "v=spf1"):
			s.marked[r.Name] = true
		}
	}
}

// live are the zone's objects. Those that bar the way to a wanted one are foreign.
func (p *Plane) live(s zoneState) []plan.Object {
	objects := []plan.Object{}
	for _, name := range s.names() {
		if o, ok := p.liveRouting(s, name); ok {
			objects = append(objects, o)
		}
	}
	if s.want.Routing.Enabled {
		objects = append(objects, subaddressObject(s.want.Name, s.settings.Subaddressing))
	}
	for _, r := range s.rules {
		if o, ok := p.liveRule(s, r); ok {
			objects = append(objects, o)
		}
	}
	return objects
}

// names are those that route mail, or are to.
func (s zoneState) names() []string {
	names := slices.Clone(s.want.Routing.Subdomains)
	if s.want.Routing.Apex {
		names = append(names, s.want.Name)
	}
	for name := range s.mx {
		names = append(names, name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func (p *Plane) liveRouting(s zoneState, name string) (plan.Object, bool) {
	o := routingObject(name, routingValue{s.want.Name, s.mx[name]})
	foreign, ours := p.rulesAt(s, name)
	needs := func(kind, id string) { o.Needs = append(o.Needs, ref(kind, id)) }
	for _, r := range s.rules { // a door is shut before its rules go
		if r.CatchAll() {
			needs(KindCatchAll, s.want.Name)
		} else {
			needs(KindRule, r.Address)
		}
	}
	switch {
	case s.settings.Enabled && s.mx[name] > 0:
		wanted := slices.Contains(s.want.Routing.Subdomains, name) || name == s.want.Name && s.want.Routing.Apex
		o.Foreign = !wanted && (foreign || !ours && !s.marked[name] && !slices.Contains(p.Domains, name) && !slices.Contains(p.Past, name) || name == s.want.Name && s.want.Routing.Enabled)
		return o, true
	case s.other[name] != "":
		o.Foreign, o.Show = true, "MX "+s.other[name]
		return o, true
	case name != s.want.Name && !s.settings.Enabled && !s.want.Routing.Apex:
		o.Foreign, o.Show = true, "off in "+s.want.Name+", which the site does not declare"
		return o, true
	}
	return plan.Object{}, false
}

// rulesAt says whether others, or we, lead the mail of a name somewhere.
func (p *Plane) rulesAt(s zoneState, name string) (foreign, ours bool) {
	for _, r := range s.rules {
		if r.CatchAll() && name != s.want.Name || !r.CatchAll() && !strings.HasSuffix(r.Address, "@"+name) {
			continue
		}
		if p.ours(r) {
			ours = true
		} else if r.Enabled {
			foreign = true
		}
	}
	return foreign, ours
}

// ours is by the mark. Rules of source wrangler are another tool's, which takes them over as it likes.
func (p *Plane) ours(r edge.Rule) bool { return edge.Owner(r.Name) == p.Site && r.Source != "wrangler" }

// liveRule leaves out what others have where the site wants nothing, and a catch-all that does nothing.
func (p *Plane) liveRule(s zoneState, r edge.Rule) (plan.Object, bool) {
	o := ruleObject(ruleValue{s.want.Name, r.Name, r.Address, r.Action, r.Target, r.Enabled})
	o.Handle, o.Foreign = r.ID, !p.ours(r)
	if !o.Foreign {
		return o, true
	}
	return o, r.Enabled && p.wants(s.want, r)
}

func (p *Plane) wants(z cloudflare.Zone, r edge.Rule) bool {
	if r.CatchAll() {
		return z.Routing.CatchAll != nil
	}
	return slices.ContainsFunc(z.Routing.Rules, func(w cloudflare.Rule) bool { return w.To == r.Address })
}
