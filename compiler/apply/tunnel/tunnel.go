// Package tunnel is the part of the edge plane that is the Cloudflare Tunnel: the tunnel itself and the host names it
// serves, as objects of a plan. A tunnel has no field for a mark: the one with the site's name for it is ours, with its
// whole ingress document. Of the others only that of the last apply is looked at: one that was renamed in the site goes when
// nothing leads to it any more.
package tunnel

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/mailplan/mailplan/compiler/apply/edge"
	"github.com/mailplan/mailplan/compiler/emit/cloudflare"
	"github.com/mailplan/mailplan/compiler/plan"
)

// Kinds of the objects.
const (
	Kind        = "tunnel"
	KindIngress = "ingress"
)

// rest stands for the host name of the rule that takes what no other does.
const rest = "*"

// Plane holds the tunnel that a site wants. It keeps what it last read and what it made since, for reads may lag.
type Plane struct {
	Want    cloudflare.Tunnel
	Was     string // name of the tunnel at the last apply
	Rotated string // day of its token at the last apply; empty where nobody wrote one down, as with a token of any age
	Edge    *edge.Edge

	known   bool
	tunnels []edge.Tunnel
	rules   []edge.Ingress // of the wanted one
	token   connector
}

// connector is what signs a connector in, and of which tunnel it is.
type connector struct{ tunnel, token string }

// ingress is what is compared and applied of one host name.
type ingress struct {
	Hostname string      `json:"hostname,omitempty"`
	Path     string      `json:"path,omitempty"`
	Service  string      `json:"service"`
	Origin   edge.Origin `json:"originRequest,omitzero"`
}

// Name is the plane's.
func (p *Plane) Name() plan.Plane { return plan.Edge }

// Kinds are what it knows of the plane.
func (p *Plane) Kinds() []string { return []string{Kind, KindIngress} }

// Ref names a tunnel of that name as something that others need.
func Ref(name string) string { return plan.Object{Plane: plan.Edge, Kind: Kind, ID: name}.Ref() }

// Desired is the tunnel and one object for each of its host names.
func (p *Plane) Desired(context.Context) ([]plan.Object, error) {
	objects := []plan.Object{tunnelObject(p.Want.Name, p.Want.Rotated, p.Want.From)}
	for _, r := range p.wanted() {
		o := ingressObject(r.ingress)
		o.From, o.Needs = r.from, []string{Ref(p.Want.Name)}
		objects = append(objects, o)
	}
	return objects, nil
}

type rule struct {
	ingress
	from string
}

func (p *Plane) wanted() []rule {
	rules := make([]rule, len(p.Want.Ingress))
	for i, w := range p.Want.Ingress {
		rules[i] = rule{ingress{Hostname: w.Hostname, Service: w.Service, Origin: edge.Origin{ConnectTimeout: w.ConnectTimeout}}, w.From}
	}
	return rules
}

func tunnelObject(name, rotated, from string) plan.Object {
	o := plan.Object{Plane: plan.Edge, Kind: Kind, ID: name, Value: plan.Encode(value{rotated}), From: from, Phase: plan.Publish}
	if rotated != "" {
		o.Show = "token of " + rotated
	}
	return o
}

// value is what is compared of a tunnel: the day since which its token is good.
type value struct {
	Rotated string `json:"rotated,omitempty"`
}

// since is the day of the live token. Where none was written down it is taken for the wanted one.
func (p *Plane) since() string {
	if p.Rotated == "" || p.Was != p.Want.Name {
		return p.Want.Rotated
	}
	return p.Rotated
}

// due says that the live token is to be replaced.
func (p *Plane) due() bool { return p.Want.Rotated != "" && p.since() != p.Want.Rotated }

func ingressObject(i ingress) plan.Object {
	id := i.Hostname + i.Path
	if id == "" {
		id = rest
	}
	return plan.Object{Plane: plan.Edge, Kind: KindIngress, ID: id, Value: plan.Encode(i), Show: "to " + i.Service, Phase: plan.Publish}
}

// Live reads the tunnel of the site's name and its ingress document.
func (p *Plane) Live(ctx context.Context) ([]plan.Object, error) {
	if err := p.read(ctx); err != nil {
		return nil, err
	}
	var objects []plan.Object
	if was, ok := p.find(p.Was); ok && p.Was != p.Want.Name {
		o := tunnelObject(was.Name, "", "")
		o.Handle = was.ID
		objects = append(objects, o)
	}
	t, ok := p.find(p.Want.Name)
	if !ok {
		return objects, nil
	}
	o := tunnelObject(t.Name, p.since(), "")
	o.Handle = t.ID
	var err error
	if p.rules, err = p.Edge.Ingress(ctx, t); err != nil {
		return nil, err
	}
	objects = append(objects, o)
	for _, r := range p.rules {
		objects = append(objects, ingressObject(ingress{r.Hostname, r.Path, r.Service, r.Origin}))
	}
	return objects, nil
}

