package cloudflare

import (
	"slices"
	"strings"

	"github.com/mailplan/mailplan/compiler/model"
)

// zones are the declared zones, sorted, with the domains of each.
type zones struct {
	names   []string
	domains map[string][]*model.Domain
}

func newZones(s *model.Site) zones {
	z := zones{domains: map[string][]*model.Domain{}}
	for i := range s.Domains {
		d := &s.Domains[i]
		z.names = append(z.names, d.Zone)
		z.domains[d.Zone] = append(z.domains[d.Zone], d)
	}
	slices.Sort(z.names)
	z.names = slices.Compact(z.names)
	return z
}

// of is the zone that holds a name: the longest declared one above it, empty if there is none.
func (z zones) of(name string) string {
	best := ""
	for _, zone := range z.names {
		if below(name, zone) && len(zone) > len(best) {
			best = zone
		}
	}
	return best
}

// receives says whether any domain of the zone takes mail, so that Email Routing must be on in it.
func (z zones) receives(zone string) bool {
	return slices.ContainsFunc(z.domains[zone], func(d *model.Domain) bool { return d.State == model.Active })
}

// below says whether name is the domain or stands below it.
func below(name, domain string) bool {
	return name == domain || strings.HasSuffix(name, "."+domain)
}
