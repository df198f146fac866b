package decode

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/mailplan/mailplan/compiler/model"
)

// fill derives what the author left out. The order matters: later ones read earlier ones.
func (d *decoder) fill() {
	d.hostnames()
	d.tunnel()
	d.names()
	d.tlsNames()
	d.bindAddresses()
	d.sizes()
	d.tags()
	d.containers()
	d.zones()
}

// hostnames turns every host name of the site into A-labels.
func (d *decoder) hostnames() {
	s := d.site
	for path, name := range map[string]*string{
		"relay.host":                    &s.Relay.Host,
		"edge.tunnel.hostnames.webmail": &s.Edge.Tunnel.Hostnames.Webmail,
		"edge.tunnel.hostnames.ingest":  &s.Edge.Tunnel.Hostnames.Ingest,
		"edge.tunnel.hostnames.console": &s.Edge.Tunnel.Hostnames.Console,
	} {
		*name = d.host(path, *name)
	}
	if s.Tailnet != nil {
		s.Tailnet.Hostname = d.host("tailnet.hostname", s.Tailnet.Hostname)
	}
	for i := range s.Host.TLS.Names {
		s.Host.TLS.Names[i] = d.host("host.tls.names", s.Host.TLS.Names[i])
	}
	for i := range s.Containers.Own {
		own := &s.Containers.Own[i]
		own.Hostname = d.host(model.Path("containers", own.Name, "hostname"), own.Hostname)
	}
}

// tunnel names webmail and ingest below the only domain.
func (d *decoder) tunnel() {
	h := &d.site.Edge.Tunnel.Hostnames
	if h.Webmail != "" && h.Ingest != "" || len(d.site.Domains) == 0 {
		return
	}
	if len(d.site.Domains) > 1 {
		first := d.firstDomain()
		d.problem("edge.tunnel.hostnames", "several domains are declared, so both host names must be written",
			fmt.Sprintf("edge: tunnel: hostnames: {webmail: %q, ingest: %q}", cmp.Or(h.Webmail, "mail."+first), cmp.Or(h.Ingest, "mail-api."+first)))
		return
	}
	h.Webmail = cmp.Or(h.Webmail, "mail."+d.site.Domains[0].Name)
	h.Ingest = cmp.Or(h.Ingest, "mail-api."+d.site.Domains[0].Name)
}

func (d *decoder) names() {
	s := d.site
	e := &s.Edge
	e.Tunnel.Name = cmp.Or(e.Tunnel.Name, s.Name)
	e.Worker.Name = cmp.Or(e.Worker.Name, s.Name+"-mail")
	e.Spool.Bucket = cmp.Or(e.Spool.Bucket, s.Name+"-spool")
	e.Spool.Queue = cmp.Or(e.Spool.Queue, s.Name+"-spool")
}

// tlsNames are those by which clients reach the mail ports: what the certificate's source can prove.
func (d *decoder) tlsNames() {
	s := d.site
	switch {
	case len(s.Host.TLS.Names) > 0:
	case s.Tailnet != nil && s.Host.TLS.Source == "tailscale":
		s.Host.TLS.Names = []string{s.Tailnet.Hostname}
	case len(d.domains) > 0:
		first := d.firstDomain()
		s.Host.TLS.Names = []string{"imap." + first, "smtp." + first}
	}
}

// firstDomain is the one that stands first in the author's files.
func (d *decoder) firstDomain() string {
	first, at := "", d.src.Pos("domains")
	for _, domain := range d.site.Domains {
		pos := d.src.Pos(domain.Path())
		if first == "" || pos.Before(at) {
			first, at = domain.Name, pos
		}
	}
	return first
}

func (d *decoder) bindAddresses() {
	address := "127.0.0.1"
	if d.site.Tailnet != nil {
		address = d.site.Tailnet.Address
	}
	c := &d.site.Containers
	c.Postfix.Address = cmp.Or(c.Postfix.Address, address)
	c.Dovecot.Address = cmp.Or(c.Dovecot.Address, address)
}

