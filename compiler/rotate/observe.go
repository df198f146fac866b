package rotate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"
)

// Resolvers are asked whether a key is in DNS: several, of different operators, since each has a cache of its own.
type Resolvers struct {
	Ask    []string // host or host:port
	Quorum int      // how many must answer; 0 is all
}

// patience is how long one resolver may take.
const patience = 5 * time.Second

// Publish says whether every resolver that answers has for a DKIM selector the public key p, in base64. It is an error when fewer
// answer than the quorum: then nobody knows.
func (r Resolvers) Publish(ctx context.Context, domain, selector, p string) (bool, error) {
	type answer struct {
		has bool
		err error
	}
	answers := make(chan answer, len(r.Ask))
	for _, address := range r.Ask {
		go func() {
			texts, err := lookup(ctx, address, selector+"._domainkey."+domain+".")
			answers <- answer{err == nil && Publishes(texts, p), err}
		}()
	}
	answered, everywhere := 0, true
	var silent []error
	for range r.Ask {
		if a := <-answers; a.err != nil {
			silent = append(silent, a.err)
		} else {
			answered++
			everywhere = everywhere && a.has
		}
	}
	if need := cmp.Or(r.Quorum, len(r.Ask)); answered < need || answered == 0 {
		return false, errors.Join(append([]error{fmt.Errorf("%d of %d resolvers answer, and %d must", answered, len(r.Ask), max(need, 1))}, silent...)...)
	}
	return everywhere, nil
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
