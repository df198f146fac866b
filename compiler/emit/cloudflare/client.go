package cloudflare

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/mailplan/mailplan/compiler/model"
)

// discovery tells mail clients where their servers are (RFC 6186, RFC 8314). Where the ports listen on the
// loopback only, there is nothing to tell.
func (b *builder) discovery(d *model.Domain) {
	c := &b.site.Containers
	if !d.Autoconfig {
		return
	}
	imap, submission := b.site.ClientName("imap."), b.site.ClientName("smtp.")
	b.srv(d, "_imaps", c.Dovecot.Address, c.Dovecot.IMAPS, imap)
	b.srv(d, "_pop3s", c.Dovecot.Address, c.Dovecot.POP3S, imap)
	b.srv(d, "_submissions", c.Postfix.Address, c.Postfix.Submissions, submission)
	b.srv(d, "_submission", c.Postfix.Address, c.Postfix.Submission, submission)
}

func (b *builder) srv(d *model.Domain, service, address string, port int, target string) {
	if port == 0 || !model.Reachable(address) {
		return
	}
	first := 0
	b.add(Record{Name: service + "._tcp." + d.Name, Type: "SRV", Priority: &first, Content: fmt.Sprintf("1 %d %s", port, target),
		From: d.Path() + ".autoconfig"}, "mail clients")
}

// clientHosts gives the certificate's names in our zones the address on which the mail ports listen.
// A name that has an address or an alias already keeps it.
func (b *builder) clientHosts() {
	c := &b.site.Containers
	for _, name := range b.site.Host.TLS.Names {
		address := c.Dovecot.Address
		if strings.HasPrefix(name, "smtp.") {
			address = c.Postfix.Address
		}
		if b.zones.of(name) == "" || !model.Reachable(address) || b.taken(name) {
			continue
		}
		ip, _ := netip.ParseAddr(address)
		kind := "A"
		if ip.Is6() {
			kind = "AAAA"
		}
		b.add(Record{Name: name, Type: kind, Content: ip.String(), From: "host.tls.names"}, "mail clients")
	}
}
