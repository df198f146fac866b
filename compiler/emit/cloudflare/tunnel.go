package cloudflare

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mailplan/mailplan/compiler/model"
)

// Tunnel is the Cloudflare Tunnel and its whole ingress document, which is remotely managed.
type Tunnel struct {
	Name    string    `json:"name"`
	Ingress []Ingress `json:"ingress"`           // in this order; the last one, without a host name, catches all
	Rotated string    `json:"rotated,omitempty"` // day since which its token is good: a later one asks for another
	From    string    `json:"from"`
}

// Ingress leads a host name to a service of the stack.
type Ingress struct {
	Hostname string `json:"hostname,omitempty"`
	Service  string `json:"service"`
	// ConnectTimeout in seconds, as the API wants it; 0 is cloudflared's own.
	ConnectTimeout int    `json:"connectTimeout,omitempty"`
	From           string `json:"from"`
}

// The services behind the tunnel, as the compose networks name them.
const (
	nginxService   = "http://nginx:80"
	consoleService = "http://usermgmt:8080"
	nothing        = "http_status:404"
)

// originTimeout is short: a container that does not answer is down, and the Worker wants to know soon.
const originTimeout = 10

func tunnelOf(s *model.Site) Tunnel {
	return Tunnel{
		Name:    s.Edge.Tunnel.Name,
		From:    "edge.tunnel",
		Rotated: s.Secrets.Names[s.Edge.Tunnel.Token.Secret].Rotated,
		Ingress: append(hostnames(s), Ingress{Service: nothing, From: "edge.tunnel"}),
	}
}

// hostnames lists what the tunnel serves, sorted by kind, then name.
func hostnames(s *model.Site) []Ingress {
	var list []Ingress
	add := func(hostname, service, from string) {
		taken := func(i Ingress) bool { return i.Hostname == hostname }
		if hostname != "" && !slices.ContainsFunc(list, taken) {
			list = append(list, Ingress{Hostname: hostname, Service: service, ConnectTimeout: originTimeout, From: from})
		}
	}
	names := s.Edge.Tunnel.Hostnames
	add(names.Ingest, fmt.Sprintf("http://mailserver-api:%d", s.Edge.Ingest.Port), "edge.tunnel.hostnames.ingest")
	add(names.Webmail, nginxService, "edge.tunnel.hostnames.webmail")
	add(names.Console, consoleService, "edge.tunnel.hostnames.console")
	for _, d := range s.Domains {
		if d.State != model.Active {
			continue
		}
		if d.Autoconfig && model.Reachable(s.Containers.Dovecot.Address) {
			add("autoconfig."+d.Name, nginxService, d.Path()+".autoconfig")
			add("autodiscover."+d.Name, nginxService, d.Path()+".autoconfig")
		}
		if d.MTASTS.Mode != "none" {
			add("mta-sts."+d.Name, nginxService, d.Path()+".mtaSTS")
		}
	}
	for _, c := range s.Containers.Own {
		add(c.Hostname, fmt.Sprintf("http://%s:%d", c.Name, c.Port), "containers."+model.Label(c.Name)+".hostname")
	}
	return list
}

// tunnel gives every host name of the ingress document its alias, so that the two cannot part.
func (b *builder) tunnel() {
	target := TunnelMark(b.site.Edge.Tunnel.Name) + ".cfargotunnel.com"
	for _, i := range hostnames(b.site) {
		service := strings.TrimPrefix(i.Service, "http://")
		b.add(Record{Name: i.Hostname, Type: "CNAME", Content: target, Proxied: true, From: i.From}, "tunnel to "+service)
	}
}
