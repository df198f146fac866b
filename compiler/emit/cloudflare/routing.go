package cloudflare

import (
	"errors"
	"fmt"

	"github.com/mailplan/mailplan/compiler/model"
)

// Bounds of Email Routing (facts: limits, subdomains).
const (
	maxRules      = 200 // per zone, literal ones
	maxSubdomains = 29  // 30 domains per zone, its apex included
)

// Routing is what a zone wants of Email Routing.
type Routing struct {
	Enabled bool `json:"enabled"`
	// Apex says that the zone's own name is a declared domain. Where it is not, Email Routing must be on
	// at the apex before a subdomain can join, and apply does not switch it on: that replaces the apex's MX.
	Apex bool `json:"apex"`
	// Unlock frees the zone's routing records, so that the merged SPF can take the place of Email Routing's.
	Unlock bool `json:"unlock"`
	// Subaddress lets user+detail match the rule of user. It is one switch for the whole zone; the
	// Worker decides per domain.
	Subaddress bool `json:"subaddress"`
	// Subdomains with Email Routing of their own, beside the apex.
	Subdomains []string `json:"subdomains,omitempty"`
	// CatchAll leads the apex's mail to the Worker, which knows the valid recipients; nil leaves it alone.
	CatchAll *Rule `json:"catchAll,omitempty"`
	// Rules are the literal ones of subdomains, which have no catch-all (API code 2062).
	Rules []Rule `json:"rules,omitempty"`
	From  string `json:"from"`
}

// Rule leads mail to a Worker. To is empty for the catch-all.
type Rule struct {
	Name   string `json:"name"`
	To     string `json:"to,omitempty"`
	Worker string `json:"worker"`
	From   string `json:"from"`
}

func routingOf(s *model.Site, zone string, z zones) (Routing, error) {
	r := Routing{Enabled: z.receives(zone), From: z.domains[zone][0].Path()}
	var faults []error
	for _, d := range z.domains[zone] {
		switch {
		case d.Name == zone && r.Enabled:
			r.apex(s, d)
		case d.State == model.Active:
			faults = append(faults, r.subdomain(s, d))
		}
	}
	if len(r.Rules) > maxRules {
		faults = append(faults, fmt.Errorf("%s: %d addresses below the zone %s, but Email Routing has at most %d rules: make the domain a zone of its own",
			r.Rules[maxRules].From, len(r.Rules), zone, maxRules))
	}
	if len(r.Subdomains) > maxSubdomains {
		faults = append(faults, fmt.Errorf("%s: %d subdomains in the zone %s, but Email Routing has at most %d", r.From, len(r.Subdomains), zone, maxSubdomains))
	}
	return r, errors.Join(faults...)
}

func (r *Routing) apex(s *model.Site, d *model.Domain) {
	r.Apex, r.From = true, d.Path()
	r.CatchAll = &Rule{Name: Mark(s) + " all recipients", Worker: s.Edge.Worker.Name, From: d.Path()}
	r.join(d)
}

func (r *Routing) subdomain(s *model.Site, d *model.Domain) error {
	r.Subdomains = append(r.Subdomains, d.Name)
	r.join(d)
	add := func(address, from string) {
		r.Rules = append(r.Rules, Rule{Name: Mark(s) + " " + address, To: address, Worker: s.Edge.Worker.Name, From: from})
	}
	for _, u := range d.Users {
		if u.Receives() {
			add(u.Address(), u.Path(*d))
		}
	}
	for _, a := range d.Aliases {
		add(a.Address(), d.Path()+".aliases."+model.Label(a.Localpart))
	}
	if d.CatchAll != "" {
		return fmt.Errorf("%s.catchAll: %s is below the zone %s, where Email Routing has no catch-all: make it a zone of its own, or drop the catch-all",
			d.Path(), d.Name, d.Zone)
	}
	return nil
}

func (r *Routing) join(d *model.Domain) {
	r.Subaddress = r.Subaddress || d.State == model.Active && d.Subaddress
	r.Unlock = r.Unlock || d.State != model.Active || spfText(d.SPF) != RoutingSPF
}
