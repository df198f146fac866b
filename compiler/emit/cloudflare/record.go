// Package cloudflare turns a site into what it wants of Cloudflare: DNS records, Email Routing, the
// Email Worker's script with its bindings, queues, the spool bucket, the tunnel, Access and the WAF. It is
// plain data for the edge plane to compare with the live account and for people to read (edge/*.json). It
// must not know how anything is read or changed, holds no secret, and names by reference what
// exists only after apply: a tunnel's id, a public key that is derived from a private one.
//
// Some records belong to Email Routing: it writes and locks them, chooses the priorities, and takes them
// away when it is switched off. They are listed as EdgeOwned, to be looked for and never written.
package cloudflare

import (
	"cmp"
	"slices"
	"strings"

	"github.com/mailplan/mailplan/compiler/model"
)

// What Email Routing writes by itself (facts: domains, postmaster).
const (
	// RoutingMX stands for its set of MX hosts, whose names and priorities it assigns per zone.
	RoutingMX = "*.mx.cloudflare.net"
	// RoutingSPF is its SPF record, word for word.
	RoutingSPF = "v=spf1 include:_spf.mx.cloudflare.net ~all"
	// RoutingSelector is the DKIM selector with which it signs what it forwards.
	RoutingSelector = "cf2024-1"

	routingInclude = "include:_spf.mx.cloudflare.net"
)

const ttlAuto = 1

// Record is one DNS record the site wants. Names are whole, in A-labels, without the last dot.
type Record struct {
	// Zone that holds it; empty when no declared zone does, so that somebody else must publish it.
	Zone string `json:"zone"`
	Name string `json:"name"`
	Type string `json:"type"`
	// Content is one logical string, unquoted: TXT of any length; SRV as "weight port target".
	// It may hold ${tunnel:NAME} for a tunnel's id and ${publicKey:SECRET} for a p= value: see Resolve.
	// Of an EdgeOwned record it says what is known, * for any label, empty for anything.
	Content  string `json:"content"`
	TTL      int    `json:"ttl"`                // seconds, 1 lets Cloudflare choose
	Priority *int   `json:"priority,omitempty"` // of MX and SRV; nil also where Email Routing assigns it
	Proxied  bool   `json:"proxied"`
	Comment  string `json:"comment,omitempty"` // marks what mailplan owns; at most 100 characters
	From     string `json:"from"`              // the site path that asks for it
	// DKIMSecret names the private key that the content is derived from, where the site has no publicKey.
	DKIMSecret string `json:"dkimSecret,omitempty"`
	// EdgeOwned records are Email Routing's: expected, never written.
	EdgeOwned bool `json:"edgeOwned,omitempty"`
	// Replaces is the content of Email Routing's own record that this one takes the place of. That record
	// is read-only until the zone's routing records are unlocked (Routing.Unlock); then it is changed
	// where it stands, since a second SPF record would break SPF and Email Routing both.
	Replaces string `json:"replaces,omitempty"`
}

// Mark begins the comment of every record and the name of every rule that belongs to the site; a space follows.
func Mark(s *model.Site) string { return "mailplan:" + s.Name }

// TunnelMark stands in a record's content for the id of the tunnel of that name.
func TunnelMark(tunnel string) string { return "${tunnel:" + tunnel + "}" }

func publicKeyMark(secret string) string { return "${publicKey:" + secret + "}" }

// Resolve fills the marks in the record's content: tunnelID answers for a tunnel's name, publicKey with
// the p= value for the name of a private key's secret. Records without marks come back as they are.
func (r Record) Resolve(tunnelID, publicKey func(name string) (string, error)) (Record, error) {
	var err error
	if r.Content, err = resolve(r.Content, "${tunnel:", tunnelID); err != nil {
		return r, err
	}
	r.Content, err = resolve(r.Content, "${publicKey:", publicKey)
	return r, err
}

func resolve(content, mark string, value func(string) (string, error)) (string, error) {
	before, rest, found := strings.Cut(content, mark)
	if !found {
		return content, nil
	}
	name, after, _ := strings.Cut(rest, "}")
	v, err := value(name)
	return before + v + after, err
}

// Records lists every DNS record the site wants, sorted by zone, name, type and content, each once.
func Records(s *model.Site) []Record {
	b := newBuilder(s)
	for i := range s.Domains {
		b.domain(&s.Domains[i])
	}
	b.tunnel()
	b.clientHosts()
	return b.sorted()
}

// builder collects records.
type builder struct {
	site  *model.Site
	zones zones
	list  []Record
}

func newBuilder(s *model.Site) *builder { return &builder{site: s, zones: newZones(s)} }

// add completes the record: zone and mark by the name, TTL where none is given.
func (b *builder) add(r Record, purpose string) {
	r.Zone = b.zones.of(r.Name)
	if r.TTL == 0 {
		r.TTL = ttlAuto
	}
	if !r.EdgeOwned && r.Zone != "" {
		r.Comment = Mark(b.site) + " " + purpose
	}
	b.list = append(b.list, r)
}

func (b *builder) sorted() []Record {
	slices.SortStableFunc(b.list, func(x, y Record) int {
		return cmp.Or(strings.Compare(x.Zone, y.Zone), strings.Compare(x.Name, y.Name),
			strings.Compare(x.Type, y.Type), strings.Compare(x.Content, y.Content))
	})
	return slices.CompactFunc(b.list, func(x, y Record) bool {
		return x.Zone == y.Zone && x.Name == y.Name && x.Type == y.Type && x.Content == y.Content
	})
}

// taken says whether a name already has an address or an alias, which excludes another.
func (b *builder) taken(name string) bool {
	return slices.ContainsFunc(b.list, func(r Record) bool {
		return r.Name == name && (r.Type == "A" || r.Type == "AAAA" || r.Type == "CNAME")
	})
}
