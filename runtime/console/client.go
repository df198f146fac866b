package console

import (
	"net/http"
	"net/netip"
	"slices"
)

// client is the address a request came from: that of the connection, or what the tunnel says of it. Only the tunnel
// is believed, since anybody can write the header.
func (s *Server) client(r *http.Request) netip.Addr {
	remote, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	peer := remote.Addr().Unmap()
	if !slices.ContainsFunc(s.proxies, func(p netip.Prefix) bool { return p.Contains(peer) }) {
		return peer
	}
	values := r.Header.Values("CF-Connecting-IP")
	if len(values) != 1 {
		return peer
	}
	if said, err := netip.ParseAddr(values[0]); err == nil {
		return said.Unmap().WithZone("")
	}
	return peer
}

// throttleKey is what a client is counted by: an IPv6 customer has a whole /64.
func throttleKey(client netip.Addr) string {
	if client.Is6() {
		if p, err := client.Prefix(64); err == nil {
			return p.String()
		}
	}
	return client.String()
}
