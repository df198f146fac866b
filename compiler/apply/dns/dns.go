// Package dns is the part of the edge plane that is DNS: it says which records a site wants and which live in its
// zones, as objects of a plan, and carries changes of them out through the edge driver. It knows record semantics
// (one SPF, one DMARC record, who owns what) and nothing of HTTP.
package dns

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/mailplan/mailplan/compiler/apply/edge"
	"github.com/mailplan/mailplan/compiler/apply/tunnel"
	"github.com/mailplan/mailplan/compiler/emit/cloudflare"
	"github.com/mailplan/mailplan/compiler/model"
	"github.com/mailplan/mailplan/compiler/plan"
)

// Kind of the objects.
const Kind = "record"

// Plane holds the records of one site's zones. TunnelID and PublicKey resolve what is known only to the account
// and to the secrets; an unknown tunnel is the empty id.
type Plane struct {
	Site      *model.Site
	Past      []string // domains that were declared at the last apply and are not any more
	Edge      *edge.Edge
	TunnelID  func(ctx context.Context, name string) (string, error)
	PublicKey func(secret string) (string, error)

	known   bool
	records []edge.Record // as Live last read them
}

// value is what is compared and applied: a record without ownership and identifier.
type value struct {
	Zone     string  `json:"zone"`
	Name     string  `json:"name"`
	Type     string  `json:"type"`
	Content  string  `json:"content"`
	TTL      int     `json:"ttl"`
	Priority *uint16 `json:"priority,omitempty"`
	Proxied  bool    `json:"proxied,omitempty"`
}

// Name is the plane's.
func (p *Plane) Name() plan.Plane { return plan.Edge }

// Kinds are what it knows of the plane.
func (p *Plane) Kinds() []string { return []string{Kind} }

// Desired lists the records that mailplan itself writes; those of Email Routing come with it. Of these the SPF record
// is wanted all the same: one that is there before Email Routing is switched on stays, so there is never none.
func (p *Plane) Desired(ctx context.Context) ([]plan.Object, error) {
	var objects []plan.Object
	for _, r := range cloudflare.Records(p.Site) {
		if r.Zone == "" || r.EdgeOwned && !strings.HasPrefix(r.Content, spfVersion) {
			continue
		}
		resolved, err := r.Resolve(func(name string) (string, error) { return p.tunnel(ctx, name) }, p.PublicKey)
		if err != nil {
			return nil, fmt.Errorf("record %s %s: %w", r.Type, r.Name, err)
		}
		o := object(wanted(resolved), r.From)
		if name, ok := tunnelOf(r.Content); ok {
			o.Needs = append(o.Needs, tunnel.Ref(name))
		}
		objects = append(objects, o)
	}
	return objects, nil
}

// tunnelOf is the name of the tunnel whose id a content is to hold.
func tunnelOf(content string) (string, bool) {
	name, _, marked := strings.Cut(strings.TrimPrefix(content, "${tunnel:"), "}")
	return name, marked && strings.HasPrefix(content, "${tunnel:")
}

// tunnel keeps the mark of a tunnel that does not live yet.
func (p *Plane) tunnel(ctx context.Context, name string) (string, error) {
	id, err := p.TunnelID(ctx, name)
	if err != nil || id != "" {
		return id, err
	}
	return cloudflare.TunnelMark(name), nil
}

func wanted(r cloudflare.Record) edge.Record {
	w := edge.Record{Zone: r.Zone, Name: r.Name, Type: r.Type, Content: r.Content, TTL: r.TTL, Proxied: r.Proxied, Comment: r.Comment}
	if r.Priority != nil {
		n := uint16(*r.Priority)
		w.Priority = &n
	}
	return edge.Canonical(w)
}

// Live reads the records of the site's zones. Those that mailplan did not make for this site are foreign.
func (p *Plane) Live(ctx context.Context) ([]plan.Object, error) {
	zones, err := p.zones(ctx)
	if err != nil {
		return nil, err
	}
	p.records, err = p.Edge.Read(ctx, zones)
	if err != nil {
		return nil, err
	}
	p.known = true
	declared := p.declared()
	objects := make([]plan.Object, 0, len(p.records))
	for _, r := range p.records {
		o := object(edge.Canonical(r), "")
		o.Handle = r.ID
		o.Foreign = r.ReadOnly || edge.Owner(r.Comment) != p.Site.Name
		if routings(r) && declared[o.ID] {
			o.Foreign = false
		}
		o.Keep = p.outlives(r)
		objects = append(objects, o)
	}
	return objects, nil
}

// outlives says that a record is the key of a domain that was dropped: what it signed of late must verify yet.
func (p *Plane) outlives(r edge.Record) bool {
	_, domain, ok := strings.Cut(r.Name, "._domainkey.")
	return ok && slices.Contains(p.Past, domain)
}

// Records are those of the site's zones. It reads them only if nothing did before.
func (p *Plane) Records(ctx context.Context) ([]edge.Record, error) {
	if !p.known {
		if _, err := p.Live(ctx); err != nil {
			return nil, err
		}
	}
	return p.records, nil
}

