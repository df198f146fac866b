package rotate

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"
)

// Resolvers are asked whether a key is in DNS: several, of different operators, since each has a cache of its own.
type Resolvers []string // host or host:port

// DefaultResolvers are those of three operators.
func DefaultResolvers() Resolvers { return Resolvers{"1.1.1.1", "8.8.8.8", "9.9.9.9"} }

// patience is how long one resolver may take.
const patience = 5 * time.Second

// Publish says whether every resolver answers for a DKIM selector with the public key p, in base64.
func (r Resolvers) Publish(ctx context.Context, domain, selector, p string) (bool, error) {
	if len(r) == 0 {
		return false, errors.New("no resolver to ask")
	}
	for _, address := range r {
		texts, err := lookup(ctx, address, selector+"._domainkey."+domain+".")
		if err != nil {
			return false, err
		}
		if !Publishes(texts, p) {
			return false, nil
		}
	}
	return true, nil
}

// lookup asks one resolver for the TXT records of a name; a name that is not there has none.
func lookup(ctx context.Context, address, name string) ([]string, error) {
	if _, _, err := net.SplitHostPort(address); err != nil {
		address = net.JoinHostPort(address, "53")
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	resolver := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, address)
	}}
	texts, err := resolver.LookupTXT(ctx, name)
	var dns *net.DNSError
	if errors.As(err, &dns) && dns.IsNotFound {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("ask %s for %s: %w", address, name, err)
	}
	return texts, nil
}

// Publishes says whether the TXT records of a selector are one key record with the public key p (RFC 6376 3.6.1).
func Publishes(texts []string, p string) bool {
	if len(texts) != 1 {
		return false
	}
	for tag := range strings.SplitSeq(texts[0], ";") {
		if name, value, ok := strings.Cut(tag, "="); ok && strings.TrimSpace(name) == "p" {
			return strings.Join(strings.Fields(value), "") == p && p != ""
		}
	}
	return false
}
