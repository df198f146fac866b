package check

import (
	"net/netip"
	"time"

	"github.com/mailplan/mailplan/compiler/model"
)

// declaredRules look at values that have the right form and mean nothing.
func declaredRules() []Rule {
	return []Rule{
		{ID: "domains-none", Severity: Error, Title: "the site has a domain",
			Why: "there is no mail without one, and an apply would take away what an earlier one made", find: domainsNone},
		{ID: "date-unknown", Severity: Error, Title: "dates exist",
			Why: "what counts days from it would count from another", find: dateUnknown},
		{ID: "subnet-invalid", Severity: Error, Title: "the containers' networks fit into host.subnet",
			Why: "Docker could not make them", find: subnetInvalid},
		{ID: "subnet-overlap", Severity: Error, Title: "no declared address lies among the containers",
			Why: "the host would look for it on its own bridges, and find nobody", find: subnetOverlap},
	}
}

func domainsNone(c *checker) {
	if len(c.site.Domains) == 0 {
		c.report("domains", "no domain is declared")
	}
}

func dateUnknown(c *checker) {
	look := func(path, date string) {
		if _, err := time.Parse(time.DateOnly, date); date != "" && err != nil {
			c.report(path, "there is no day %s", date)
		}
	}
	look("edge.worker.compatibilityDate", c.site.Edge.Worker.CompatibilityDate)
	for _, d := range c.site.Domains {
		for _, u := range d.Users {
			look(u.Path(d)+".since", u.Since)
		}
		for _, s := range d.Selectors {
			look(d.Path()+".dkim.selectors."+model.Label(s.Name)+".since", s.Since)
		}
	}
	for _, secret := range c.site.Inventory() {
		look("secrets.names."+model.Label(secret.Name)+".rotated", c.site.Secrets.Names[secret.Name].Rotated)
	}
}

func subnetInvalid(c *checker) {
	if _, err := c.site.Networks(); err != nil {
		c.report("host.subnet", "%s is no IPv4 network of /20 or wider, from its first address", c.site.Host.Subnet).
			fix("host.subnet", `"`+model.DefaultSubnet+`"`)
	}
}

func subnetOverlap(c *checker) {
	networks, err := c.site.Networks()
	if err != nil {
		return
	}
	among := func(path, address string) {
		addr, err := netip.ParseAddr(address)
		for _, n := range networks {
			if err == nil && n.Subnet.Contains(addr) {
				c.report(path, "%s lies in the containers' network %s (%s)", address, n.Name, n.Subnet).
					or("host.subnet").hint("set host.subnet to a network that is free")
			}
		}
	}
	if c.site.Tailnet != nil {
		among("tailnet.address", c.site.Tailnet.Address)
	}
	c.eachAddress(func(l listener, _ netip.Addr, _ error) { among(l.path+".address", l.address) })
}