// sizes fit the scanners and webmail to the largest message. Base64 makes 3 bytes 4, and a message has
// headers and text beside its attachment.
func (d *decoder) sizes() {
	c := &d.site.Containers
	largest := max(d.site.Edge.Ingest.MaxMessageMiB, c.Postfix.MaxMessageMiB)
	c.Rspamd.MaxMessageMiB = cmp.Or(c.Rspamd.MaxMessageMiB, largest)
	c.ClamAV.MaxMessageMiB = cmp.Or(c.ClamAV.MaxMessageMiB, largest+clamMarginMiB)
	c.Roundcube.MaxAttachmentMiB = cmp.Or(c.Roundcube.MaxAttachmentMiB, max(1, c.Postfix.MaxMessageMiB*3/4))
	if c.ClamAV.ConcurrentReload == nil {
		on := c.ClamAV.Memory >= concurrentReloadMemory
		c.ClamAV.ConcurrentReload = &on
	}
}

// clamMarginMiB is headroom for what Rspamd unpacks; concurrentReloadMemory holds two signature sets.
const (
	clamMarginMiB                       = 25
	concurrentReloadMemory model.Memory = 3 * 1024
)

func (d *decoder) tags() {
	off := d.site.Backup.Offsite
	if off == nil {
		return
	}
	for tag, value := range map[string]string{"Environment": off.Terraform.Environment, "ManagedBy": "terraform"} {
		if off.Terraform.Tags[tag] == "" {
			off.Terraform.Tags[tag] = value
		}
	}
}

func (d *decoder) containers() {
	for i := range d.site.Containers.Own {
		for j := range d.site.Containers.Own[i].Publish {
			p := &d.site.Containers.Own[i].Publish[j]
			p.ContainerPort = cmp.Or(p.ContainerPort, p.Port)
		}
	}
}

// zones fills what belongs to each domain; the report address needs the routes of all.
func (d *decoder) zones() {
	routes := model.NewRoutes(d.site)
	for i := range d.site.Domains {
		domain := &d.site.Domains[i]
		path := domain.Path()
		domain.Zone = cmp.Or(d.host(path+".zone", domain.Zone), domain.Name)
		reports := "dmarc-reports@" + domain.Name
		if len(domain.DMARC.RUA) == 0 && routes.Resolve(reports).Refused == "" {
			domain.DMARC.RUA = []string{reports}
		}
		d.addresses(path+".dmarc.rua", domain.DMARC.RUA)
		d.addresses(path+".dmarc.ruf", domain.DMARC.RUF)
		d.addresses(path+".tlsRPT.rua", domain.TLSRPT.RUA)
		for j := range domain.SPF.Include {
			domain.SPF.Include[j] = d.host(path+".spf.include", domain.SPF.Include[j])
		}
		if auth := domain.RelayAuth; auth != nil {
			auth.ReturnPath.Target = d.host(path+".relayAuth.returnPath.target", auth.ReturnPath.Target)
			for j := range auth.DKIM {
				auth.DKIM[j].Target = d.host(path+".relayAuth.dkim", auth.DKIM[j].Target)
			}
		}
	}
}

func (d *decoder) addresses(path string, list []string) {
	for i := range list {
		list[i] = d.address(path, list[i])
	}
}

// sort puts every list with names into the order of its names.
func (d *decoder) sort() {
	s := d.site
	slices.SortFunc(s.Domains, func(a, b model.Domain) int { return strings.Compare(a.Name, b.Name) })
	for i := range s.Domains {
		slices.SortFunc(s.Domains[i].Users, func(a, b model.User) int { return strings.Compare(a.Localpart, b.Localpart) })
	}
	slices.SortFunc(s.Containers.Own, func(a, b model.OwnContainer) int { return strings.Compare(a.Name, b.Name) })
}
