package edge

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/mailplan/mailplan/compiler/sandbox/cloudflare"
)

// mailIngress is a tunnel's configuration as a mail system wants it.
func mailIngress() []Ingress {
	return []Ingress{
		{Hostname: "webmail.example.com", Service: "http://nginx:80", Origin: Origin{HostHeader: "webmail.example.com", ConnectTimeout: 10}},
		{Hostname: "ingest.example.com", Path: "^/v1/", Service: "http://mailpland:8000", Origin: Origin{Access: &OriginAccess{true, "team", []string{"aud"}}}},
		{Service: "http_status:404"},
	}
}

func withTunnel(t *testing.T, r *rig) Tunnel {
	t.Helper()
	tunnel, err := r.CreateTunnel(context.Background(), "mail")
	if err != nil {
		t.Fatal(err)
	}
	return tunnel
}

func readTunnels(ctx context.Context, r *rig) (any, error) {
	type state struct {
		Tunnel  Tunnel
		Ingress []Ingress
	}
	tunnels, err := r.Tunnels(ctx)
	var all []state
	for _, t := range tunnels {
		ingress, err := r.Ingress(ctx, t)
		if err != nil {
			return nil, err
		}
		all = append(all, state{t, ingress})
	}
	return all, err
}

func TestTunnelUnderFaults(t *testing.T) {
	underFaults(t, []operation{
		{name: "create tunnel", pattern: "POST /accounts/{account}/cfd_tunnel", state: readTunnels,
			setup: func(_ *testing.T, r *rig) func(context.Context) error {
				return func(ctx context.Context) error { _, err := r.CreateTunnel(ctx, "mail"); return err }
			}},
		{name: "configure", pattern: "PUT /accounts/{account}/cfd_tunnel/{id}/configurations", state: readTunnels, repeats: true,
			setup: func(t *testing.T, r *rig) func(context.Context) error {
				tunnel := withTunnel(t, r)
				return func(ctx context.Context) error { return r.SetIngress(ctx, tunnel, mailIngress()) }
			}},
		{name: "delete tunnel", pattern: "DELETE /accounts/{account}/cfd_tunnel/{id}", state: readTunnels,
			setup: func(t *testing.T, r *rig) func(context.Context) error {
				tunnel := withTunnel(t, r)
				return func(ctx context.Context) error { return r.DeleteTunnel(ctx, tunnel) }
			}},
	})
}