func (p *Plane) read(ctx context.Context) (err error) {
	p.tunnels, err = p.Edge.Tunnels(ctx)
	p.known = err == nil
	return err
}

func (p *Plane) find(name string) (edge.Tunnel, bool) {
	i := slices.IndexFunc(p.tunnels, func(t edge.Tunnel) bool { return t.Name == name })
	if i < 0 {
		return edge.Tunnel{}, false
	}
	return p.tunnels[i], true
}

// ID is the identifier of the tunnel of that name, empty while there is none. It reads the account only if nothing
// did before.
func (p *Plane) ID(ctx context.Context, name string) (string, error) {
	if !p.known {
		if err := p.read(ctx); err != nil {
			return "", err
		}
	}
	t, _ := p.find(name)
	return t.ID, nil
}

// Note says what another token does.
func (p *Plane) Note(c *plan.Change) {
	if c.Kind == Kind && c.Verb == plan.Update {
		c.Note = "another token; connectors that run stay connected"
	}
}

// Token is what the connector of the wanted tunnel signs in with; ok is false while there is no tunnel, or another token is to
// be made first. It is read once.
func (p *Plane) Token(ctx context.Context) (token string, ok bool, err error) {
	id, err := p.ID(ctx, p.Want.Name)
	if err != nil || id == "" || p.due() {
		return "", false, err
	}
	if p.token.tunnel != id {
		t, _ := p.find(p.Want.Name)
		if token, err = p.Edge.TunnelToken(ctx, t); err != nil {
			return "", false, err
		}
		p.token = connector{id, token}
	}
	return p.token.token, true, nil
}

// Apply removes the tunnel of another name, makes the wanted one if it is not there, and writes its ingress document once.
func (p *Plane) Apply(ctx context.Context, changes []plan.Change) error {
	for _, c := range changes {
		if old, ok := p.find(c.ID); ok && c.Kind == Kind && c.Verb == plan.Delete {
			if err := p.Edge.DeleteTunnel(ctx, old); err != nil {
				return err
			}
		}
	}
	t, ok := p.find(p.Want.Name)
	again := slices.ContainsFunc(changes, func(c plan.Change) bool { return c.Kind == Kind && c.Verb == plan.Update })
	if ok && again && p.due() {
		if err := p.rotate(ctx, t); err != nil {
			return err
		}
	}
	if !ok {
		made, err := p.Edge.CreateTunnel(ctx, p.Want.Name)
		if err != nil {
			return err
		}
		t, p.tunnels, p.rules = made, append(p.tunnels, made), nil
	}
	touched := slices.ContainsFunc(changes, func(c plan.Change) bool { return c.Kind == KindIngress })
	if !touched {
		return nil
	}
	rules, err := p.merge(p.rules, changes)
	if err != nil {
		return err
	}
	if err := p.Edge.SetIngress(ctx, t, rules); err != nil {
		return err
	}
	p.rules = rules
	return nil
}

// rotate makes another token. Connectors that run with the last one stay connected until they restart.
func (p *Plane) rotate(ctx context.Context, t edge.Tunnel) error {
	if err := p.Edge.RotateTunnel(ctx, t); err != nil {
		return err
	}
	p.Rotated, p.token = p.Want.Rotated, connector{}
	return nil
}

// merge applies the changes to the live document, so that a host name that goes is served until its turn comes. What
// the site wants stands in its order, the rule for the rest last, without which the provider takes no document.
func (p *Plane) merge(live []edge.Ingress, changes []plan.Change) ([]edge.Ingress, error) {
	byID := map[string]edge.Ingress{}
	for _, r := range live {
		byID[ingressObject(ingress{r.Hostname, r.Path, r.Service, r.Origin}).ID] = r
	}
	for _, c := range changes {
		if c.Kind != KindIngress {
			continue
		}
		delete(byID, c.ID)
		if c.Verb == plan.Delete {
			continue
		}
		var i ingress
		if err := json.Unmarshal(c.New, &i); err != nil {
			return nil, fmt.Errorf("change of %s: %w", c.ID, err)
		}
		byID[c.ID] = edge.Ingress(i)
	}
	return p.sorted(byID), nil
}

func (p *Plane) sorted(byID map[string]edge.Ingress) []edge.Ingress {
	order := map[string]int{}
	for i, r := range p.wanted() {
		order[ingressObject(r.ingress).ID] = i + 1
	}
	last, ok := byID[rest]
	if !ok {
		last = edge.Ingress{Service: "http_status:404"}
	}
	delete(byID, rest)
	ids := make([]string, 0, len(byID))
	for id := range byID {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	slices.SortStableFunc(ids, func(a, b string) int { return order[a] - order[b] })
	rules := make([]edge.Ingress, 0, len(ids)+1)
	for _, id := range ids {
		rules = append(rules, byID[id])
	}
	return append(rules, last)
}
