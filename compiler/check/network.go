package check

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/mailplan/mailplan/compiler/model"
)

func networkRules() []Rule {
	return []Rule{
		{ID: "bind-everywhere", Severity: Error, Holes: "S-08 S-32 C-074", Title: "no port listens on every address",
			Why: "Docker opens it past the host's firewall, to the whole Internet", find: bindEverywhere},
		{ID: "bind-public", Severity: Error, Holes: "S-32 C-003", Title: "ports listen on private addresses only",
			Why: "the design has no inbound port: mail clients come by tailnet, the web by tunnel", find: bindPublic},
		{ID: "bind-invalid", Severity: Error, Title: "bind addresses are IP addresses",
			Why: "the container would not start", find: bindInvalid},
		{ID: "port-clash", Severity: Error, Title: "each port of an address has one service",
			Why: "the second container would not start", find: portClash},
		{ID: "port-25", Severity: Error, Holes: "C-032", Title: "port 25 is not published",
			Why: "mail comes in by Email Routing; an open port 25 is only a target", find: port25},
		{ID: "tailnet-address", Severity: Error, Holes: "S-31", Title: "the tailnet address is one",
			Why: "Docker can't bind an address that the host will never have", find: tailnetAddress},
		{ID: "tailnet-tags", Severity: Warning, Holes: "S-31", Title: "the host is owned by a tag",
			Why: "a node of a person loses its key after 180 days, and mail clients lose the host", find: tailnetTags},
		{ID: "clients-unreachable", Severity: Warning, Holes: "C-039", Title: "mail clients can reach the host",
			Why: "without a tailnet the ports listen on the host's loopback; webmail is the only way in", find: clientsUnreachable},
		{ID: "tls-names", Severity: Error, Holes: "S-30", Title: "the certificate's names can be proved",
			Why: "no certificate is issued, and mail clients refuse the connection", find: tlsNames},
		{ID: "relay-tls", Severity: Warning, Holes: "C-010", Title: "the relay's certificate is verified",
			Why: "whoever sits between reads all mail and the key", find: relayTLS},
		{ID: "relay-port", Severity: Error, Title: "the relay is spoken to on a submission port",
			Why: "port 25 is closed in most home and cloud networks and carries no sign-in", find: relayPort},
		{ID: "relay-username", Severity: Error, Title: "SendGrid's user name is apikey",
			Why: "every message would wait in the queue: authentication fails", find: relayUsername},
	}
}

// listener is one published port with the site path of its address.
type listener struct {
	service string
	address string
	port    int
	path    string
}

func (c *checker) listeners() []listener {
	k := c.site.Containers
	list := []listener{
		{"postfix", k.Postfix.Address, k.Postfix.Submission, "containers.postfix"},
		{"postfix", k.Postfix.Address, k.Postfix.Submissions, "containers.postfix"},
		{"dovecot", k.Dovecot.Address, k.Dovecot.IMAPS, "containers.dovecot"},
		{"dovecot", k.Dovecot.Address, k.Dovecot.POP3S, "containers.dovecot"},
	}
	if m := c.site.Monitoring.Metrics; m.Address != "" {
		list = append(list, listener{"metrics", m.Address, m.Port, "monitoring.metrics"})
	}
	list = append(list, listener{"backup metrics", c.site.ExecutorAddress(), c.site.Monitoring.Metrics.BackupPort, "monitoring.metrics"},
		listener{"healer's metrics", c.site.ExecutorAddress(), c.site.Monitoring.Metrics.HealPort, "monitoring.metrics"},
		listener{"certificate's metrics", c.site.ExecutorAddress(), c.site.Monitoring.Metrics.CertificatePort, "monitoring.metrics"})
	for _, own := range k.Own {
		for i, p := range own.Publish {
			list = append(list, listener{own.Name, p.Address, p.Port, fmt.Sprintf("%s.publish[%d]", model.Path("containers", own.Name), i)})
		}
	}
	on := list[:0]
	for _, l := range list {
		if l.port != 0 {
			on = append(on, l)
		}
	}
	return on
}

// eachAddress calls f once for each service and address.
func (c *checker) eachAddress(f func(l listener, addr netip.Addr, err error)) {
	seen := map[string]bool{}
	for _, l := range c.listeners() {
		if key := l.path + l.address; !seen[key] {
			seen[key] = true
			addr, err := netip.ParseAddr(l.address)
			f(l, addr, err)
		}
	}
}

