package cloudflare_test

import (
	"context"
	"slices"
	"testing"

	"github.com/mailplan/mailplan/compiler/apply/edge"
	"github.com/mailplan/mailplan/compiler/model"
)

// below adds a domain below the zone studio.example, which Email Routing serves by rules for single addresses.
func below(s *model.Site) *model.Site {
	d := s.Domains[slices.IndexFunc(s.Domains, func(d model.Domain) bool { return d.Name == "studio.example" })]
	d.Name, d.CatchAll, d.Aliases, d.Records, d.Selectors = "list.studio.example", "", nil, nil, nil
	d.Users = slices.Clone(d.Users[:2])
	for i := range d.Users {
		d.Users[i].Domain = d.Name
	}
	s.Domains = append(slices.Clone(s.Domains), d)
	return s
}

// studio is the example that uses most of the edge, and a domain below a zone.
func studio(t *testing.T) *model.Site { return below(load(t, "examples/studio/site")) }

// hand is somebody who changes things at the provider.
type hand struct {
	*rig
	ctx context.Context
	s   *model.Site
}

func (h hand) tunnel() edge.Tunnel {
	all, err := h.edge.Tunnels(h.ctx)
	h.must(err)
	return all[0]
}

func (h hand) queue(name string) edge.Queue {
	all, err := h.edge.Queues(h.ctx)
	h.must(err)
	return all[slices.IndexFunc(all, func(q edge.Queue) bool { return q.Name == name })]
}

func (h hand) worker() edge.Worker {
	all, err := h.edge.Workers(h.ctx)
	h.must(err)
	w, err := h.edge.Worker(h.ctx, all[0])
	h.must(err)
	return w
}

func (h hand) rules() []edge.Rule {
	all, err := h.edge.Rules(h.ctx, h.zone("studio.example"))
	h.must(err)
	return all
}

func (h hand) app(domain string) edge.App {
	all, err := h.edge.Apps(h.ctx)
	h.must(err)
	return all[slices.IndexFunc(all, func(a edge.App) bool { return a.Domain == domain })]
}

