// Package cloudflare assembles the edge plane: the parts of one Cloudflare account, each of which knows its own kinds
// of objects, wired with what one must ask another, such as the tunnel's id that records hold. It has no knowledge
// of its own.
package cloudflare

import (
	"context"
	"slices"

	"github.com/mailplan/mailplan/compiler/apply"
	"github.com/mailplan/mailplan/compiler/apply/access"
	"github.com/mailplan/mailplan/compiler/apply/dns"
	"github.com/mailplan/mailplan/compiler/apply/edge"
	"github.com/mailplan/mailplan/compiler/apply/routing"
	"github.com/mailplan/mailplan/compiler/apply/spool"
	"github.com/mailplan/mailplan/compiler/apply/tunnel"
	"github.com/mailplan/mailplan/compiler/apply/waf"
	"github.com/mailplan/mailplan/compiler/apply/worker"
	"github.com/mailplan/mailplan/compiler/emit/cloudflare"
	"github.com/mailplan/mailplan/compiler/model"
	"github.com/mailplan/mailplan/compiler/plan"
)

// Secrets gives values by their names: Value as they are, PublicKey what a DKIM record holds of a private key.
type Secrets struct {
	Value     func(name string) (string, error)
	PublicKey func(name string) (string, error)
}

// account is what the parts ask of it beside their own objects.
type account struct {
	edge     *edge.Edge
	keys     Secrets
	tunnelID func(ctx context.Context, name string) (string, error)
	token    func(ctx context.Context, name string) (edge.ServiceToken, bool, error)
}

// Planes are the parts of a site's edge plane, in the order in which each reads what the next ones ask it for: a plan
// reads them one after another, and keeps that order within a phase. They remember what they read, so they serve one
// plan and its apply. Past is what goes with the site's own; before names what must be there before the Worker takes mail
// for it.
func Planes(s *model.Site, e *edge.Edge, keys Secrets, past Past, before ...string) ([]apply.Plane, error) {
	return assemble(s, account{edge: e, keys: keys}, past, before)
}

// Declared lists what a site wants without an account: no tunnel and no token is known. It makes no call.
func Declared(ctx context.Context, s *model.Site, keys Secrets) ([]plan.Object, error) {
	planes, err := assemble(s, account{
		keys:     keys,
		tunnelID: func(context.Context, string) (string, error) { return "", nil },
		token:    func(context.Context, string) (t edge.ServiceToken, ok bool, err error) { return },
	}, Past{}, nil)
	if err != nil {
		return nil, err
	}
	var objects []plan.Object
	for _, p := range planes {
		some, err := p.Desired(ctx)
		if err != nil {
			return nil, err
		}
		objects = append(objects, some...)
	}
	return objects, nil
}

func assemble(s *model.Site, a account, past Past, before []string) ([]apply.Plane, error) {
	want, err := cloudflare.State(s)
	if err != nil {
		return nil, err
	}
	pipe := &tunnel.Plane{Want: want.Tunnel, Was: past.Tunnel, Rotated: past.Rotated, Edge: a.edge}
	guard := &access.Plane{Site: s.Name, Want: want.Access, Edge: a.edge, Worker: worker.Ref(want.Worker.Name)}
	if a.edge != nil {
		a.tunnelID, a.token = pipe.ID, guard.Token
	}
	script := &worker.Plane{Site: s, Want: want.Worker, Edge: a.edge, Secret: a.keys.Value, Token: a.token}
	script.Needs = slices.Concat(before, spool.Refs(want.Queues, want.Bucket))
	for _, t := range want.Access.ServiceTokens {
		script.Needs = append(script.Needs, access.TokenRef(t.Name))
	}
	records := &dns.Plane{Site: s, Past: past.Domains, Edge: a.edge, PublicKey: a.keys.PublicKey, TunnelID: a.tunnelID}
	return []apply.Plane{
		pipe,
		guard,
		script,
		&spool.Plane{Site: s.Name, Queues: want.Queues, Bucket: want.Bucket, Was: past.Bucket, Edge: a.edge, Ours: script.Ours, Worker: worker.Ref},
		&waf.Plane{Site: s.Name, Want: want.Rulesets, Zones: webZones(s), Edge: a.edge},
		records,
		&routing.Plane{Site: s.Name, Want: want.Zones, Domains: domains(s), Past: past.Domains, Edge: a.edge, Records: records.Records,
			SettleSPF: records.SettleSPF, Worker: worker.Ref},
	}, nil
}

func domains(s *model.Site) []string {
	names := make([]string, len(s.Domains))
	for i, d := range s.Domains {
		names[i] = d.Name
	}
	return names
}

// webZones are the declared zones of the names that people and the Worker reach, which the firewall is for.
func webZones(s *model.Site) []string {
	hosts := s.Edge.Tunnel.Hostnames
	var zones []string
	for _, r := range cloudflare.Records(s) {
		if r.Type == "CNAME" && r.Zone != "" && slices.Contains([]string{hosts.Ingest, hosts.Webmail, hosts.Console}, r.Name) {
			zones = append(zones, r.Zone)
		}
	}
	slices.Sort(zones)
	return slices.Compact(zones)
}
