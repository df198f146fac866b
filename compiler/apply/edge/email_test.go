package edge

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/mailplan/mailplan/compiler/sandbox/cloudflare"
)

const forwardTo = "outside@example.net"

// routed is a rig with a zone that routes mail and a verified destination.
func routed(t *testing.T, r *rig) Zone {
	t.Helper()
	z := r.zone(t, "example.com", cloudflare.Free)
	if err := r.cf.VerifyAddress(forwardTo); err != nil {
		t.Fatal(err)
	}
	if err := r.EnableRouting(context.Background(), z, ""); err != nil {
		t.Fatal(err)
	}
	return z
}

// zoneOf returns the only zone that a test uses.
func zoneOf(ctx context.Context, r *rig) Zone {
	zones, err := r.Zones(ctx, []string{"example.com"})
	if err != nil {
		return Zone{}
	}
	return zones[0]
}

func readRules(ctx context.Context, r *rig) (any, error) { return r.Rules(ctx, zoneOf(ctx, r)) }

func readRouting(ctx context.Context, r *rig) (any, error) {
	z := zoneOf(ctx, r)
	s, err := r.Routing(ctx, z)
	if err != nil {
		return nil, err
	}
	records, err := r.Read(ctx, []Zone{z})
	return struct {
		S       Routing
		Records []Record
	}{s, records}, err
}

func TestEmailRoutingUnderFaults(t *testing.T) {
	rule := Rule{Name: Mark("site", ""), Address: "ann@example.com", Enabled: true, Action: "forward", Target: forwardTo}
	withRule := func(do func(*rig, Zone, Rule) func(context.Context) error) func(*testing.T, *rig) func(context.Context) error {
		return func(t *testing.T, r *rig) func(context.Context) error {
			z := routed(t, r)
			made, err := r.CreateRule(context.Background(), z, rule)
			if err != nil {
				t.Fatal(err)
			}
			return do(r, z, made)
		}
	}
	underFaults(t, []operation{
		{name: "enable", pattern: "POST /zones/{zone}/email/routing/dns", state: readRouting, repeats: true,
			setup: func(t *testing.T, r *rig) func(context.Context) error {
				z := r.zone(t, "example.com", cloudflare.Free)
				return func(ctx context.Context) error { return r.EnableRouting(ctx, z, "") }
			}},
		{name: "unlock", pattern: "PATCH /zones/{zone}/email/routing/dns", state: readRouting, repeats: true,
			setup: func(t *testing.T, r *rig) func(context.Context) error {
				z := routed(t, r)
				return func(ctx context.Context) error { return r.UnlockRouting(ctx, z, "") }
			}},
		{name: "disable", pattern: "DELETE /zones/{zone}/email/routing/dns", state: readRouting, repeats: true,
			setup: func(t *testing.T, r *rig) func(context.Context) error {
				z := routed(t, r)
				return func(ctx context.Context) error { return r.DisableRouting(ctx, z, "") }
			}},
		{name: "subaddressing", pattern: "PATCH /zones/{zone}/email/routing", state: readRouting, repeats: true,
			setup: func(t *testing.T, r *rig) func(context.Context) error {
				z := routed(t, r)
				return func(ctx context.Context) error { return r.SetSubaddressing(ctx, z, true) }
			}},
		{name: "create rule", pattern: "POST /zones/{zone}/email/routing/rules", state: readRules,
			setup: func(t *testing.T, r *rig) func(context.Context) error {
				z := routed(t, r)
				return func(ctx context.Context) error { _, err := r.CreateRule(ctx, z, rule); return err }
			}},
		{name: "update rule", pattern: "PUT /zones/{zone}/email/routing/rules/{id}", state: readRules, repeats: true,
			setup: withRule(func(r *rig, z Zone, made Rule) func(context.Context) error {
				made.Enabled = false
				return func(ctx context.Context) error { return r.UpdateRule(ctx, z, made) }
			})},
		{name: "delete rule", pattern: "DELETE /zones/{zone}/email/routing/rules/{id}", state: readRules,
			setup: withRule(func(r *rig, z Zone, made Rule) func(context.Context) error {
				return func(ctx context.Context) error { return r.DeleteRule(ctx, z, made) }
			})},
		{name: "catch-all", pattern: "PUT /zones/{zone}/email/routing/rules/catch_all", state: readRules, repeats: true,
			setup: func(t *testing.T, r *rig) func(context.Context) error {
				z := routed(t, r)
				return func(ctx context.Context) error {
					return r.UpdateRule(ctx, z, Rule{Enabled: true, Action: "forward", Target: forwardTo})
				}
			}},
		{name: "create destination", pattern: "POST /accounts/{account}/email/routing/addresses",
			state: func(ctx context.Context, r *rig) (any, error) { return r.Destinations(ctx) },
			setup: func(t *testing.T, r *rig) func(context.Context) error {
				return func(ctx context.Context) error { _, err := r.CreateDestination(ctx, "new@example.net"); return err }
			}},
		{name: "delete destination", pattern: "DELETE /accounts/{account}/email/routing/addresses/{id}",
			state: func(ctx context.Context, r *rig) (any, error) { return r.Destinations(ctx) },
			setup: func(t *testing.T, r *rig) func(context.Context) error {
				d, err := r.CreateDestination(context.Background(), "old@example.net")
				if err != nil {
					t.Fatal(err)
				}
				return func(ctx context.Context) error { return r.DeleteDestination(ctx, d) }
			}},
	})
}