// What is made by hand is seen in each kind, and mended.
func TestDriftIsSeenAndMended(t *testing.T) {
	s := studio(t)
	r := newRig(t)
	r.apply(s)
	h := hand{r, context.Background(), s}
	zone := h.zone("studio.example")
	for _, tc := range []struct {
		name string
		do   func() error
		want []string // of the changes that are planned
	}{
		{"a host name leads elsewhere", func() error {
			rules, err := h.edge.Ingress(h.ctx, h.tunnel())
			h.must(err)
			rules[0].Service = "http://elsewhere:80"
			return h.edge.SetIngress(h.ctx, h.tunnel(), rules)
		}, []string{"update ingress in.studio.example"}},
		{"one host name more", func() error {
			rules, err := h.edge.Ingress(h.ctx, h.tunnel())
			h.must(err)
			return h.edge.SetIngress(h.ctx, h.tunnel(), append([]edge.Ingress{{Hostname: "x.studio.example", Service: "http://x:1"}}, rules...))
		}, []string{"delete ingress x.studio.example"}},
		{"the tunnel is gone", func() error { return h.edge.DeleteTunnel(h.ctx, h.tunnel()) },
			[]string{"create tunnel studio", "create ingress *", "update record CNAME mail.studio.example"}},
		{"a queue is paused", func() error {
			q := h.queue("studio-spool")
			q.Paused = true
			return h.edge.UpdateQueue(h.ctx, q)
		}, []string{"update queue studio-spool"}},
		{"nobody empties a queue", func() error { return h.edge.DeleteConsumer(h.ctx, h.queue("studio-spool")) },
			[]string{"create queue consumer studio-spool"}},
		{"a queue tries once", func() error {
			q := h.queue("studio-spool")
			c := *q.Consumer
			c.MaxRetries = 1
			return h.edge.SetConsumer(h.ctx, q, c)
		}, []string{"update queue consumer studio-spool"}},
		{"mail stays in the bucket for ever", func() error {
			return h.edge.SetExpiries(h.ctx, edge.Bucket{Name: "studio-spool"}, s.Name, nil)
		}, []string{"update bucket studio-spool"}},
		{"the Worker runs other code", func() error {
			w := h.worker()
			w.Main = "worker.mjs"
			w.Modules[0].Content = append(w.Modules[0].Content, "\n// by hand\n"...)
			_, err := h.edge.Upload(h.ctx, w, nil)
			return err
		}, []string{"update worker studio-mail"}},
		{"the Worker is public", func() error { return h.edge.SetPublic(h.ctx, "studio-mail", true) }, []string{"update worker studio-mail"}},
		{"the Worker misses a secret", func() error { return h.edge.DeleteSecret(h.ctx, "studio-mail", "INGEST_TOKEN") },
			[]string{"update worker studio-mail"}},
		{"the Worker has a secret more", func() error { return h.edge.SetSecret(h.ctx, "studio-mail", "EXTRA", "x") },
			[]string{"update worker studio-mail"}},
		{"Email Routing is off", func() error { return h.edge.DisableRouting(h.ctx, zone, "") },
			[]string{"create email routing list.studio.example", "create email routing studio.example"}},
		{"Email Routing is off below", func() error { return h.edge.DisableRouting(h.ctx, zone, "list.studio.example") },
			[]string{"create email routing list.studio.example"}},
		{"subaddressing is off", func() error { return h.edge.SetSubaddressing(h.ctx, zone, false) },
			[]string{"update subaddressing studio.example"}},
		{"the catch-all drops", func() error {
			all := h.rules()
			c := all[len(all)-1]
			c.Action, c.Target = "drop", ""
			return h.edge.UpdateRule(h.ctx, zone, c)
		}, []string{"update catch-all studio.example"}},
		{"the catch-all is as new", func() error { return h.edge.UpdateRule(h.ctx, zone, edge.Rule{Action: "drop"}) },
			[]string{"create catch-all studio.example"}},
		{"a rule is gone", func() error { return h.edge.DeleteRule(h.ctx, zone, h.rules()[0]) },
			[]string{"create routing rule " + h.rules()[0].Address}},
		{"a rule is switched off", func() error {
			rule := h.rules()[0]
			rule.Enabled = false
			return h.edge.UpdateRule(h.ctx, zone, rule)
		}, nil},
		{"one rule more bears our mark", func() error {
			_, err := h.edge.CreateRule(h.ctx, zone, edge.Rule{Name: "mailplan:one x@list.studio.example", Address: "x@list.studio.example", Enabled: true, Action: "drop"})
			return err
		}, []string{"delete routing rule x@list.studio.example"}},
		{"a token lasts longer", func() error {
			all, err := h.edge.ServiceTokens(h.ctx)
			h.must(err)
			return h.edge.SetServiceTokenDuration(h.ctx, all[0], "87600h")
		}, []string{"update service token mailplan:one ingest"}},
		{"a policy lets everybody in", func() error {
			all, err := h.edge.AccessPolicies(h.ctx)
			h.must(err)
			all[0].Include = append(all[0].Include, edge.AccessRule{Kind: "everyone"})
			return h.edge.UpdateAccessPolicy(h.ctx, all[0])
		}, []string{"update access policy mailplan:one people"}},
		{"a session lasts longer", func() error {
			a := h.app("mail.studio.example")
			a.SessionDuration = "720h"
			return h.edge.UpdateApp(h.ctx, a)
		}, []string{"update access application mail.studio.example"}},
		{"a place is open", func() error { return h.edge.DeleteApp(h.ctx, h.app("admin.studio.example")) },
			[]string{"create access application admin.studio.example"}},
		{"the firewall is open", func() error { return h.edge.SetWAFRules(h.ctx, zone, edge.CustomPhase, s.Name, nil) },
			[]string{"create firewall rule studio.example mailplan-one-raw-mail"}},
		{"a rule of the firewall is off", func() error {
			all, err := h.edge.WAFRules(h.ctx, zone, edge.CustomPhase)
			h.must(err)
			all[0].Enabled = false
			return h.edge.SetWAFRules(h.ctx, zone, edge.CustomPhase, s.Name, all)
		}, []string{"update firewall rule studio.example mailplan-one-ingest-only"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r.t = t
			r.must(tc.do())
			got := r.changes(s)
			if len(got) == 0 {
				t.Error("nothing is seen")
			}
			for _, want := range tc.want {
				if !slices.Contains(got, want) {
					t.Errorf("planned %v, want %s among it", got, want)
				}
			}
			r.apply(s)
		})
	}
}
