// Package relay is the plane of the smarthost's provider: with SendGrid, that each domain of the site is
// authenticated there, that the names it wants are those that the site declares (relayAuth) and so publishes, and
// that it has found them valid. It makes authentications and never removes one: they bear no mark, and a signature
// of last week must still verify. It writes no DNS.
package relay

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mailplan/mailplan/compiler/apply"
	"github.com/mailplan/mailplan/compiler/model"
	"github.com/mailplan/mailplan/compiler/plan"
)

// Kinds of objects on this plane.
const (
	KindAuthentication = "domain authentication"
	KindValidation     = "validation"
)

// Plane holds the domains of one site at SendGrid. A site with another relay has none.
type Plane struct {
	Site   *model.Site
	Client *Client
	// Sleep waits between two looks at names that were published a moment ago; nil means a timer.
	Sleep func(ctx context.Context, d time.Duration) error
}

// name is a CNAME.
type name struct {
	Host   string `json:"host"`
	Target string `json:"target"`
}

func sorted(names []name) []name {
	slices.SortFunc(names, func(a, b name) int { return cmp.Compare(a.Host, b.Host) })
	return names
}

// value of an authentication: the names, where the site declares them.
type value struct {
	Names []name `json:"names,omitempty"`
}

// Name is the plane's.
func (p *Plane) Name() plan.Plane { return plan.Relay }

// Kinds are the plane's.
func (p *Plane) Kinds() []string { return []string{KindAuthentication, KindValidation} }

// domains are those that the provider must know; none where it has no API.
func (p *Plane) domains() []model.Domain {
	if p.Site.Relay.Provider != "sendgrid" {
		return nil
	}
	return p.Site.Domains
}

// Desired wants every domain authenticated, and valid where its names are declared.
func (p *Plane) Desired(context.Context) ([]plan.Object, error) {
	var objects []plan.Object
	for _, d := range p.domains() {
		from := d.Path()
		if d.RelayAuth != nil {
			from += ".relayAuth"
		}
		o := object(KindAuthentication, d.Name, value{declared(d)})
		o.Show, o.From, o.Sole, o.Phase = show(declared(d)), from, true, plan.Publish
		objects = append(objects, o)
		if d.RelayAuth != nil {
			objects = append(objects, p.validation(d, from, o.Ref()))
		}
	}
	return objects, nil
}

// validation comes last: SendGrid must find names that this plan may publish, and DNS takes its time.
func (p *Plane) validation(d model.Domain, from, needs string) plan.Object {
	v := valid(d.Name, true)
	v.From, v.Phase, v.Needs = from, plan.Leave, []string{needs}
	for _, n := range declared(d) {
		v.Needs = append(v.Needs, plan.Object{Plane: plan.Edge, Kind: "record", ID: "CNAME " + n.Host}.Ref())
	}
	return v
}

// declared are the names that the site publishes for SendGrid.
func declared(d model.Domain) []name {
	if d.RelayAuth == nil {
		return nil
	}
	var out []name
	for _, c := range append([]model.CNAME{d.RelayAuth.ReturnPath}, d.RelayAuth.DKIM...) {
		out = append(out, name{canonical(c.Label + "." + d.Name), canonical(c.Target)})
	}
	return sorted(out)
}

func object(kind, id string, v any) plan.Object {
	return plan.Object{Plane: plan.Relay, Kind: kind, ID: id, Value: plan.Encode(v), Keep: true}
}

func valid(domain string, is bool) plan.Object {
	o := object(KindValidation, domain, map[string]bool{"valid": is})
	o.Show = "names not validated"
	if is {
		o.Show = "names valid"
	}
	return o
}

func show(names []name) string {
	if len(names) == 0 {
		return "with names of SendGrid's choice"
	}
	var parts []string
	for _, n := range names {
		parts = append(parts, n.Host+" -> "+n.Target)
	}
	return strings.Join(parts, ", ")
}

// Live reads what SendGrid has of the site's domains. One that wants other names than the site declares is in the
// way: nothing here can change its names.
func (p *Plane) Live(ctx context.Context) ([]plan.Object, error) {
	found, err := p.find(ctx)
	if err != nil {
		return nil, err
	}
	var objects []plan.Object
	for _, d := range p.domains() {
		a, ok := found[d.Name]
		if !ok {
			continue
		}
		o := object(KindAuthentication, d.Name, value{})
		if d.RelayAuth != nil {
			o = object(KindAuthentication, d.Name, value{a.names()})
			o.Foreign = !slices.Equal(a.names(), declared(d))
		}
		o.Show, o.Handle = show(a.names()), fmt.Sprint(a.ID)
		objects = append(objects, o)
		if d.RelayAuth != nil {
			objects = append(objects, valid(d.Name, a.Valid))
		}
	}
	return objects, nil
}

// find maps the site's domains to their authentications. A domain may have several, by subdomain: where the site
// declares its names, the one of its return path is meant, else any.
func (p *Plane) find(ctx context.Context) (map[string]authentication, error) {
	if len(p.domains()) == 0 {
		return nil, nil
	}
	all, err := p.Client.domains(ctx)
	if err != nil {
		return nil, err
	}
	found := map[string]authentication{}
	for _, d := range p.domains() {
		for _, a := range all {
			_, have := found[d.Name]
			ours := d.RelayAuth == nil || a.Subdomain == d.RelayAuth.ReturnPath.Label
			if a.Domain == d.Name && ours && (!have || slices.Equal(a.names(), declared(d))) {
				found[d.Name] = a
			}
		}
	}
	return found, nil
}

// Watch tells which names SendGrid wants that the site does not declare, so that nobody publishes them.
func (p *Plane) Watch(ctx context.Context) ([]apply.Finding, error) {
	found, err := p.find(ctx)
	if err != nil {
		return nil, err
	}
	var out []apply.Finding
	for _, d := range p.domains() {
		if a, ok := found[d.Name]; ok && d.RelayAuth == nil {
			out = append(out, apply.Finding{Plane: plan.Relay, ID: d.Name, From: d.Path(),
				Message: "SendGrid signs for it when these names exist; declare them as relayAuth: " + show(a.names())})
		}
	}
	return out, nil
}
