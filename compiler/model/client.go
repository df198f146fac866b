package model

import (
	"net/netip"
	"slices"
	"strings"
)

// ClientName is the host name by which mail clients reach a service: the certificate's name that begins with
// prefix (imap. or smtp.), else its first.
func (s *Site) ClientName(prefix string) string {
	names := s.Host.TLS.Names
	i := slices.IndexFunc(names, func(n string) bool { return strings.HasPrefix(n, prefix) })
	return names[max(i, 0)]
}

// ProvingZones are those that the certificate's names lie in, in the order of the domains.
func (s *Site) ProvingZones() []string {
	var zones []string
	for _, d := range s.Domains {
		inside := func(name string) bool { return name == d.Zone || strings.HasSuffix(name, "."+d.Zone) }
		if !slices.Contains(zones, d.Zone) && slices.ContainsFunc(s.Host.TLS.Names, inside) {
			zones = append(zones, d.Zone)
		}
	}
	return zones
}

// Reachable says whether mail clients elsewhere can connect to an address that ports of the host are bound
// to, and so whether it is worth telling anybody.
func Reachable(address string) bool {
	ip, err := netip.ParseAddr(address)
	return err == nil && !ip.IsLoopback() && !ip.IsUnspecified()
}
