package check

import (
	"strings"

	"github.com/mailplan/mailplan/compiler/model"
)

func edgeRules() []Rule {
	return []Rule{
		{ID: "hostname-zone", Severity: Error, Holes: "S-06 C-149", Title: "web names lie in a declared zone",
			Why: "mailplan can't write the record that leads to the tunnel", find: hostnameZone},
		{ID: "hostname-shared", Severity: Error, Holes: "C-143", Title: "each web name has one service",
			Why: "the tunnel takes the first and hides the other", find: hostnameShared},
		{ID: "ingest-unsigned", Severity: Warning, Holes: "S-29", Title: "the Worker signs its requests",
			Why: "a leaked token alone would let anyone put mail into any mailbox, again and again", find: ingestUnsigned},
		{ID: "console-open", Severity: Warning, Holes: "C-073", Title: "a published console stands behind Access",
			Why: "its sign-in page is open to the whole Internet", find: consoleOpen},
		{ID: "access-unmade", Severity: Error, Holes: "C-073", Title: "what the console verifies is made by Access",
			Why: "without an application before the console there is no AUD tag, and the console would refuse everybody", find: accessUnmade},
		{ID: "subdomain-catchall", Severity: Error, Holes: "C-141", Title: "a subdomain has no catch-all",
			Why: "Email Routing has catch-all rules on whole zones only (API error 2062)", find: subdomainCatchAll},
		{ID: "subdomain-rules", Severity: Error, Holes: "C-141", Title: "a subdomain has at most 200 addresses",
			Why: "each needs a routing rule of its own, and a zone has 200", find: subdomainRules},
	}
}

// webNames are the published names with the site path that declares each.
func (c *checker) webNames() []struct{ name, path string } {
	h := c.site.Edge.Tunnel.Hostnames
	names := []struct{ name, path string }{
		{h.Webmail, "edge.tunnel.hostnames.webmail"},
		{h.Ingest, "edge.tunnel.hostnames.ingest"},
		{h.Console, "edge.tunnel.hostnames.console"},
	}
	for _, own := range c.site.Containers.Own {
		names = append(names, struct{ name, path string }{own.Hostname, model.Path("containers", own.Name, "hostname")})
	}
	return names
}

func hostnameZone(c *checker) {
	for _, n := range c.webNames() {
		if n.name != "" && !c.inZone(n.name) {
			c.report(n.path, "%s lies in no declared zone", n.name)
		}
	}
}

func (c *checker) inZone(name string) bool {
	for _, d := range c.site.Domains {
		if name == d.Zone || strings.HasSuffix(name, "."+d.Zone) {
			return true
		}
	}
	return false
}

func hostnameShared(c *checker) {
	seen := map[string]bool{}
	for _, n := range c.webNames() {
		if n.name != "" && seen[n.name] {
			c.report(n.path, "%s is another service's name already", n.name)
		}
		seen[n.name] = true
	}
}

func ingestUnsigned(c *checker) {
	if !c.site.Edge.Ingest.Signed {
		c.report("edge.ingest.signed", "requests of the Worker carry a bearer token and no signature").
			fix("edge.ingest.signed", "true")
	}
}

func consoleOpen(c *checker) {
	if name := c.site.Edge.Tunnel.Hostnames.Console; name != "" && !c.site.Edge.Access.Console {
		c.report("edge.access.console", "%s is published without Access before it", name).fix("edge.access.console", "true")
	}
}

func accessUnmade(c *checker) {
	edge := c.site.Edge
	if edge.Access.Verify == nil || edge.Access.Verify.Audience != "" {
		return
	}
	switch {
	case edge.Tunnel.Hostnames.Console == "":
		c.report("edge.access.verify", "the console has no host name, so Access makes no tokens for it").
			hint("declare edge.tunnel.hostnames.console")
	case !edge.Access.Console:
		c.report("edge.access.verify", "Access does not stand before %s, so it makes no tokens for it", edge.Tunnel.Hostnames.Console).
			fix("edge.access.console", "true")
	}
}

func subdomainCatchAll(c *checker) {
	c.active(func(d model.Domain) {
		if d.Zone != d.Name && d.CatchAll != "" {
			c.report(d.Path()+".catchAll", "%s is a subdomain of the zone %s and can't have a catch-all", d.Name, d.Zone).
				hint("declare the addresses as aliases")
		}
	})
}

func subdomainRules(c *checker) {
	c.active(func(d model.Domain) {
		if n := len(d.Users) + len(d.Aliases); d.Zone != d.Name && n > 200 {
			c.report(d.Path(), "%s is a subdomain of the zone %s and has %d addresses", d.Name, d.Zone, n)
		}
	})
}
