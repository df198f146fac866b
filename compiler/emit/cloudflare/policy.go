package cloudflare

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mailplan/mailplan/compiler/model"
)

// dmarc publishes the policy (RFC 7489 section 6.3), and for report addresses elsewhere the consent that
// their domain must give (section 7.1).
func (b *builder) dmarc(d *model.Domain) {
	from := d.Path() + ".dmarc"
	b.add(Record{Name: "_dmarc." + d.Name, Type: "TXT", Content: dmarcText(d.DMARC), From: from}, "DMARC")
	for _, address := range slices.Concat(d.DMARC.RUA, d.DMARC.RUF) {
		_, host, _ := model.SplitAddress(address)
		if below(host, d.Zone) || below(d.Name, host) {
			continue
		}
		b.add(Record{Name: d.Name + "._report._dmarc." + host, Type: "TXT", Content: "v=DMARC1", From: from}, "takes DMARC reports")
	}
}

func dmarcText(p model.DMARC) string {
	tags := []string{"v=DMARC1", "p=" + p.Policy}
	if p.SubdomainPolicy != "" && p.SubdomainPolicy != p.Policy {
		tags = append(tags, "sp="+p.SubdomainPolicy)
	}
	if p.Percent != 100 {
		tags = append(tags, fmt.Sprintf("pct=%d", p.Percent))
	}
	if p.Alignment == "s" {
		tags = append(tags, "adkim=s")
	}
	if len(p.RUA) > 0 {
		tags = append(tags, "rua="+mailtos(p.RUA))
	}
	if len(p.RUF) > 0 {
		tags = append(tags, "ruf="+mailtos(p.RUF))
	}
	return strings.Join(tags, "; ")
}

// transportPolicy publishes MTA-STS (RFC 8461) and TLS reporting (RFC 8460). The policy itself is
// served at mta-sts.DOMAIN, through the tunnel.
func (b *builder) transportPolicy(d *model.Domain) {
	if d.MTASTS.Mode != "none" {
		b.add(Record{Name: "_mta-sts." + d.Name, Type: "TXT", Content: "v=STSv1; id=" + d.MTASTS.PolicyID(), From: d.Path() + ".mtaSTS"}, "MTA-STS")
	}
	if len(d.TLSRPT.RUA) > 0 {
		b.add(Record{Name: "_smtp._tls." + d.Name, Type: "TXT", Content: "v=TLSRPTv1; rua=" + mailtos(d.TLSRPT.RUA), From: d.Path() + ".tlsRPT"}, "TLS reports")
	}
}

// mailtos joins addresses to a list of URIs. A comma, an exclamation mark and a semicolon have a meaning in
// the record, a per cent sign in the URI (RFC 7489 section 6.2, RFC 6068 section 2).
func mailtos(addresses []string) string {
	escape := strings.NewReplacer("%", "%25", ",", "%2C", "!", "%21", ";", "%3B", "?", "%3F", "&", "%26", "#", "%23")
	uris := make([]string, len(addresses))
	for i, a := range addresses {
		uris[i] = "mailto:" + escape.Replace(a)
	}
	return strings.Join(uris, ",")
}
