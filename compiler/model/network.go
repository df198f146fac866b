package model

import (
	"fmt"
	"net/netip"
	"slices"
)

// DefaultSubnet is where the stack's networks lie when the site does not say. It is outside the pools
// from which Docker takes addresses by itself.
const DefaultSubnet = "10.203.0.0/20"

// Network is one network of the compose project: a trust zone. Who is in no common zone cannot talk.
type Network struct {
	Name     string
	Purpose  string
	Internal bool     // no way to or from the world outside
	Quiet    bool     // ports are published from it, but nobody in it can open connections to the world
	Members  []string // services in start order
	Subnet   netip.Prefix
}

// networks are the zones in the order of their subnets: new ones go to the end, or addresses move.
var networks = []Network{
	{Name: "mailserver_network", Purpose: "the way out: relay, signatures, blocklists, tunnel, off-site copies",
		Members: []string{"clamav", "rspamd", "postfix", "mailserver-api", "cloudflared", "tailscale"}},
	{Name: "db", Purpose: "who may open the database", Internal: true,
		Members: []string{"mariadb", "dovecot", "postfix", "roundcube", "usermgmt"}},
	{Name: "auth", Purpose: "SASL: whoever is in here can try passwords without limit", Internal: true,
		Members: []string{"dovecot", "postfix"}},
	{Name: "scan", Purpose: "Rspamd's scan and milter ports, and forwarding of scanned mail", Internal: true,
		Members: []string{"rspamd", "postfix", "mailserver-api"}},
	{Name: "av", Purpose: "clamd obeys anybody who reaches it", Internal: true,
		Members: []string{"clamav", "rspamd"}},
	{Name: "store", Purpose: "Rspamd's memory", Internal: true,
		Members: []string{"redis", "rspamd"}},
	{Name: "lmtp", Purpose: "LMTP has no sign-in: who is in here can deliver anything", Internal: true,
		Members: []string{"dovecot", "mailserver-api"}},
	{Name: "web", Purpose: "web names behind the tunnel", Internal: true,
		Members: []string{"roundcube", "mailserver-api", "usermgmt", "nginx", "cloudflared"}},
	{Name: "mail", Purpose: "mail clients inside: webmail, the tailnet's container", Internal: true,
		Members: []string{"dovecot", "postfix", "roundcube", "tailscale"}},
	{Name: "learn", Purpose: "moves into and out of Junk teach Rspamd", Internal: true,
		Members: []string{"rspamd", "dovecot"}},
	{Name: "clients", Purpose: "IMAP and POP3 are published from here", Quiet: true,
		Members: []string{"dovecot"}},
}

// firstHost is the host number of the first service in every zone; the gateway and Docker's own are below,
// dynamic addresses from the middle of the subnet.
const firstHost = 10

// addressed are the services with their place in the order of addresses: new ones go to the end.
var addressed = []string{"mariadb", "redis", "clamav", "rspamd", "dovecot", "postfix", "roundcube",
	"mailserver-api", "usermgmt", "nginx", "cloudflared", "tailscale"}

// Networks are the trust zones of the stack, each with its /24 of host.subnet.
func (s *Site) Networks() ([]Network, error) {
	base, err := s.subnet()
	if err != nil {
		return nil, err
	}
	out := make([]Network, len(networks))
	for i, n := range networks {
		n.Members = slices.Clone(n.Members)
		n.Subnet = slash24(base, i)
		out[i] = n
	}
	return out, nil
}

// ServiceAddress is the fixed address of a service in a network, for what must know its peers by address.
func (s *Site) ServiceAddress(service, network string) (netip.Addr, error) {
	base, err := s.subnet()
	if err != nil {
		return netip.Addr{}, err
	}
	zone := slices.IndexFunc(networks, func(n Network) bool { return n.Name == network })
	host := slices.Index(addressed, service)
	if zone < 0 || host < 0 || !slices.Contains(networks[zone].Members, service) {
		return netip.Addr{}, fmt.Errorf("%s is not in the network %s", service, network)
	}
	b := slash24(base, zone).Addr().As4()
	b[3] = byte(firstHost + host)
	return netip.AddrFrom4(b), nil
}

func (s *Site) subnet() (netip.Prefix, error) {
	text := s.Host.Subnet
	if text == "" {
		text = DefaultSubnet
	}
	p, err := netip.ParsePrefix(text)
	if err != nil || !p.Addr().Is4() || p.Bits() > 20 || p.Masked() != p {
		return p, fmt.Errorf("host.subnet %s: want an IPv4 network of /20 or wider, such as %s", text, DefaultSubnet)
	}
	return p, nil
}

func slash24(base netip.Prefix, i int) netip.Prefix {
	b := base.Addr().As4()
	b[2] += byte(i)
	return netip.PrefixFrom(netip.AddrFrom4(b), 24)
}
