// Package challenge proves to a certificate authority that names are ours, by TXT records in their zones (ACME's dns-01,
// RFC 8555 8.4). The zones are Cloudflare's. It never leaves a record behind for good: each bears a mark, and what a run
// that was killed left is found by it. It must not know what the certificate is for.
package challenge

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/mholt/acmez/v3/acme"
)

// Solver writes and removes the records of one site. It implements acmez's Solver and Waiter.
type Solver struct {
	DNS   *Cloudflare
	Zones []string // in which the names lie
	Mark  string   // comment of our records, the site's alone
	Names Servers

	silent bool // no name server can be asked from here

	mu    sync.Mutex
	held  map[string]Zone
	moved map[string]string // name of a challenge -> where CNAMEs lead it
}

// ttl is the shortest that every plan has, in seconds.
const ttl = 60

// cleaning is how long removing records may take when the run itself was told to stop.
const cleaning = 30 * time.Second

// hops bounds a chain of CNAMEs.
const hops = 8

// Present adds the record of a challenge, where CNAMEs of our zones lead its name.
func (s *Solver) Present(ctx context.Context, c acme.Challenge) error {
	name := s.place(c)
	for range hops {
		z, err := s.zone(ctx, name)
		if err != nil {
			return err
		}
		err = s.DNS.Add(ctx, z, Record{Name: name, Content: c.DNS01KeyAuthorization(), TTL: ttl, Comment: s.Mark})
		var refused *Refusal
		if !errors.As(err, &refused) || !refused.has(alias) {
			return err
		}
		target, lookUp := s.DNS.Alias(ctx, z, name)
		if lookUp != nil || target == "" {
			return errors.Join(err, lookUp)
		}
		if s.closest(target) == "" {
			return fmt.Errorf("%s is a CNAME to %s, which lies in none of the zones %s: remove that record, or lead it into one of them",
				name, target, strings.Join(s.Zones, ", "))
		}
		name = target
		s.move(c, name)
	}
	return fmt.Errorf("%s: more than %d CNAMEs one after another", c.DNS01TXTRecordName(), hops)
}

// place is the name at which the record of a challenge stands.
func (s *Solver) place(c acme.Challenge) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return cmp.Or(s.moved[c.DNS01TXTRecordName()], c.DNS01TXTRecordName())
}

func (s *Solver) move(c acme.Challenge, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.moved == nil {
		s.moved = map[string]string{}
	}
	s.moved[c.DNS01TXTRecordName()] = name
}

// Wait ends when the zone's name servers show the record.
func (s *Solver) Wait(ctx context.Context, c acme.Challenge) error {
	name := s.place(c)
	z, err := s.zone(ctx, name)
	if err != nil {
		return err
	}
	if s.silent { // as it was for the name before
		return nil
	}
	s.silent, err = s.Names.Show(ctx, z.NameServers, name, c.DNS01KeyAuthorization())
	return err
}

// CleanUp removes the record, also when the run was told to stop.
func (s *Solver) CleanUp(ctx context.Context, c acme.Challenge) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleaning)
	defer cancel()
	z, err := s.zone(ctx, s.place(c))
	if err != nil {
		return err
	}
	return s.remove(ctx, z, func(r Record) bool { return unquoted(r.Content) == c.DNS01KeyAuthorization() })
}

// Sweep removes every record of ours, of whatever run.
func (s *Solver) Sweep(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleaning)
	defer cancel()
	var errs []error
	for _, name := range s.Zones {
		z, err := s.lookUp(ctx, name)
		if err == nil {
			err = s.remove(ctx, z, func(Record) bool { return true })
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func (s *Solver) remove(ctx context.Context, z Zone, which func(Record) bool) error {
	found, err := s.DNS.Marked(ctx, z, s.Mark)
	if err != nil {
		return err
	}
	var errs []error
	for _, r := range found {
		if which(r) {
			errs = append(errs, s.DNS.Remove(ctx, z, r))
		}
	}
	return errors.Join(errs...)
}

// closest is the zone closest above a name; empty where it lies in none.
func (s *Solver) closest(name string) (closest string) {
	for _, z := range s.Zones {
		if (name == z || strings.HasSuffix(name, "."+z)) && len(z) > len(closest) {
			closest = z
		}
	}
	return closest
}

// zone is the closest above a name.
func (s *Solver) zone(ctx context.Context, name string) (Zone, error) {
	closest := s.closest(name)
	if closest == "" {
		return Zone{}, fmt.Errorf("%s lies in none of the zones %s", name, strings.Join(s.Zones, ", "))
	}
	return s.lookUp(ctx, closest)
}

// lookUp asks for each zone once.
func (s *Solver) lookUp(ctx context.Context, name string) (Zone, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if z, ok := s.held[name]; ok {
		return z, nil
	}
	z, err := s.DNS.Zone(ctx, name)
	if err != nil {
		return z, err
	}
	if s.held == nil {
		s.held = map[string]Zone{}
	}
	s.held[name] = z
	return z, nil
}

// unquoted is the text of a TXT record as the API gives it, with or without quotes.
func unquoted(content string) string { return strings.Trim(content, `"`) }