// Enabling adds locked records that the record driver then shows as read-only,
// and an SPF record that includes the provider stays its owner's.
func TestEnableRoutingKeepsTheMergedSPF(t *testing.T) {
	r := newRig(t)
	z := r.zone(t, "example.com", cloudflare.Free)
	ctx := context.Background()
	spf := Record{Zone: z.Name, Name: z.Name, Type: "TXT", Content: "v=spf1 include:_spf.mx.cloudflare.net include:sendgrid.net -all"}
	if _, err := r.Batch(ctx, z, Changes{Posts: []Record{spf}}); err != nil {
		t.Fatal(err)
	}
	if err := r.EnableRouting(ctx, z, ""); err != nil {
		t.Fatal(err)
	}
	live, err := r.Read(ctx, []Zone{z})
	if err != nil {
		t.Fatal(err)
	}
	var locked, mine int
	for _, record := range live {
		if record.ReadOnly {
			locked++
		} else if record.Key() == spf.Key() {
			mine++
		}
	}
	if locked != 4 || mine != 1 || len(live) != 5 {
		t.Errorf("%d locked, %d mine of %d records; want 4, 1, 5: %+v", locked, mine, len(live), live)
	}
	if s, err := r.Routing(ctx, z); err != nil || !s.Enabled || s.Status != "ready" {
		t.Errorf("%+v, %v; want ready", s, err)
	}
	required, err := r.RoutingRecords(ctx, z, "")
	if err != nil || len(required) != 5 || required[0].Priority == nil {
		t.Errorf("required records: %+v, %v", required, err)
	}
	if err := r.DisableRouting(ctx, z, ""); err != nil {
		t.Fatal(err)
	}
	if live, _ = r.Read(ctx, []Zone{z}); len(live) != 1 || live[0].Key() != spf.Key() {
		t.Errorf("after disabling: %+v", live)
	}
}

// Where Email Routing came first, its SPF record is unlocked and changed where
// it stands: never two, never none.
func TestMergedSPFReplacesTheProvidersInPlace(t *testing.T) {
	r := newRig(t)
	z := routed(t, r)
	ctx := context.Background()
	if err := r.UnlockRouting(ctx, z, ""); err != nil {
		t.Fatal(err)
	}
	live, err := r.Read(ctx, []Zone{z})
	if err != nil {
		t.Fatal(err)
	}
	for _, record := range live {
		if record.ReadOnly {
			t.Errorf("%s %s is still locked", record.Type, record.Name)
		}
		if record.Type == "TXT" && record.Name == z.Name {
			record.Content = "v=spf1 include:_spf.mx.cloudflare.net include:sendgrid.net -all"
			if _, err := r.Batch(ctx, z, Changes{Patches: []Record{record}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if s, err := r.Routing(ctx, z); err != nil || s.Status != "unlocked" {
		t.Errorf("%+v, %v; want unlocked", s, err)
	}
	if err := r.EnableRouting(ctx, z, ""); err != nil {
		t.Fatal(err)
	}
	if s, err := r.Routing(ctx, z); err != nil || s.Status != "ready" {
		t.Errorf("locked again: %+v, %v; want ready", s, err)
	}
}

func TestSubdomainsTakeLiteralRulesOnly(t *testing.T) {
	r := newRig(t)
	z := routed(t, r)
	ctx := context.Background()
	rule := Rule{Address: "ann@lists.example.com", Enabled: true, Action: "drop"}
	if _, err := r.CreateRule(ctx, z, rule); err == nil {
		t.Error("a rule for a name that does not route mail was accepted")
	}
	if err := r.EnableRouting(ctx, z, "lists.example.com"); err != nil {
		t.Fatal(err)
	}
	if _, err := r.CreateRule(ctx, z, rule); err != nil {
		t.Error(err)
	}
	if err := r.DisableRouting(ctx, z, "lists.example.com"); err != nil {
		t.Fatal(err)
	}
	if s, err := r.Routing(ctx, z); err != nil || s.Status != "ready" {
		t.Errorf("the apex suffered: %+v, %v", s, err)
	}
}

// 120 rules take three calls of 50, the catch-all included.
func TestRulesAreReadInFullPages(t *testing.T) {
	r := newRig(t)
	z := routed(t, r)
	ctx := context.Background()
	for i := range 120 {
		rule := Rule{Name: "n", Address: strings.Repeat("a", 1+i%60) + string(rune('a'+i/60)) + "@example.com", Enabled: true, Action: "drop"}
		if _, err := r.CreateRule(ctx, z, rule); err != nil {
			t.Fatal(err)
		}
	}
	before := r.Calls()
	rules, err := r.Rules(ctx, z)
	if err != nil || len(rules) != 121 || !rules[120].CatchAll() {
		t.Fatalf("%d rules, %v", len(rules), err)
	}
	if n := r.Calls() - before; n != 3 {
		t.Errorf("%d calls, want 3", n)
	}
}

func TestRulesReadBackEqual(t *testing.T) {
	r := newRig(t)
	z := routed(t, r)
	ctx := context.Background()
	want := Rule{Name: "n", Address: "ann@example.com", Enabled: true, Priority: 3, Action: "forward", Target: forwardTo, Source: "api"}
	made, err := r.CreateRule(ctx, z, want)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, made, ignoreIDs); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
