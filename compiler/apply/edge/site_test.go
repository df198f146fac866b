package edge_test

import (
	"context"
	"path/filepath"
	"slices"
	"testing"

	"github.com/mailplan/mailplan/compiler"
	"github.com/mailplan/mailplan/compiler/apply/edge"
	"github.com/mailplan/mailplan/compiler/emit/cloudflare"
	"github.com/mailplan/mailplan/compiler/emit/worker"
	"github.com/mailplan/mailplan/compiler/model"
	standin "github.com/mailplan/mailplan/compiler/sandbox/cloudflare"
)

// Everything that the reference site and the examples want of Cloudflare is
// accepted by the stand-in, in the order of what needs what, and reads back.
func TestEverySiteComesUp(t *testing.T) {
	dirs, err := filepath.Glob("../../../examples/*/site")
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range append(dirs, "../../../site") {
		t.Run(name(dir), func(t *testing.T) {
			site, err := compiler.Load(dir)
			if err != nil {
				t.Fatal(err)
			}
			want, err := cloudflare.State(site.Model)
			if err != nil {
				t.Fatal(err)
			}
			bringUp(t, site.Model, want)
		})
	}
}

func name(dir string) string {
	if parent := filepath.Base(filepath.Dir(dir)); parent != ".." {
		return parent
	}
	return "reference"
}

// account is a driver before an empty account with the site's zones.
type account struct {
	*edge.Edge
	t     *testing.T
	ctx   context.Context
	zones map[string]edge.Zone
}

func newAccount(t *testing.T, s *model.Site, want cloudflare.Edge) *account {
	t.Helper()
	cf, err := standin.New(t.TempDir(), standin.Options{})
	if err != nil {
		t.Fatal(err)
	}
	id, err := cf.AccountID()
	if err != nil {
		t.Fatal(err)
	}
	e := edge.New(edge.Config{Token: "x", AccountID: id, BaseURL: standin.BaseURL, HTTPClient: cf.Client()})
	a := &account{Edge: e, t: t, ctx: context.Background(), zones: map[string]edge.Zone{}}
	for _, z := range want.Zones {
		id, err := cf.AddZone(z.Name, standin.Plan(s.Edge.Plan))
		if err != nil {
			t.Fatal(err)
		}
		a.zones[z.Name] = edge.Zone{ID: id, Name: z.Name}
	}
	return a
}

func (a *account) must(err error) {
	a.t.Helper()
	if err != nil {
		a.t.Fatal(err)
	}
}

func bringUp(t *testing.T, s *model.Site, want cloudflare.Edge) {
	a := newAccount(t, s, want)
	tunnel, err := a.CreateTunnel(a.ctx, want.Tunnel.Name)
	a.must(err)
	a.tunnel(tunnel, want.Tunnel)
	a.spool(want)
	a.worker(s, want.Worker)
	a.consumers(want.Queues)
	a.records(s, tunnel)
	for _, z := range want.Zones {
		a.routing(a.zones[z.Name], z.Routing)
	}
	a.access(want.Access)
	for _, r := range want.Rulesets {
		a.rules(a.zones[r.Zone], r, s)
	}
}

func (a *account) tunnel(t edge.Tunnel, want cloudflare.Tunnel) {
	var ingress []edge.Ingress
	for _, i := range want.Ingress {
		ingress = append(ingress, edge.Ingress{Hostname: i.Hostname, Service: i.Service, Origin: edge.Origin{ConnectTimeout: i.ConnectTimeout}})
	}
	a.must(a.SetIngress(a.ctx, t, ingress))
}

func (a *account) spool(want cloudflare.Edge) {
	for _, q := range want.Queues {
		made, err := a.CreateQueue(a.ctx, q.Name)
		a.must(err)
		made.Retention = q.RetentionDays * 86400
		a.must(a.UpdateQueue(a.ctx, made))
	}
	if want.Bucket == nil {
		return
	}
	b, err := a.CreateBucket(a.ctx, edge.Bucket{Name: want.Bucket.Name})
	a.must(err)
	a.must(a.SetExpiries(a.ctx, b, "site", []edge.Expiry{{ID: edge.Mark("site", "spool"), MaxAge: want.Bucket.DeleteAfterDays * 86400, Enabled: true}}))
}

func (a *account) worker(s *model.Site, want cloudflare.Worker) {
	modules, err := worker.Modules(s, []byte("0123456789abcdef0123456789abcdef"))
	a.must(err)
	w := edge.Worker{Name: want.Name, Main: want.MainModule, CompatibilityDate: want.CompatibilityDate, Tags: []string{cloudflare.Mark(s)}}
	for _, m := range modules {
		w.Modules = append(w.Modules, edge.Module{Name: m.Name, Type: "application/javascript+module", Content: m.Content})
	}
	secrets := map[string]string{}
	for _, b := range want.Bindings {
		w.Bindings = append(w.Bindings, edge.Binding{Name: b.Name, Type: b.Type, Value: b.Text + b.Bucket + b.Queue})
		if b.Type == "secret_text" {
			secrets[b.Name] = "secret of " + b.Name
		}
	}
	info, err := a.Upload(a.ctx, w, secrets)
	a.must(err)
	for _, handler := range want.Handlers {
		if !slices.Contains(info.Handlers, handler) {
			a.t.Errorf("the Worker has the handlers %v, not %s", info.Handlers, handler)
		}
	}
	live, err := a.Worker(a.ctx, info)
	a.must(err)
	if live.Digest() != w.Digest() || len(live.Bindings) != len(w.Bindings) {
		a.t.Errorf("the Worker reads back with %d bindings and another digest", len(live.Bindings))
	}
}