func bindEverywhere(c *checker) {
	c.eachAddress(func(l listener, addr netip.Addr, err error) {
		if err == nil && addr.IsUnspecified() {
			f := c.report(l.path+".address", "%s listens on %s", l.service, l.address)
			if c.site.Tailnet != nil && l.path != "monitoring.metrics" {
				f.fix(l.path+".address", `"`+c.site.Tailnet.Address+`"`)
			}
		}
	})
}

var carrierNAT = netip.MustParsePrefix("100.64.0.0/10")
var tailscaleULA = netip.MustParsePrefix("fd7a:115c:a1e0::/48")

func bindPublic(c *checker) {
	c.eachAddress(func(l listener, addr netip.Addr, err error) {
		if err == nil && !addr.IsUnspecified() && !addr.IsLoopback() && !addr.IsPrivate() && !carrierNAT.Contains(addr) {
			c.report(l.path+".address", "%s listens on the public address %s", l.service, l.address)
		}
	})
}

func bindInvalid(c *checker) {
	c.eachAddress(func(l listener, _ netip.Addr, err error) {
		if err != nil {
			c.report(l.path+".address", "%q is no IP address", l.address)
		}
	})
}

func portClash(c *checker) {
	seen := map[string]string{}
	for _, l := range c.listeners() {
		key := fmt.Sprintf("%s %d", l.address, l.port)
		if other, ok := seen[key]; ok {
			c.report(l.path, "%s and %s both listen on port %d of %s", other, l.service, l.port, l.address)
		}
		seen[key] = l.service
	}
}

func port25(c *checker) {
	for _, l := range c.listeners() {
		if l.port == 25 {
			c.report(l.path, "%s publishes port 25", l.service)
		}
	}
}

func tailnetAddress(c *checker) {
	if c.site.Tailnet == nil {
		return
	}
	addr, err := netip.ParseAddr(c.site.Tailnet.Address)
	if err != nil || !carrierNAT.Contains(addr) && !tailscaleULA.Contains(addr) {
		c.report("tailnet.address", "%s is no address of a tailnet (100.64.0.0/10, fd7a:115c:a1e0::/48)", c.site.Tailnet.Address).
			hint("`tailscale ip` on the host shows it")
	}
}

func tailnetTags(c *checker) {
	if c.site.Tailnet != nil && len(c.site.Tailnet.Tags) == 0 {
		c.report("tailnet.tags", "the host has no tag in the tailnet").fix("tailnet.tags", `["tag:mail"]`)
	}
}

func clientsUnreachable(c *checker) {
	k := c.site.Containers
	for _, address := range []string{k.Postfix.Address, k.Dovecot.Address} {
		addr, err := netip.ParseAddr(address)
		if err != nil || !addr.IsLoopback() {
			return
		}
	}
	c.report("containers.dovecot.address", "IMAP and submission listen on the loopback only").
		hint("declare tailnet: {address, hostname}")
}

func tlsNames(c *checker) {
	for _, name := range c.site.Host.TLS.Names {
		switch {
		case c.site.Host.TLS.Source == "tailscale" && (c.site.Tailnet == nil || name != c.site.Tailnet.Hostname):
			c.report("host.tls.names", "Tailscale gives certificates for tailnet.hostname only, not for %s", name)
		case c.site.Host.TLS.Source == "tailscale" && !strings.HasSuffix(name, ".ts.net"):
			c.report("host.tls.names", "%s is not below ts.net, so Tailscale gives no certificate for it", name).
				hint("tailnet.hostname is the host's whole name, such as mail.tail1234.ts.net")
		case c.site.Host.TLS.Source == "acme-dns01" && strings.HasSuffix(name, ".ts.net"):
			c.report("host.tls.names", "%s is Tailscale's: it can't be proved through your zones", name).
				hint(`name imap. and smtp. of a declared domain, or set host.tls.source: "tailscale"`)
		case c.site.Host.TLS.Source == "acme-dns01" && !c.inZone(name):
			c.report("host.tls.names", "%s lies in no declared zone, so it can't be proved there", name)
		}
	}
}

func relayTLS(c *checker) {
	if c.site.Relay.TLS != "verify" {
		c.report("relay.tls", "the certificate of %s is not verified", c.site.Relay.Host).fix("relay.tls", `"verify"`)
	}
}

func relayPort(c *checker) {
	if c.site.Relay.Port == 25 {
		c.report("relay.port", "%s is spoken to on port 25", c.site.Relay.Host).fix("relay.port", "587")
	}
}

func relayUsername(c *checker) {
	r := c.site.Relay
	if r.Provider == "sendgrid" && r.Host == "smtp.sendgrid.net" && r.Username != "apikey" {
		c.report("relay.username", "SendGrid knows no user %s", r.Username).fix("relay.username", `"apikey"`)
	}
}
