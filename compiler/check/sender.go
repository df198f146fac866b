package check

import (
	"strings"

	"github.com/mailplan/mailplan/compiler/model"
)

func senderRules() []Rule {
	return []Rule{
		{ID: "spf-lookups", Severity: Error, Holes: "S-05 C-142", Title: "SPF needs at most 10 look-ups (RFC 7208 4.6.4)",
			Why: "with more, receivers treat the record as broken: permerror", find: spfLookups},
		{ID: "spf-void", Severity: Error, Holes: "C-142", Title: "SPF has at most 2 void look-ups (RFC 7208 4.6.4)",
			Why: "names that answer nothing count, and a third one breaks the record", find: spfVoid},
		{ID: "spf-ptr", Severity: Warning, Title: "SPF does without ptr (RFC 7208 5.5)",
			Why: "it is slow, unreliable, and many receivers ignore it", find: spfPtr},
		{ID: "spf-single", Severity: Error, Holes: "S-05", Title: "a domain has one SPF record (RFC 7208 3.2)",
			Why: "two break SPF, and Email Routing with it", find: spfSingle},
		{ID: "spf-neutral", Severity: Warning, Title: "SPF ends in ~all or -all",
			Why: "?all says nothing about forgers", find: spfNeutral},
		{ID: "relay-unauthenticated", Severity: Warning, Holes: "S-05 C-021", Title: "the relay is authenticated for the domain",
			Why: "bounces then go to the relay's own domain and SPF does not align; only our DKIM signature is left for DMARC", find: relayAuth},
		{ID: "dmarc-single", Severity: Error, Title: "a domain has one DMARC record (RFC 7489 6.6.3)",
			Why: "with two, receivers apply none", find: dmarcSingle},
		{ID: "dmarc-unaligned", Severity: Error, Holes: "C-021", Title: "a DMARC policy has a signature to rely on",
			Why: "our own mail would fail the policy that we publish", find: dmarcUnaligned},
		{ID: "report-address", Severity: Error, Holes: "C-147", Title: "report addresses receive mail",
			Why: "reports are refused, and whoever sends them stops", find: reportAddress},
		{ID: "dmarc-reports", Severity: Warning, Holes: "C-147", Title: "DMARC reports go somewhere",
			Why: "without them nobody sees whose mail fails before a policy refuses it", find: dmarcReports},
	}
}

// nested counts the look-ups inside well-known included records, the include itself not counted (as of 2026-11).
var nested = map[string]int{
	"_spf.mx.cloudflare.net":     0,
	"sendgrid.net":               1,
	"_spf.google.com":            3,
	"spf.protection.outlook.com": 0,
	"amazonses.com":              0,
	"mailgun.org":                2,
	"servers.mcsv.net":           0,
	"spf.mandrillapp.com":        0,
	"zoho.com":                   1,
}

func spfLookups(c *checker) {
	for _, d := range c.site.Domains {
		count := 1 // Cloudflare's include is always there
		for _, name := range d.SPF.Include {
			count += 1 + nested[name]
		}
		for _, m := range d.SPF.Mechanisms {
			if looksUp(m) {
				count++
			}
		}
		if count > 10 {
			c.report(d.Path()+".spf", "SPF of %s needs at least %d look-ups, 10 are allowed", d.Name, count).
				hint("replace includes by ip4: and ip6: mechanisms")
		}
	}
}

// looksUp says whether a mechanism costs a DNS look-up: all but ip4 and ip6.
func looksUp(mechanism string) bool {
	name := strings.TrimLeft(mechanism, "+-~?")
	return !strings.HasPrefix(name, "ip4") && !strings.HasPrefix(name, "ip6")
}

// spfVoid counts names inside declared domains for which nothing is declared.
func spfVoid(c *checker) {
	for _, d := range c.site.Domains {
		var void []string
		for _, m := range d.SPF.Mechanisms {
			kind, name, _ := strings.Cut(strings.TrimLeft(m, "+-~?"), ":")
			if kind == "a" && name != "" && c.undeclared(name) {
				void = append(void, name)
			}
		}
		for _, name := range d.SPF.Include {
			if c.undeclared(name) {
				void = append(void, name)
			}
		}
		if len(void) > 2 {
			c.report(d.Path()+".spf", "SPF of %s asks for %d names that are not declared (%s), 2 void look-ups are allowed",
				d.Name, len(void), strings.Join(void, ", "))
		}
	}
}

