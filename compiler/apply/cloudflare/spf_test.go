package cloudflare_test

import (
	"context"
	"strings"
	"testing"

	"github.com/mailplan/mailplan/compiler/model"
)

// oneDomain is a site of one domain, changed by with.
func oneDomain(t *testing.T, with func(*model.Domain)) *model.Site {
	t.Helper()
	s := load(t, "examples/minimal/site")
	with(&s.Domains[0])
	return s
}

func asIs(*model.Domain) {}

func ownSenders(d *model.Domain) { d.SPF.Include = []string{"sendgrid.net"} }

func retired(d *model.Domain) {
	d.State = model.Retired
	d.Users = nil
}

// spf counts the SPF records of a name and tells the last one.
func (r *rig) spf(zone, name string) (n int, text string) {
	r.t.Helper()
	var state struct {
		Records []struct{ Type, Name, Content string }
	}
	r.state("zone-"+zone, &state)
	for _, rec := range state.Records {
		if rec.Type == "TXT" && rec.Name == name && strings.Contains(rec.Content, "v=spf1") {
			n, text = n+1, strings.Trim(rec.Content, `"`)
		}
	}
	return n, text
}

// From every state of a domain to every other there is exactly one SPF record after every request, once there is one,
// and what is declared at the end; also where Email Routing was on before mailplan came.
func TestThereIsAlwaysOneSPF(t *testing.T) {
	type state struct {
		name string
		site *model.Site
		spf  string
	}
	states := []state{
		{"routing's own", oneDomain(t, asIs), "v=spf1 include:_spf.mx.cloudflare.net ~all"},
		{"merged", oneDomain(t, ownSenders), "v=spf1 include:_spf.mx.cloudflare.net include:sendgrid.net ~all"},
		{"retired", oneDomain(t, retired), "v=spf1 -all"},
	}
	for _, first := range states {
		for _, next := range states {
			for _, was := range []string{"as new", "routing mail", "routing mail, unlocked"} {
				t.Run(was+", then "+first.name+", then "+next.name, func(t *testing.T) {
					r := newRig(t)
					r.planes(first.site)
					zone := r.zone("example.org")
					if was != "as new" {
						r.must(r.edge.EnableRouting(context.Background(), zone, ""))
					}
					if was == "routing mail, unlocked" {
						r.must(r.edge.UnlockRouting(context.Background(), zone, ""))
					}
					had := false
					r.after = func() {
						n, text := r.spf(zone.ID, "example.org")
						if had = had || n > 0; had && n != 1 {
							t.Errorf("%d SPF records, last %s", n, text)
						}
					}
					for _, to := range []state{first, next} {
						r.apply(to.site)
						if _, text := r.spf(zone.ID, "example.org"); text != to.spf {
							t.Errorf("%s: SPF %q", to.name, text)
						}
					}
				})
			}
		}
	}
}
