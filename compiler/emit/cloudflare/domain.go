package cloudflare

import (
	"strings"

	"github.com/mailplan/mailplan/compiler/emit/cloudflare/dkimkey"
	"github.com/mailplan/mailplan/compiler/model"
)

func (b *builder) domain(d *model.Domain) {
	if d.State == model.Active {
		b.receiving(d)
		b.transportPolicy(d)
		b.discovery(d)
	} else {
		b.retired(d)
	}
	b.dkim(d)
	b.dmarc(d)
	b.relayAuth(d)
	b.own(d)
}

// receiving is how an active domain takes mail: Email Routing's MX, and one SPF record of everybody who sends.
func (b *builder) receiving(d *model.Domain) {
	b.routed(d)
	spf := spfText(d.SPF)
	r := Record{Name: d.Name, Type: "TXT", Content: spf, From: d.Path() + ".spf"}
	if spf == RoutingSPF {
		r.EdgeOwned = true
	} else {
		r.Replaces = RoutingSPF
	}
	b.add(r, "SPF")
}

// routed lists what Email Routing itself keeps at a domain.
func (b *builder) routed(d *model.Domain) {
	b.add(Record{Name: d.Name, Type: "MX", Content: RoutingMX, EdgeOwned: true, From: d.Path()}, "MX")
	if d.Name == d.Zone {
		b.add(Record{Name: RoutingSelector + "._domainkey." + d.Name, Type: "TXT", EdgeOwned: true, From: d.Path()}, "DKIM")
	}
}

// retired says that the domain neither takes nor sends mail. A zone apex with an active subdomain below it
// cannot say so in DNS: Email Routing must stay on at the apex and allows no other MX there, so
// the Worker refuses its mail instead.
func (b *builder) retired(d *model.Domain) {
	from := d.Path() + ".state"
	if d.Name == d.Zone && b.zones.receives(d.Zone) {
		b.routed(d)
		b.add(Record{Name: d.Name, Type: "TXT", Content: "v=spf1 " + routingInclude + " -all", Replaces: RoutingSPF, From: from}, "SPF, retired")
		return
	}
	none := 0
	b.add(Record{Name: d.Name, Type: "MX", Content: ".", Priority: &none, From: from}, "takes no mail (RFC 7505)")
	b.add(Record{Name: d.Name, Type: "TXT", Content: "v=spf1 -all", From: from}, "sends no mail")
}

// spfText merges Email Routing's include with the declared senders into the one record that may be.
func spfText(spf model.SPF) string {
	terms := []string{"v=spf1", routingInclude}
	for _, name := range spf.Include {
		if term := "include:" + name; term != routingInclude {
			terms = append(terms, term)
		}
	}
	terms = append(terms, spf.Mechanisms...)
	return strings.Join(append(terms, spf.All), " ")
}

// dkim publishes every key: one that is retired must go on verifying what it signed.
func (b *builder) dkim(d *model.Domain) {
	for _, sel := range d.Selectors {
		r := Record{Name: sel.Name + "._domainkey." + d.Name, Type: "TXT", From: d.Path() + ".dkim.selectors." + model.Label(sel.Name)}
		switch {
		case sel.State == model.Revoked:
			r.Content = dkimkey.Revoked
		case sel.PublicKey != "":
			r.Content = dkimkey.Text(sel.Algorithm, sel.PublicKey)
		case sel.Key != nil:
			r.DKIMSecret = sel.Key.Secret
			r.Content = dkimkey.Text(sel.Algorithm, publicKeyMark(sel.Key.Secret))
		}
		b.add(r, "DKIM")
	}
}

func (b *builder) relayAuth(d *model.Domain) {
	if d.RelayAuth == nil {
		return
	}
	// DNS-only: the relay and every verifier must see the alias itself.
	add := func(c model.CNAME, field string) {
		b.add(Record{Name: c.Label + "." + d.Name, Type: "CNAME", Content: c.Target, From: d.Path() + ".relayAuth." + field}, "relay "+field)
	}
	add(d.RelayAuth.ReturnPath, "returnPath")
	for _, c := range d.RelayAuth.DKIM {
		add(c, "dkim")
	}
}

func (b *builder) own(d *model.Domain) {
	for _, r := range d.Records {
		name := d.Name
		if r.Name != "@" {
			name = r.Name + "." + d.Name
		}
		b.add(Record{Name: name, Type: r.Type, Content: r.Content, TTL: r.TTL, Priority: r.Priority, Proxied: r.Proxied,
			From: d.Path() + ".records"}, "own record")
	}
}
