package route

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/mailplan/mailplan/runtime/config"
)

// ErrUnknownDomain says that the domain is not one of the table's.
var ErrUnknownDomain = errors.New("not a domain of this site")

// ErrUnknownRecipient says that the domain is ours but no mailbox, alias or catch-all takes the address.
var ErrUnknownRecipient = errors.New("no such recipient")

// ErrLoop says that the aliases of an address lead nowhere but to each other.
var ErrLoop = errors.New("aliases form a loop")

// ErrTooMany says that an address leads to more than [MaxTargets].
var ErrTooMany = fmt.Errorf("more than %d targets", MaxTargets)

// Target is one place that mail goes to.
type Target struct {
	Address string // what the mail store or smarthost is given; subaddress included
	Mailbox string // the address without subaddress: one message reaches a mailbox once
	Outside bool   // not of this site: goes through the smarthost
}

// Table answers where mail goes. Build it with [New]; it does not change afterwards.
type Table struct{ domains map[string]domain }

type domain struct {
	users      map[string]struct{}
	refused    map[string]struct{}
	aliases    map[string][]string
	catchAll   []string
	subaddress string
}

// MaxTargets bounds how many targets one address may expand to.
const MaxTargets = 1000

// New builds a table and checks it: every target must be an address, every name lower case. It
// reports all problems at once.
func New(from *config.Table) (*Table, error) {
	t := &Table{domains: make(map[string]domain, len(from.Domains))}
	var errs []error
	for name, d := range from.Domains {
		if name != strings.ToLower(name) || !isDomain(name) {
			errs = append(errs, fmt.Errorf("domain %q: %w", name, ErrAddress))
			continue
		}
		t.domains[name] = newDomain(name, d, &errs)
	}
	return t, errors.Join(errs...)
}

func newDomain(name string, from config.TableDomain, errs *[]error) domain {
	d := domain{users: make(map[string]struct{}, len(from.Users)), refused: make(map[string]struct{}, len(from.Refused)),
		aliases: make(map[string][]string, len(from.Aliases)), subaddress: from.Subaddress}
	check := func(s, what string) string {
		a, err := ParseAddress(whole(s, name))
		if err != nil {
			*errs = append(*errs, fmt.Errorf("domain %s: %s %q: %w", name, what, s, err))
		}
		return a.String()
	}
	for _, u := range from.Users {
		if check(u, "user"); u != strings.ToLower(u) || strings.Contains(u, "@") {
			*errs = append(*errs, fmt.Errorf("domain %s: user %q is not a lower-case localpart", name, u))
		}
		d.users[u] = struct{}{}
	}
	for _, u := range from.Refused {
		check(u, "refused localpart")
		d.refused[u] = struct{}{}
	}
	for alias, targets := range from.Aliases {
		check(alias, "alias")
		for _, target := range targets {
			d.aliases[alias] = append(d.aliases[alias], check(target, "target of alias "+alias))
		}
	}
	for _, target := range from.CatchAll {
		d.catchAll = append(d.catchAll, check(target, "catch-all target"))
	}
	return d
}

// whole completes a localpart that stands alone.
func whole(s, domain string) string {
	if strings.LastIndexByte(s, '@') > 0 {
		return s
	}
	return s + "@" + domain
}

// HasDomain says whether the domain is one of the table's.
func (t *Table) HasDomain(name string) bool { _, ok := t.domains[name]; return ok }

// Resolve expands an address to its targets, each mailbox once, in the order of the table.
func (t *Table) Resolve(a Address) ([]Target, error) {
	r := resolver{table: t, seen: map[string]bool{}}
	err := r.expand(a, true)
	if err == nil && len(r.targets) > MaxTargets {
		err = ErrTooMany
	}
	if err != nil {
		return nil, err
	}
	if len(r.targets) == 0 {
		return nil, ErrLoop
	}
	return r.targets, nil
}

type resolver struct {
	table   *Table
	seen    map[string]bool // addresses already expanded
	targets []Target
}

// expand adds the targets of one address. Only the address that mail came to (top) makes errors: a
// dead target within an alias must not stop the living ones.
func (r *resolver) expand(a Address, top bool) error {
	d, ours := r.table.domains[a.Domain]
	if !ours {
		if top {
			return ErrUnknownDomain
		}
		r.add(Target{Address: a.String(), Mailbox: a.String(), Outside: true})
		return nil
	}
	local := strings.ToLower(a.Localpart)
	next, mailbox, ok := d.find(local)
	if !ok {
		return ErrUnknownRecipient
	}
	if _, user := d.users[local]; user && r.seen[local+"@"+a.Domain] {
		mailbox = local // an alias that names itself means the mailbox of that name
	}
	if mailbox != "" {
		r.add(Target{Address: local + "@" + a.Domain, Mailbox: mailbox + "@" + a.Domain})
		return nil
	}
	return r.expandAll(local+"@"+a.Domain, next)
}

func (r *resolver) expandAll(from string, next []string) error {
	if r.seen[from] {
		return nil
	}
	r.seen[from] = true
	var firstErr error
	for _, target := range next {
		a, err := ParseAddress(target)
		if err == nil {
			err = r.expand(a, false)
		}
		if err != nil && firstErr == nil {
			firstErr = err
		}
	}
	if len(r.targets) == 0 {
		return firstErr
	}
	return nil
}

func (r *resolver) add(t Target) {
	known := slices.ContainsFunc(r.targets, func(o Target) bool { return o.Mailbox == t.Mailbox })
	if !known && len(r.targets) <= MaxTargets { // one more tells that there are too many
		r.targets = append(r.targets, t)
	}
}

// find looks a lower-case localpart up: alias, user, refused, the same without subaddress, catch-all. It
// returns either what to expand next or the mailbox.
func (d domain) find(local string) (next []string, mailbox string, ok bool) {
	names := []string{local}
	if base, _, found := strings.Cut(local, d.subaddress); found && d.subaddress != "" && base != "" {
		names = append(names, base)
	}
	for _, name := range names {
		if next, ok := d.aliases[name]; ok {
			return next, "", true
		}
		if _, ok := d.users[name]; ok {
			return nil, name, true
		}
		if _, ok := d.refused[name]; ok {
			return nil, "", false
		}
	}
	return d.catchAll, "", len(d.catchAll) > 0
}
