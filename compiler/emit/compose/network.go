package compose

import (
	"net/netip"
	"slices"

	"github.com/compose-spec/compose-go/v2/types"
)

// peer says by which network a service reaches another when they have several in common. Docker's own
// answer to the name may be the address in another one, where the port does not listen.
type peer struct{ service, name, network string }

var peers = []peer{
	{"dovecot", "postfix", "auth"},
	{"postfix", "dovecot", "auth"},
	{"postfix", "rspamd", "scan"},
	{"rspamd", "clamav", "av"},
	{"cloudflared", "mailserver-api", "web"},
	{"mailserver-api", "dovecot", "lmtp"},
	{"mailserver-api", "rspamd", "scan"},
	{"mailserver-api", "postfix", "scan"},
	{"roundcube", "dovecot", "mail"},
	{"roundcube", "postfix", "mail"},
}

func (b *builder) networks() {
	zones, err := b.site.Networks()
	if err != nil {
		b.fail(err)
		return
	}
	for _, z := range zones {
		n := types.NetworkConfig{Driver: "bridge", Internal: z.Internal, Ipam: types.IPAMConfig{
			Config: []*types.IPAMPool{{Subnet: z.Subnet.String(), IPRange: upperHalf(z.Subnet)}}}}
		switch {
		case z.Quiet:
			n.DriverOpts = types.Options{"com.docker.network.bridge.enable_ip_masquerade": "false"}
		case !z.Internal:
			// Those who share the way out are not thereby of one zone: clamd, say, obeys whoever reaches it.
			n.DriverOpts = types.Options{"com.docker.network.bridge.enable_icc": "false"}
		}
		b.out.Networks[z.Name] = n
		b.reason("networks/"+z.Name, z.Purpose)
	}
}

// upperHalf is where Docker may take addresses by itself; fixed ones are below.
func upperHalf(p netip.Prefix) string {
	a := p.Addr().As4()
	a[3] |= 0x80
	return netip.PrefixFrom(netip.AddrFrom4(a), p.Bits()+1).String()
}

// join puts a service into its zones, each with its fixed address.
func (b *builder) join(name string, svc *types.ServiceConfig) {
	zones, err := b.site.Networks()
	if err != nil {
		b.fail(err)
		return
	}
	for _, z := range zones {
		if !slices.Contains(z.Members, name) {
			continue
		}
		if svc.Networks == nil {
			svc.Networks = map[string]*types.ServiceNetworkConfig{}
		}
		svc.Networks[z.Name] = &types.ServiceNetworkConfig{Ipv4Address: b.address(name, z.Name)}
	}
	for _, p := range peers {
		if p.service == name {
			if svc.ExtraHosts == nil {
				svc.ExtraHosts = types.HostsList{}
			}
			svc.ExtraHosts[p.name] = []string{b.address(p.name, p.network)}
		}
	}
}

func (b *builder) address(service, network string) string {
	a, err := b.site.ServiceAddress(service, network)
	if err != nil {
		b.fail(err)
	}
	return a.String()
}
