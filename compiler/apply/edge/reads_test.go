package edge

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// reading is one call that reads, and the endpoint that it reads from.
type reading struct {
	name    string
	pattern string
	read    func(context.Context, *rig, world) (any, error)
}

// world is one of everything that the driver knows.
type world struct {
	zone   Zone
	tunnel Tunnel
	bucket Bucket
}

func build(t *testing.T, r *rig) world {
	t.Helper()
	w := world{bucket: Bucket{Name: "mail-spool"}}
	withAccess(t, r)
	w.zone = routed(t, r)
	withWorker(t, r)
	w.tunnel = withTunnel(t, r)
	ctx := context.Background()
	err := errors.Join(
		r.SetIngress(ctx, w.tunnel, mailIngress()),
		r.SetExpiries(ctx, w.bucket, "site", []Expiry{{ID: Mark("site", "spool"), MaxAge: 86400, Enabled: true}}),
		r.SetWAFRules(ctx, w.zone, CustomPhase, "site", []WAFRule{blockRule("a")}),
	)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func readings() []reading {
	const script = "/accounts/{account}/workers/scripts/{name}"
	worker := func(ctx context.Context, r *rig, _ world) (any, error) {
		return r.Worker(ctx, WorkerInfo{Name: "mail-edge"})
	}
	return []reading{
		{"zones", "GET /zones", func(ctx context.Context, r *rig, w world) (any, error) {
			r.held = nil // as before the first list
			return r.Zones(ctx, []string{w.zone.Name})
		}},
		{"routing", "GET /zones/{zone}/email/routing", func(ctx context.Context, r *rig, w world) (any, error) { return r.Routing(ctx, w.zone) }},
		{"routing records", "GET /zones/{zone}/email/routing/dns", func(ctx context.Context, r *rig, w world) (any, error) { return r.RoutingRecords(ctx, w.zone, "") }},
		{"rules", "GET /zones/{zone}/email/routing/rules", func(ctx context.Context, r *rig, w world) (any, error) { return r.Rules(ctx, w.zone) }},
		{"destinations", "GET /accounts/{account}/email/routing/addresses", func(ctx context.Context, r *rig, _ world) (any, error) { return r.Destinations(ctx) }},
		{"workers", "GET /accounts/{account}/workers/scripts", func(ctx context.Context, r *rig, _ world) (any, error) { return r.Workers(ctx) }},
		{"worker settings", "GET " + script + "/settings", worker},
		{"worker code", "GET " + script + "/content/v2", worker},
		{"workers.dev", "GET " + script + "/subdomain", func(ctx context.Context, r *rig, _ world) (any, error) { return r.Public(ctx, "mail-edge") }},
		{"queues", "GET /accounts/{account}/queues", func(ctx context.Context, r *rig, _ world) (any, error) { return r.Queues(ctx) }},
		{"bucket", "GET /accounts/{account}/r2/buckets/{bucket}", func(ctx context.Context, r *rig, w world) (any, error) {
			b, ok, err := r.Bucket(ctx, w.bucket)
			return []any{b, ok}, err
		}},
		{"lifecycle", "GET /accounts/{account}/r2/buckets/{bucket}/lifecycle", func(ctx context.Context, r *rig, w world) (any, error) { return r.Expiries(ctx, w.bucket) }},
		{"tunnels", "GET /accounts/{account}/cfd_tunnel", func(ctx context.Context, r *rig, _ world) (any, error) { return r.Tunnels(ctx) }},
		{"ingress", "GET /accounts/{account}/cfd_tunnel/{id}/configurations", func(ctx context.Context, r *rig, w world) (any, error) { return r.Ingress(ctx, w.tunnel) }},
		{"tunnel token", "GET /accounts/{account}/cfd_tunnel/{id}/token", func(ctx context.Context, r *rig, w world) (any, error) { return r.TunnelToken(ctx, w.tunnel) }},
		{"service tokens", "GET /accounts/{account}/access/service_tokens", func(ctx context.Context, r *rig, _ world) (any, error) { return r.ServiceTokens(ctx) }},
		{"policies", "GET /accounts/{account}/access/policies", func(ctx context.Context, r *rig, _ world) (any, error) { return r.AccessPolicies(ctx) }},
		{"apps", "GET /accounts/{account}/access/apps", func(ctx context.Context, r *rig, _ world) (any, error) { return r.Apps(ctx) }},
		{"waf", "GET /zones/{zone}/rulesets/phases/{phase}/entrypoint", func(ctx context.Context, r *rig, w world) (any, error) { return r.WAFRules(ctx, w.zone, CustomPhase) }},
	}
}

// Every read gives the same under every fault that passes, and an error in the
// provider's words under every other: never half of the truth.
func TestReadsUnderFaults(t *testing.T) {
	r := newRig(t)
	w := build(t, r)
	ctx := context.Background()
	for _, reading := range readings() {
		want, err := reading.read(ctx, r, w)
		if err != nil {
			t.Fatalf("%s: %v", reading.name, err)
		}
		for _, tc := range faults {
			r.inject(tc.fault, reading.pattern)
			got, err := reading.read(ctx, r, w)
			r.cf.Heal()
			noToken(t, err)
			var e *Error
			switch {
			case tc.stops && (!errors.As(err, &e) || len(e.Details) == 0):
				t.Errorf("%s, %s: err %v, want the provider's words", reading.name, tc.name, err)
			case !tc.stops && err != nil:
				t.Errorf("%s, %s: %v", reading.name, tc.name, err)
			case !tc.stops && !cmp.Equal(want, got):
				t.Errorf("%s, %s:\n%s", reading.name, tc.name, cmp.Diff(want, got))
			}
		}
	}
}