// zones are the site's and those of its past domains.
func (p *Plane) zones(ctx context.Context) ([]edge.Zone, error) {
	past, err := p.Edge.Holding(ctx, p.Past)
	if err != nil {
		return nil, err
	}
	zones, err := p.Edge.Zones(ctx, ZoneNames(p.Site))
	for _, z := range past {
		if !slices.Contains(zones, z) {
			zones = append(zones, z)
		}
	}
	return zones, err
}

// ZoneNames lists the site's zones, sorted.
func ZoneNames(s *model.Site) []string {
	var names []string
	for _, d := range s.Domains {
		names = append(names, d.Zone)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Apply carries out a run of changes, zone by zone, in as few calls as the API allows.
func (p *Plane) Apply(ctx context.Context, changes []plan.Change) error {
	zones, err := p.zones(ctx)
	if err != nil {
		return err
	}
	byZone := map[string]*edge.Changes{}
	for _, c := range changes {
		if p.lent(c) {
			if err := p.SettleSPF(ctx, strings.TrimPrefix(c.ID, spfID)); err != nil {
				return err
			}
			continue
		}
		if err := p.add(ctx, byZone, c); err != nil {
			return err
		}
	}
	for _, z := range zones {
		if batch := byZone[z.Name]; batch != nil {
			if _, err := p.Edge.Batch(ctx, z, *batch); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p *Plane) add(ctx context.Context, byZone map[string]*edge.Changes, c plan.Change) error {
	data := c.New
	if c.Verb == plan.Delete {
		data = c.Old
	}
	var v value
	if err := json.Unmarshal(data, &v); err != nil {
		return fmt.Errorf("change of %s: %w", c.ID, err)
	}
	r, err := p.record(ctx, v)
	if err != nil {
		return err
	}
	r.ID = c.Handle
	batch := byZone[v.Zone]
	if batch == nil {
		batch = &edge.Changes{}
		byZone[v.Zone] = batch
	}
	switch c.Verb {
	case plan.Create:
		batch.Posts = append(batch.Posts, r)
	case plan.Update:
		batch.Patches = append(batch.Patches, r)
	default:
		batch.Deletes = append(batch.Deletes, r)
	}
	return nil
}

// record is the value with the site's mark, and with the id of a tunnel that was made since the plan.
func (p *Plane) record(ctx context.Context, v value) (edge.Record, error) {
	r := edge.Record{Zone: v.Zone, Name: v.Name, Type: v.Type, Content: v.Content, TTL: v.TTL, Priority: v.Priority, Proxied: v.Proxied,
		Comment: edge.Mark(p.Site.Name, "")}
	name, marked := tunnelOf(v.Content)
	if !marked {
		return r, nil
	}
	id, err := p.TunnelID(ctx, name)
	if err == nil && id == "" {
		err = fmt.Errorf("record %s %s: the tunnel %s does not exist", v.Type, v.Name, name)
	}
	r.Content = strings.Replace(v.Content, cloudflare.TunnelMark(name), id, 1)
	return r, err
}

func object(r edge.Record, from string) plan.Object {
	v := value{Zone: r.Zone, Name: r.Name, Type: r.Type, Content: r.Content, TTL: r.TTL, Priority: r.Priority, Proxied: r.Proxied}
	return plan.Object{Plane: plan.Edge, Kind: Kind, ID: id(r), Value: plan.Encode(v), Show: show(v), From: from,
		Phase: phase(r), Sole: sole(r), Effects: effects(r)}
}

// id groups records of a name: an SPF record is none of the other texts there.
func id(r edge.Record) string {
	if spf(r) {
		return spfID + r.Name
	}
	return r.Type + " " + r.Name
}

// sole names are those where a second record breaks the first: SPF (RFC 7208 3.2), DMARC (RFC 7489 6.6.3),
// DKIM (RFC 6376 3.6.2.2), aliases (RFC 1034 3.6.2).
func sole(r edge.Record) bool {
	return spf(r) || r.Type == "CNAME" || r.Type == "TXT" && (strings.HasPrefix(r.Name, "_dmarc.") || strings.Contains(r.Name, "._domainkey."))
}

func phase(r edge.Record) plan.Phase {
	if r.Type == "MX" {
		return plan.Route
	}
	return plan.Publish
}

// effects of a DKIM key are on signatures, of an MX on the mail of its domain.
func effects(r edge.Record) []string {
	switch {
	case r.Type == "MX":
		return []string{plan.EffectMX(r.Name)}
	case r.Type == "TXT" && strings.Contains(r.Name, "._domainkey."):
		return []string{plan.EffectKey(r.Name)}
	}
	return nil
}

func show(v value) string {
	s := v.Content
	if v.Type == "TXT" {
		s = `"` + s + `"`
	}
	if v.Priority != nil {
		s = fmt.Sprintf("%d %s", *v.Priority, s)
	}
	if v.Proxied {
		s += " proxied"
	}
	if v.TTL != 1 {
		s += fmt.Sprintf(" ttl %d", v.TTL)
	}
	return s
}
