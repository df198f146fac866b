// Package trace tells the way of one address through the whole system: MX, routing rule, Worker, tunnel, ingest, scan,
// aliases, quota, sieve. It turns (model, address) into steps, each with the site path that decides it. What it
// says of recipients is what model.Routes says; nothing here decides anew.
package trace

import (
	"fmt"
	"strings"

	"github.com/mailplan/mailplan/compiler/model"
)

// Trace is the answer for one address.
type Trace struct {
	Address   string   `json:"address"`
	Steps     []Step   `json:"steps"`
	Mailboxes []string `json:"mailboxes"`
	Outside   []string `json:"outside"`
	Refused   string   `json:"refused,omitempty"` // why, when nobody receives it
}

// Step is one station. Path is the site path that decides it.
type Step struct {
	Station string `json:"station"`
	Text    string `json:"text"`
	Path    string `json:"path,omitempty"`
	Pos     string `json:"pos,omitempty"` // file:line, filled in by whoever knows the files
}

// Address follows the mail for an address.
func Address(s *model.Site, address string) Trace {
	route := model.NewRoutes(s).Resolve(address)
	t := &tracer{site: s, trace: Trace{Address: route.Address, Mailboxes: route.Mailboxes, Outside: route.Outside, Refused: route.Refused}}
	t.follow(route)
	return t.trace
}

type tracer struct {
	site  *model.Site
	trace Trace
}

func (t *tracer) step(station, path, format string, args ...any) {
	t.trace.Steps = append(t.trace.Steps, Step{Station: station, Text: fmt.Sprintf(format, args...), Path: path})
}

func (t *tracer) follow(route model.Route) {
	d, ok := t.domain(route.Address)
	if !ok {
		t.step("MX", "domains", "not a domain of this site: its mail never comes here")
		return
	}
	t.edge(d)
	if route.Refused != "" {
		t.step("Worker", lastPath(route, d), "refused in the SMTP session: %s", route.Refused)
		return
	}
	t.step("Worker", "edge.worker", "%s accepts: a known recipient", t.site.Edge.Worker.Name)
	t.host()
	t.deliver(route)
}

func (t *tracer) domain(address string) (model.Domain, bool) {
	_, name, _ := model.SplitAddress(address)
	for _, d := range t.site.Domains {
		if d.Name == name {
			return d, true
		}
	}
	return model.Domain{}, false
}

// lastPath is the site line that refuses: the last hop's, else the domain's.
func lastPath(route model.Route, d model.Domain) string {
	if n := len(route.Hops); n > 0 {
		return route.Hops[n-1].Path
	}
	return d.Path()
}

func (t *tracer) edge(d model.Domain) {
	t.step("MX", d.Path(), "Cloudflare Email Routing takes mail for %s", d.Name)
	if d.Zone == d.Name {
		t.step("rule", d.Path(), "catch-all to the Worker %s", t.site.Edge.Worker.Name)
		return
	}
	t.step("rule", d.Path()+".zone", "one literal rule an address, since %s lies in the zone %s", d.Name, d.Zone)
}

func (t *tracer) host() {
	e := t.site.Edge
	t.step("tunnel", "edge.tunnel.hostnames.ingest", "https://%s to mailserver-api:%d", e.Tunnel.Hostnames.Ingest, e.Ingest.Port)
	if e.Spool.Enabled {
		t.step("spool", "edge.spool", "kept at the edge for up to %d days while the host is away", e.Spool.RetentionDays)
	} else {
		t.step("spool", "edge.spool.enabled", "off: while the host is away the sender keeps the mail and tries again")
	}
	signed := "bearer token"
	if e.Ingest.Signed {
		signed += " and signature"
	}
	t.step("ingest", "edge.ingest", "%s; at most %d MiB", signed, e.Ingest.MaxMessageMiB)
	v := e.Ingest.Verdict
	t.step("scan", "edge.ingest.verdict", "Rspamd and ClamAV: spam %s, probable spam %s, virus %s, no scanner %s",
		v.Spam, v.ProbableSpam, v.Virus, v.ScannerDown)
}

func (t *tracer) deliver(route model.Route) {
	for _, h := range route.Hops {
		switch h.Kind {
		case "user", "outside":
		case "subaddress":
			t.step("subaddress", h.Path, "%s, detail %q", h.Address, route.Detail)
		case "catchAll":
			t.step("catch-all", h.Path, "%s", h.Address)
		case "loop":
			t.step("alias", h.Path, "%s again: the loop ends here", h.Address)
		case "bounce":
			t.step("ingest", h.Path, "a rewritten sender (SRS): a bounce to it goes on to the sender, if the signature is this site's and not too old")
		case "retired":
			t.step("retired", h.Path, "%s receives nothing any more", h.Address)
		default:
			t.step(h.Kind, h.Path, "%s to %s", h.Address, strings.Join(t.targets(h.Address), ", "))
		}
	}
	for _, address := range route.Mailboxes {
		t.mailbox(address, route.Detail)
	}
	for _, address := range route.Outside {
		t.step("relay", "relay", "%s by Postfix and %s, sender rewritten (SRS)", address, t.site.Relay.Host)
	}
}

func (t *tracer) targets(alias string) []string {
	d, _ := t.domain(alias)
	for _, a := range d.Aliases {
		if a.Address() == alias {
			return a.Targets
		}
	}
	return nil
}

func (t *tracer) mailbox(address, detail string) {
	d, _ := t.domain(address)
	for _, u := range d.Users {
		if u.Address() != address {
			continue
		}
		quota := "without bound"
		if u.QuotaMB > 0 {
			quota = fmt.Sprintf("%d MiB", u.QuotaMB)
		}
		t.step("mailbox", u.Path(d), "%s, quota %s, by LMTP to Dovecot", address, quota)
	}
	folder := "INBOX"
	if detail != "" {
		folder = fmt.Sprintf("INBOX (filters see the detail %q)", detail)
	}
	t.step("sieve", "containers.dovecot", "X-Spam to Junk, doubled deliveries dropped, the rest to %s", folder)
}
