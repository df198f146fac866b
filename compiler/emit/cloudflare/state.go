package cloudflare

import (
	"errors"
	"strings"

	"github.com/mailplan/mailplan/compiler/model"
)

// Edge is everything the site wants at Cloudflare beside its DNS records. Slices are in a stable order; what
// depends on what is for apply to know: queues and bucket, then the script, then consumers, then rules.
type Edge struct {
	AccountID string    `json:"accountID"`
	Mark      string    `json:"mark"` // begins the name of every object that has one to choose
	Zones     []Zone    `json:"zones"`
	Worker    Worker    `json:"worker"`
	Queues    []Queue   `json:"queues,omitempty"`
	Bucket    *Bucket   `json:"bucket,omitempty"`
	Tunnel    Tunnel    `json:"tunnel"`
	Access    Access    `json:"access"`
	Rulesets  []Ruleset `json:"rulesets"`
	Notes     []Note    `json:"notes,omitempty"`
}

// Zone is one zone and its Email Routing.
type Zone struct {
	Name    string  `json:"name"`
	Routing Routing `json:"routing"`
}

// Note is what the site asks for and this edge cannot give, or an operator must see to by hand.
type Note struct {
	From string `json:"from"` // site path
	Text string `json:"text"`
}

// State says what the site wants at Cloudflare beside its DNS records. The error names, by site path,
// all that Email Routing cannot do.
func State(s *model.Site) (Edge, error) {
	e := Edge{
		AccountID: s.Edge.AccountID,
		Mark:      Mark(s),
		Worker:    workerOf(s),
		Queues:    queuesOf(s),
		Bucket:    bucketOf(s),
		Tunnel:    tunnelOf(s),
		Access:    accessOf(s),
		Rulesets:  rulesetsOf(s),
		Notes:     notesOf(s),
	}
	var faults []error
	z := newZones(s)
	for _, name := range z.names {
		r, err := routingOf(s, name, z)
		if err != nil {
			faults = append(faults, err)
		}
		e.Zones = append(e.Zones, Zone{Name: name, Routing: r})
	}
	return e, errors.Join(faults...)
}

func notesOf(s *model.Site) []Note {
	list := []Note{{From: "edge.tunnel.hostnames.ingest", Text: "Bot Fight Mode must be off in this zone: no rule can exempt the Worker's posts from it."}}
	if s.Edge.Ingest.Signed || s.Edge.Spool.Enabled {
		list = append(list, Note{From: "edge.ingest.signed", Text: "The Worker hashes each message, which takes about 18 ms of CPU for 25 MiB: " +
			"Workers Free allows 10 ms, so large mail needs Workers Paid, or neither signing nor spool."})
	}
	if s.Edge.Plan == "free" {
		list = append(list, Note{From: "edge.waf.loginPerMinute", Text: "The free plan's one rate rule sees only the path, " +
			"which webmail uses for everything: nginx and Dovecot hold the rate of sign-ins there."})
	}
	if s.Edge.WAF.Managed && s.Edge.Plan == "free" {
		list = append(list, Note{From: "edge.waf.managed", Text: "The free plan has Cloudflare's small managed set only, which is on by itself."})
	}
	if s.Edge.Spool.Enabled && s.Monitoring.Alerts.Webhook == nil {
		list = append(list, Note{From: "monitoring.alerts.webhook", Text: "Without a webhook the spool's dead letters are told about in the Worker's log only."})
	}
	if a := accessOf(s); len(a.Applications) > 0 {
		list = append(list, Note{From: "edge.access", Text: "Access needs a Zero Trust organisation in the account, with a way to sign in."})
	}
	return append(list, hostNotes(s)...)
}

// hostNotes are about names that the tunnel serves and the zones cannot.
func hostNotes(s *model.Site) (list []Note) {
	z := newZones(s)
	for _, i := range hostnames(s) {
		zone := z.of(i.Hostname)
		switch {
		case zone == "":
			list = append(list, Note{From: i.From, Text: i.Hostname + " is in no declared zone: its alias to the tunnel, Access and WAF are not made."})
		case strings.Contains(strings.TrimSuffix(i.Hostname, "."+zone), "."):
			list = append(list, Note{From: i.From, Text: i.Hostname + " is more than one name below its zone: Universal SSL does not cover it, an Advanced Certificate does."})
		}
	}
	return list
}
