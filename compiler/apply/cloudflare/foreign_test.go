package cloudflare_test

import (
	"context"
	"strings"
	"testing"

	"github.com/mailplan/mailplan/compiler/apply/edge"
	"github.com/mailplan/mailplan/compiler/model"
)

// What others have made where the site wants something is told, and nothing is done; what stands elsewhere is left
// alone in silence.
func TestOthersThingsAreLeftAlone(t *testing.T) {
	const module = "export default { async email(message) {}, async queue(batch) {} }"
	for _, tc := range []struct {
		name string
		do   func(h hand) error
		want string // begin of the conflict; empty where there is none
	}{
		{"a Worker of that name", func(h hand) error { return h.upload("studio-mail", module) }, "conflict studio-mail"},
		{"another Worker", func(h hand) error { return h.upload("elsewhere", module) }, ""},
		{"a queue of that name that another Worker empties", func(h hand) error {
			h.must(h.upload("elsewhere", module))
			q, err := h.edge.CreateQueue(h.ctx, "studio-spool")
			h.must(err)
			return h.edge.SetConsumer(h.ctx, q, edge.Consumer{Worker: "elsewhere"})
		}, "conflict studio-spool"},
		{"a catch-all", func(h hand) error {
			h.must(h.upload("elsewhere", module))
			h.must(h.edge.EnableRouting(h.ctx, h.zone("studio.example"), ""))
			return h.edge.UpdateRule(h.ctx, h.zone("studio.example"), edge.Rule{Name: "mine", Enabled: true, Action: "worker", Target: "elsewhere"})
		}, "conflict studio.example: worker elsewhere"},
		{"a rule for an address", func(h hand) error {
			z := h.zone("studio.example")
			h.must(h.edge.EnableRouting(h.ctx, z, ""))
			h.must(h.edge.EnableRouting(h.ctx, z, "list.studio.example"))
			_, err := h.edge.CreateRule(h.ctx, z, edge.Rule{Name: "mine", Address: h.address(), Enabled: true, Action: "drop"})
			return err
		}, "conflict "},
		{"a rule for another address", func(h hand) error {
			z := h.zone("studio.example")
			h.must(h.edge.EnableRouting(h.ctx, z, ""))
			_, err := h.edge.CreateRule(h.ctx, z, edge.Rule{Name: "mine", Address: "shop@studio.example", Enabled: true, Action: "drop"})
			return err
		}, ""},
		{"another mail provider", func(h hand) error {
			ten := uint16(10)
			_, err := h.edge.Batch(h.ctx, h.zone("studio.example"), edge.Changes{Posts: []edge.Record{
				{Zone: "studio.example", Name: "studio.example", Type: "MX", Content: "mx.elsewhere.example", Priority: &ten, TTL: 1}}})
			return err
		}, "conflict studio.example: MX mx.elsewhere.example"},
		{"another's SPF", func(h hand) error {
			_, err := h.edge.Batch(h.ctx, h.zone("studio.example"), edge.Changes{Posts: []edge.Record{
				{Zone: "studio.example", Name: "studio.example", Type: "TXT", Content: "v=spf1 mx -all", TTL: 1}}})
			return err
		}, "conflict SPF studio.example"},
		{"an application before a host name", func(h hand) error {
			_, err := h.edge.CreateApp(h.ctx, edge.App{Name: "mine", Domain: "mail.studio.example"})
			return err
		}, "conflict mail.studio.example"},
		{"a rule of the firewall", func(h hand) error {
			return h.edge.SetWAFRules(h.ctx, h.zone("studio.example"), edge.CustomPhase, "other", []edge.WAFRule{
				{Ref: "mine", Description: "mailplan:other mine", Action: "block", Expression: `(http.host eq "shop.studio.example")`, Enabled: true}})
		}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := small(t)
			r := newRig(t)
			r.planes(s)
			h := hand{r, context.Background(), s}
			r.must(tc.do(h))
			if tc.want == "" {
				r.apply(s)
				h.kept(tc.name)
				return
			}
			_, before := r.cf.Counts()
			if err := r.try(h.ctx, s, quiet); err == nil {
				t.Error("it was applied all the same")
			}
			if _, after := r.cf.Counts(); len(difference(before, after)) > 0 {
				t.Errorf("something was changed: %v", difference(before, after))
			}
			found := false
			for _, line := range r.changes(s) {
				found = found || strings.HasPrefix(line, "conflict") && strings.HasPrefix(line, tc.want)
			}
			if !found {
				t.Errorf("no %q is told", tc.want)
			}
		})
	}
}

func (h hand) upload(name, module string) error {
	_, err := h.edge.Upload(h.ctx, edge.Worker{Name: name, Main: "m.mjs", CompatibilityDate: "2026-01-01",
		Modules: []edge.Module{{Name: "m.mjs", Type: "application/javascript+module", Content: []byte(module)}}}, nil)
	return err
}

// address is one of the domain below the zone.
func (h hand) address() string {
	for _, d := range h.s.Domains {
		if d.Name == "list.studio.example" {
			return d.Users[0].Address()
		}
	}
	return ""
}

// kept demands that what was made by hand is still there.
func (h hand) kept(name string) {
	h.t.Helper()
	there := false
	switch name {
	case "another Worker":
		all, err := h.edge.Workers(h.ctx)
		h.must(err)
		there = len(all) == 2
	case "a rule for another address":
		for _, rule := range h.rules() {
			there = there || rule.Address == "shop@studio.example"
		}
	case "a rule of the firewall":
		all, err := h.edge.WAFRules(h.ctx, h.zone("studio.example"), edge.CustomPhase)
		h.must(err)
		there = all[0].Ref == "mine"
	}
	if !there {
		h.t.Error("it is gone")
	}
}

// A domain that retires is led nowhere: its Email Routing ends, its null MX comes, and when it is back all is as before.
func TestRetireAndReturn(t *testing.T) {
	s := load(t, "examples/minimal/site")
	r := newRig(t)
	r.apply(s)
	gone := oneDomain(t, retired)
	r.apply(gone)
	z := r.zone("example.org")
	on, err := r.edge.Routing(context.Background(), z)
	r.must(err)
	if on.Enabled {
		t.Error("Email Routing is on for a retired domain")
	}
	if mx := r.mx(z); len(mx) != 1 || mx[0] != "." {
		t.Errorf("MX %v of a retired domain, want the null MX", mx)
	}
	r.apply(s)
	if mx := r.mx(z); len(mx) != 3 {
		t.Errorf("MX %v of a domain that is back", mx)
	}
}

func (r *rig) mx(z edge.Zone) (hosts []string) {
	records, err := r.edge.Read(context.Background(), []edge.Zone{z})
	r.must(err)
	for _, rec := range records {
		if rec.Type == "MX" {
			hosts = append(hosts, rec.Content)
		}
	}
	return hosts
}

// A zone whose own name the site does not declare is not switched on for a domain below it: that would replace the
// zone's MX records.
func TestAnUndeclaredApexIsNotSwitchedOn(t *testing.T) {
	s := oneDomain(t, func(d *model.Domain) {
		d.Name, d.CatchAll = "list.example.org", ""
		for i := range d.Users {
			d.Users[i].Domain = d.Name
		}
	})
	r := newRig(t)
	if err := r.try(context.Background(), s, quiet); err == nil {
		t.Error("it was applied")
	}
	r.must(r.edge.EnableRouting(context.Background(), r.zone("example.org"), ""))
	r.apply(s)
}