func TestTunnelReadsBackEqual(t *testing.T) {
	r := newRig(t)
	ctx := context.Background()
	tunnel := withTunnel(t, r)
	if ingress, err := r.Ingress(ctx, tunnel); err != nil || ingress != nil {
		t.Errorf("a new tunnel has %v, %v", ingress, err)
	}
	if err := r.SetIngress(ctx, tunnel, mailIngress()); err != nil {
		t.Fatal(err)
	}
	got, err := r.Ingress(ctx, tunnel)
	if diff := cmp.Diff(mailIngress(), got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if err := r.SetIngress(ctx, tunnel, mailIngress()[:2]); err == nil || !strings.Contains(err.Error(), "last ingress rule") {
		t.Errorf("without a catch-all: %v", err)
	}
	if token, err := r.TunnelToken(ctx, tunnel); err != nil || len(token) < 40 {
		t.Errorf("token of %d bytes, %v", len(token), err)
	}
	if err := r.cf.ConnectTunnel(tunnel.ID, true); err != nil {
		t.Fatal(err)
	}
	if err := r.DeleteTunnel(ctx, tunnel); err == nil {
		t.Error("a connected tunnel was deleted")
	}
}

// A deleted tunnel's name is free again, and its corpse is not listed.
func TestDeletedTunnelIsForgotten(t *testing.T) {
	r := newRig(t)
	ctx := context.Background()
	first := withTunnel(t, r)
	if err := r.DeleteTunnel(ctx, first); err != nil {
		t.Fatal(err)
	}
	second := withTunnel(t, r)
	tunnels, err := r.Tunnels(ctx)
	if err != nil || len(tunnels) != 1 || tunnels[0].ID != second.ID {
		t.Errorf("%+v, %v", tunnels, err)
	}
}

// readAccess reads all of Access; links and rules are shown by name, for the
// provider invents other identifiers in every run.
func readAccess(ctx context.Context, r *rig) (any, error) {
	tokens, err := r.ServiceTokens(ctx)
	if err != nil {
		return nil, err
	}
	policies, err := r.AccessPolicies(ctx)
	if err != nil {
		return nil, err
	}
	apps, err := r.Apps(ctx)
	names := map[string]string{}
	for i, t := range tokens {
		names[t.ID], tokens[i].Expires = t.Name, time.Time{}
	}
	for _, p := range policies {
		names[p.ID] = p.Name
		for i, rule := range p.Include {
			if name := names[rule.Value]; name != "" {
				p.Include[i].Value = name
			}
		}
	}
	for _, a := range apps {
		for i, id := range a.Policies {
			a.Policies[i] = names[id]
		}
	}
	return []any{tokens, policies, apps}, err
}

// guarded is everything that puts an ingest host behind Access.
type guarded struct {
	token  ServiceToken
	policy AccessPolicy
	app    App
}

func withAccess(t *testing.T, r *rig) (g guarded) {
	t.Helper()
	ctx := context.Background()
	r.zone(t, "example.com", cloudflare.Free)
	var err error
	if g.token, _, err = r.CreateServiceToken(ctx, Mark("site", "ingest"), "8760h"); err != nil {
		t.Fatal(err)
	}
	policy := AccessPolicy{Name: Mark("site", "machines"), Decision: "non_identity", Include: []AccessRule{{"service_token", g.token.ID}}}
	if g.policy, err = r.CreateAccessPolicy(ctx, policy); err != nil {
		t.Fatal(err)
	}
	g.app, err = r.CreateApp(ctx, App{Name: Mark("site", "ingest"), Domain: "ingest.example.com", Policies: []string{g.policy.ID}, Unauthorized401: true})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestAccessUnderFaults(t *testing.T) {
	call := func(do func(context.Context, *rig, guarded) error) func(*testing.T, *rig) func(context.Context) error {
		return func(t *testing.T, r *rig) func(context.Context) error {
			g := withAccess(t, r)
			return func(ctx context.Context) error { return do(ctx, r, g) }
		}
	}
	underFaults(t, []operation{
		{name: "create token", pattern: "POST /accounts/{account}/access/service_tokens", state: readAccess,
			setup: call(func(ctx context.Context, r *rig, _ guarded) error {
				token, secret, err := r.CreateServiceToken(ctx, "new", "8760h")
				if err == nil && !r.cf.HasServiceToken(token.ClientID, secret) {
					t.Error("the secret that was returned is not valid")
				}
				return err
			})},
		{name: "delete token", pattern: "DELETE /accounts/{account}/access/service_tokens/{id}", state: readAccess,
			setup: func(t *testing.T, r *rig) func(context.Context) error {
				token, _, err := r.CreateServiceToken(context.Background(), "old", "")
				if err != nil {
					t.Fatal(err)
				}
				return func(ctx context.Context) error { return r.DeleteServiceToken(ctx, token) }
			}},
		{name: "create policy", pattern: "POST /accounts/{account}/access/policies", state: readAccess,
			setup: call(func(ctx context.Context, r *rig, _ guarded) error {
				_, err := r.CreateAccessPolicy(ctx, AccessPolicy{Name: "people", Decision: "allow", Include: []AccessRule{{"email_domain", "example.com"}}})
				return err
			})},
		{name: "update policy", pattern: "PUT /accounts/{account}/access/policies/{id}", state: readAccess, repeats: true,
			setup: call(func(ctx context.Context, r *rig, g guarded) error {
				g.policy.Require = []AccessRule{{"ip", "192.0.2.0/24"}}
				return r.UpdateAccessPolicy(ctx, g.policy)
			})},
		{name: "delete policy", pattern: "DELETE /accounts/{account}/access/policies/{id}", state: readAccess,
			setup: func(t *testing.T, r *rig) func(context.Context) error {
				p, err := r.CreateAccessPolicy(context.Background(), AccessPolicy{Name: "old", Decision: "allow", Include: []AccessRule{{"everyone", ""}}})
				if err != nil {
					t.Fatal(err)
				}
				return func(ctx context.Context) error { return r.DeleteAccessPolicy(ctx, p) }
			}},
		{name: "create app", pattern: "POST /accounts/{account}/access/apps", state: readAccess,
			setup: call(func(ctx context.Context, r *rig, g guarded) error {
				_, err := r.CreateApp(ctx, App{Name: "webmail", Domain: "webmail.example.com", Policies: []string{g.policy.ID}})
				return err
			})},
		{name: "update app", pattern: "PUT /accounts/{account}/access/apps/{id}", state: readAccess, repeats: true,
			setup: call(func(ctx context.Context, r *rig, g guarded) error {
				g.app.SessionDuration = "1h"
				return r.UpdateApp(ctx, g.app)
			})},
		{name: "delete app", pattern: "DELETE /accounts/{account}/access/apps/{id}", state: readAccess,
			setup: call(func(ctx context.Context, r *rig, g guarded) error { return r.DeleteApp(ctx, g.app) })},
	})
}

// After every fault the secret that a rotation returns is the valid one.
func TestRotateUnderFaults(t *testing.T) {
	for _, tc := range faults {
		r := newRig(t)
		g := withAccess(t, r)
		r.inject(tc.fault, "POST /accounts/{account}/access/service_tokens/{id}/rotate")
		secret, err := r.RotateServiceToken(context.Background(), g.token, time.Now().Add(time.Hour))
		if tc.stops != (err != nil) || err == nil && !r.cf.HasServiceToken(g.token.ClientID, secret) {
			t.Errorf("%s: err %v", tc.name, err)
		}
	}
}

func TestAccessReadsBackEqual(t *testing.T) {
	r := newRig(t)
	g := withAccess(t, r)
	apps, err := r.Apps(context.Background())
	if err != nil || len(apps) != 1 {
		t.Fatalf("%+v, %v", apps, err)
	}
	want := App{
		ID: g.app.ID, Name: "mailplan:site ingest", Domain: "ingest.example.com", Type: "self_hosted",
		SessionDuration: "24h", Policies: []string{g.policy.ID}, Unauthorized401: true, AUD: g.app.AUD,
	}
	if diff := cmp.Diff(want, apps[0]); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if err := r.DeleteAccessPolicy(context.Background(), g.policy); err == nil {
		t.Error("a policy in use was deleted")
	}
	if err := r.DeleteServiceToken(context.Background(), g.token); err == nil {
		t.Error("a token in use was deleted")
	}
}

func TestUnknownAccessRulesSurvive(t *testing.T) {
	var rule AccessRule
	const raw = `{"geo":{"country_code":"JP"}}`
	if err := rule.UnmarshalJSON([]byte(raw)); err != nil {
		t.Fatal(err)
	}
	if b, err := rule.MarshalJSON(); err != nil || string(b) != raw {
		t.Errorf("%s, %v", b, err)
	}
}

func blockRule(ref string) WAFRule {
	return WAFRule{Ref: ref, Description: Mark("site", ref), Expression: `(http.request.uri.path eq "/admin")`, Action: "block", Enabled: true}
}

func limitRule() WAFRule {
	return WAFRule{
		Ref: "login", Description: Mark("site", "login"), Expression: `(http.request.uri.path eq "/")`, Action: "block", Enabled: true,
		RateLimit: &RateLimit{[]string{"cf.colo.id", "ip.src"}, 10, 20, 10},
	}
}

func TestWAFUnderFaults(t *testing.T) {
	underFaults(t, []operation{
		{name: "set rules", pattern: "PUT /zones/{zone}/rulesets/phases/{phase}/entrypoint", repeats: true,
			state: func(ctx context.Context, r *rig) (any, error) { return r.WAFRules(ctx, zoneOf(ctx, r), CustomPhase) },
			setup: func(t *testing.T, r *rig) func(context.Context) error {
				z := r.zone(t, "example.com", cloudflare.Free)
				return func(ctx context.Context) error {
					return r.SetWAFRules(ctx, z, CustomPhase, "site", []WAFRule{blockRule("admin")})
				}
			}},
	})
}

func TestWAFRulesLeaveForeignOnesAlone(t *testing.T) {
	r := newRig(t)
	ctx := context.Background()
	z := r.zone(t, "example.com", cloudflare.Free)
	foreign := blockRule("hand")
	foreign.Description = "by hand"
	if err := r.SetWAFRules(ctx, z, CustomPhase, "", []WAFRule{foreign}); err != nil {
		t.Fatal(err)
	}
	skip := WAFRule{Ref: "ingest", Description: Mark("site", "ingest"), Expression: `(http.host eq "ingest.example.com")`, Action: "skip", Enabled: true, Parameters: map[string]any{"phases": []any{"http_request_firewall_managed"}}}
	for _, want := range [][]WAFRule{{skip, blockRule("a")}, {skip}, {skip, blockRule("b")}} {
		if err := r.SetWAFRules(ctx, z, CustomPhase, "site", want); err != nil {
			t.Fatal(err)
		}
	}
	got, err := r.WAFRules(ctx, z, CustomPhase)
	if diff := cmp.Diff([]WAFRule{foreign, skip, blockRule("b")}, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if err := r.SetWAFRules(ctx, z, RateLimitPhase, "site", []WAFRule{limitRule()}); err != nil {
		t.Error(err)
	}
	if rules, err := r.WAFRules(ctx, z, ManagedPhase); err != nil || len(rules) != 0 {
		t.Errorf("an empty phase: %v, %v", rules, err)
	}
}

func TestWAFRefusals(t *testing.T) {
	r := newRig(t)
	z := r.zone(t, "example.com", cloudflare.Free)
	host, period, two := limitRule(), limitRule(), limitRule()
	host.Expression, period.RateLimit.Period, two.Ref = `(http.host eq "x")`, 60, "two"
	matches := blockRule("m")
	matches.Expression = `(http.request.uri.path matches "x")`
	for _, tc := range []struct {
		name  string
		phase Phase
		rules []WAFRule
		want  string
	}{
		{"six custom rules", CustomPhase, []WAFRule{blockRule("1"), blockRule("2"), blockRule("3"), blockRule("4"), blockRule("5"), blockRule("6")}, "6 out of 5"},
		{"regular expression", CustomPhase, []WAFRule{matches}, "Business"},
		{"host in a rate limit", RateLimitPhase, []WAFRule{host}, "http.host"},
		{"long period", RateLimitPhase, []WAFRule{period}, "period 60"},
		{"two rate limits", RateLimitPhase, []WAFRule{limitRule(), two}, "2 out of 1"},
		{"no mark", CustomPhase, []WAFRule{{Ref: "x"}}, "mark of site"},
	} {
		err := r.SetWAFRules(context.Background(), z, tc.phase, "site", tc.rules)
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", tc.name, err, tc.want)
		}
	}
}