// undeclared says that a name lies in a declared domain and no record of it is declared.
func (c *checker) undeclared(name string) bool {
	for _, d := range c.site.Domains {
		label, ok := strings.CutSuffix(name, "."+d.Name)
		if !ok {
			continue
		}
		for _, r := range d.Records {
			if r.Name == label {
				return false
			}
		}
		return true
	}
	return false
}

func spfPtr(c *checker) {
	for _, d := range c.site.Domains {
		for _, m := range d.SPF.Mechanisms {
			if strings.HasPrefix(strings.TrimLeft(m, "+-~?"), "ptr") {
				c.report(d.Path()+".spf.mechanisms", "SPF of %s uses %s", d.Name, m)
			}
		}
	}
}

func spfSingle(c *checker) {
	eachRecord(c, func(d model.Domain, r model.Record, path string) {
		if r.Type == "TXT" && r.Name == "@" && strings.HasPrefix(strings.ToLower(r.Content), "v=spf1") {
			c.report(path, "%s gets a second SPF record: mailplan writes one from spf", d.Name).
				hint("move its terms to spf.include and spf.mechanisms")
		}
	})
}

func spfNeutral(c *checker) {
	for _, d := range c.site.Domains {
		if d.SPF.All == "?all" {
			c.report(d.Path()+".spf.all", "SPF of %s ends in ?all", d.Name).fix(d.Path()+".spf.all", `"~all"`)
		}
	}
}

func relayAuth(c *checker) {
	c.active(func(d model.Domain) {
		if d.RelayAuth == nil && c.site.Relay.Provider == "sendgrid" && !includesRelay(d) {
			c.report(d.Path(), "%s is not authenticated at SendGrid: no relayAuth, and SPF does not include it", d.Name).
				hint("SendGrid, Settings, Sender Authentication shows the names for relayAuth")
		}
	})
}

func includesRelay(d model.Domain) bool {
	for _, name := range d.SPF.Include {
		if name == "sendgrid.net" {
			return true
		}
	}
	return false
}

func dmarcSingle(c *checker) {
	eachRecord(c, func(d model.Domain, r model.Record, path string) {
		if r.Type == "TXT" && r.Name == "_dmarc" {
			c.report(path, "%s gets a second DMARC record: mailplan writes one from dmarc", d.Name)
		}
	})
}

func dmarcUnaligned(c *checker) {
	c.active(func(d model.Domain) {
		if _, signs := d.Signing(); !signs && d.RelayAuth == nil && d.DMARC.Policy == "reject" {
			c.report(d.Path()+".dmarc.policy", "%s asks others to reject what is not signed for it, and signs nothing", d.Name).
				hint("declare a DKIM selector or relayAuth first")
		}
	})
}

func reportAddress(c *checker) {
	for _, d := range c.site.Domains {
		c.reports(d.Path()+".dmarc.rua", "DMARC", d, d.DMARC.RUA)
		c.reports(d.Path()+".dmarc.ruf", "DMARC failure", d, d.DMARC.RUF)
		c.reports(d.Path()+".tlsRPT.rua", "TLS", d, d.TLSRPT.RUA)
	}
}

func (c *checker) reports(path, kind string, d model.Domain, addresses []string) {
	for _, a := range addresses {
		_, domain, _ := model.SplitAddress(a)
		if why := c.routes.Resolve(a).Refused; c.routes.Ours(domain) && why != "" {
			c.report(path, "%s reports on %s go to %s: %s", kind, d.Name, a, why)
		}
	}
}

func dmarcReports(c *checker) {
	c.active(func(d model.Domain) {
		if len(d.DMARC.RUA) == 0 {
			c.report(d.Path()+".dmarc", "DMARC reports on %s go nowhere", d.Name).
				hint("declare the address dmarc-reports as a user or an alias, or set dmarc.rua")
		}
	})
}

func eachRecord(c *checker, f func(d model.Domain, r model.Record, path string)) {
	for _, d := range c.site.Domains {
		for i, r := range d.Records {
			f(d, r, recordPath(d, i))
		}
	}
}
