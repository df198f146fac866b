package check

import (
	"fmt"
	"net/netip"

	"github.com/mailplan/mailplan/compiler/model"
)

func recordRules() []Rule {
	return []Rule{
		{ID: "record-value", Severity: Error, Title: "a record holds what its type wants",
			Why: "Cloudflare refuses it, in the middle of an apply", find: recordValue},
		{ID: "record-cname", Severity: Error, Title: "a CNAME stands alone at its name (RFC 1034 3.6.2)",
			Why: "Cloudflare refuses the second record", find: recordCNAME},
		{ID: "record-doubled", Severity: Error, Title: "no record is declared twice",
			Why: "Cloudflare refuses the second one", find: recordDoubled},
		{ID: "record-mx", Severity: Error, Holes: "S-07 C-140", Title: "the MX of a mail domain is Email Routing's",
			Why: "Email Routing can't be switched on beside a foreign MX", find: recordMX},
		{ID: "record-proxied", Severity: Error, Title: "only A, AAAA and CNAME are proxied",
			Why: "Cloudflare refuses it", find: recordProxied},
	}
}

func recordPath(d model.Domain, i int) string { return fmt.Sprintf("%s.records[%d]", d.Path(), i) }

func recordName(d model.Domain, r model.Record) string {
	if r.Name == "@" {
		return d.Name
	}
	return r.Name + "." + d.Name
}

func recordValue(c *checker) {
	eachRecord(c, func(d model.Domain, r model.Record, path string) {
		if why := wrongValue(r); why != "" {
			c.report(path, "%s %s: %s", r.Type, recordName(d, r), why)
		}
	})
}

func wrongValue(r model.Record) string {
	addr, err := netip.ParseAddr(r.Content)
	switch {
	case r.Type == "A" && (err != nil || !addr.Is4()):
		return fmt.Sprintf("%q is no IPv4 address", r.Content)
	case r.Type == "AAAA" && (err != nil || !addr.Is6()):
		return fmt.Sprintf("%q is no IPv6 address", r.Content)
	case (r.Type == "MX" || r.Type == "SRV") && r.Priority == nil:
		return "it needs a priority"
	case r.Type == "TXT" && len(r.Content) > 2048:
		return fmt.Sprintf("%d bytes, Cloudflare takes 2048", len(r.Content))
	}
	return ""
}

func recordCNAME(c *checker) {
	for _, d := range c.site.Domains {
		names := map[string]int{}
		for _, r := range d.Records {
			names[r.Name]++
		}
		for i, r := range d.Records {
			switch {
			case r.Type != "CNAME":
			case r.Name == "@":
				c.report(recordPath(d, i), "%s can't be a CNAME: the domain has MX and TXT records", d.Name)
			case names[r.Name] > 1:
				c.report(recordPath(d, i), "%s is a CNAME and has other records", recordName(d, r))
			}
		}
	}
}

func recordDoubled(c *checker) {
	for _, d := range c.site.Domains {
		seen := map[string]bool{}
		for i, r := range d.Records {
			key := r.Type + " " + r.Name + " " + r.Content
			if seen[key] {
				c.report(recordPath(d, i), "%s %s %q is declared twice", r.Type, recordName(d, r), r.Content)
			}
			seen[key] = true
		}
	}
}

func recordMX(c *checker) {
	eachRecord(c, func(d model.Domain, r model.Record, path string) {
		if r.Type == "MX" && r.Name == "@" && d.State == model.Active {
			c.report(path, "%s gets an MX beside Email Routing's: %s", d.Name, r.Content)
		}
	})
}

func recordProxied(c *checker) {
	eachRecord(c, func(d model.Domain, r model.Record, path string) {
		if r.Proxied && r.Type != "A" && r.Type != "AAAA" && r.Type != "CNAME" {
			c.report(path, "%s %s is proxied", r.Type, recordName(d, r)).fix(path+".proxied", "false")
		}
	})
}