func (a *account) consumers(want []cloudflare.Queue) {
	for _, q := range want {
		live, err := a.Queues(a.ctx)
		a.must(err)
		i := slices.IndexFunc(live, func(l edge.Queue) bool { return l.Name == q.Name })
		c := q.Consumer
		a.must(a.SetConsumer(a.ctx, live[i], edge.Consumer{
			Worker: c.Script, DeadLetter: c.DeadLetterQueue, BatchSize: c.BatchSize, MaxRetries: c.MaxRetries,
			MaxWait: c.MaxWaitMS, RetryDelay: c.RetryDelay, MaxConcurrency: c.MaxConcurrency,
		}))
	}
}

// records publishes the merged SPF before Email Routing is enabled, so that the
// provider leaves it alone.
func (a *account) records(s *model.Site, tunnel edge.Tunnel) {
	byZone := map[string][]edge.Record{}
	for _, r := range cloudflare.Records(s) {
		if r.EdgeOwned || r.Zone == "" {
			continue
		}
		r, err := r.Resolve(func(string) (string, error) { return tunnel.ID, nil }, func(string) (string, error) { return "MIIBIjANBg", nil })
		a.must(err)
		w := edge.Record{Zone: r.Zone, Name: r.Name, Type: r.Type, Content: r.Content, TTL: r.TTL, Proxied: r.Proxied, Comment: r.Comment}
		if r.Priority != nil {
			n := uint16(*r.Priority)
			w.Priority = &n
		}
		byZone[r.Zone] = append(byZone[r.Zone], w)
	}
	for name, posts := range byZone {
		_, err := a.Batch(a.ctx, a.zones[name], edge.Changes{Posts: posts})
		a.must(err)
		a.must(a.Confirm(a.ctx, a.zones[name], edge.Changes{Posts: posts}))
	}
}

func (a *account) routing(z edge.Zone, want cloudflare.Routing) {
	if !want.Enabled {
		return
	}
	a.must(a.EnableRouting(a.ctx, z, ""))
	for _, name := range want.Subdomains {
		a.must(a.EnableRouting(a.ctx, z, name))
	}
	a.must(a.SetSubaddressing(a.ctx, z, want.Subaddress))
	for _, r := range want.Rules {
		_, err := a.CreateRule(a.ctx, z, edge.Rule{Name: r.Name, Address: r.To, Enabled: true, Action: "worker", Target: r.Worker})
		a.must(err)
	}
	if r := want.CatchAll; r != nil {
		a.must(a.UpdateRule(a.ctx, z, edge.Rule{Name: r.Name, Enabled: true, Action: "worker", Target: r.Worker}))
	}
	live, err := a.Routing(a.ctx, z)
	a.must(err)
	if !live.Enabled || live.Status != "ready" || live.Subaddressing != want.Subaddress {
		a.t.Errorf("email routing of %s: %+v", z.Name, live)
	}
}

func (a *account) access(want cloudflare.Access) {
	tokens, policies := map[string]string{}, map[string]string{}
	for _, t := range want.ServiceTokens {
		made, _, err := a.CreateServiceToken(a.ctx, t.Name, "8760h")
		a.must(err)
		tokens[t.Name] = made.ID
	}
	for _, p := range want.Policies {
		policy := edge.AccessPolicy{Name: p.Name, Decision: p.Decision}
		for kind, values := range map[string][]string{"email": p.Emails, "email_domain": p.EmailDomains} {
			for _, v := range values {
				policy.Include = append(policy.Include, edge.AccessRule{Kind: kind, Value: v})
			}
		}
		for _, name := range p.ServiceTokens {
			policy.Include = append(policy.Include, edge.AccessRule{Kind: "service_token", Value: tokens[name]})
		}
		made, err := a.CreateAccessPolicy(a.ctx, policy)
		a.must(err)
		policies[p.Name] = made.ID
	}
	for _, app := range want.Applications {
		_, err := a.CreateApp(a.ctx, edge.App{Name: app.Name, Domain: app.Domain, Policies: []string{policies[app.Policy]}, Unauthorized401: app.ServiceAuth401})
		a.must(err)
	}
}

func (a *account) rules(z edge.Zone, want cloudflare.Ruleset, s *model.Site) {
	var rules []edge.WAFRule
	for _, r := range want.Rules {
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
		rules = append(rules, w)
	}
	a.must(a.SetWAFRules(a.ctx, z, edge.Phase(want.Phase), s.Name, rules))
}
