package model

import (
	"regexp"
	"slices"
	"strings"
)

// Routes answers where mail for an address goes. It is the one place that knows how users, aliases,
// catch-alls and subaddresses (RFC 5233) play together; what is emitted for the runtime and the Worker follows it.
type Routes struct {
	domains map[string]*routeDomain
	srs     string
}

type routeDomain struct {
	path       string // in the site
	zone       string
	active     bool
	subaddress bool
	users      map[string]*User
	aliases    map[string]*Alias
	catchAll   string
}

// Route is the answer for one address. Refused is empty when the mail is taken in. A bounce to a reverse path that
// was rewritten is, without a receiver that could be known here.
type Route struct {
	Address   string   // as asked, domain in A-labels, lower case
	Hops      []Hop    // what decided, in order
	Mailboxes []string // addresses of users that receive it, sorted
	Outside   []string // addresses elsewhere that receive it through the smarthost, sorted
	Detail    string   // what followed the + (RFC 5233), handed on for sieve
	Refused   string   // why nobody receives it, in words for the sender
}

// Hop is one decision on the way. Path is the site path that made it.
type Hop struct {
	Kind    string // user, alias, catchAll, subaddress, outside, loop, retired, bounce
	Address string
	Path    string
}

// NewRoutes builds the table, linear in users and aliases.
func NewRoutes(s *Site) *Routes {
	r := &Routes{domains: make(map[string]*routeDomain, len(s.Domains))}
	for i := range s.Domains {
		d := &s.Domains[i]
		rd := &routeDomain{
			path:       d.Path(),
			zone:       d.Zone,
			active:     d.State == Active,
			subaddress: d.Subaddress,
			users:      make(map[string]*User, len(d.Users)),
			aliases:    make(map[string]*Alias, len(d.Aliases)),
			catchAll:   d.CatchAll,
		}
		for j := range d.Users {
			rd.users[d.Users[j].Localpart] = &d.Users[j]
		}
		for j := range d.Aliases {
			rd.aliases[d.Aliases[j].Localpart] = &d.Aliases[j]
		}
		r.domains[d.Name] = rd
	}
	r.srs = srsDomain(s, r)
	return r
}

// SRSDomain is the domain of rewritten reverse paths (SRS), empty where no address leads outside. Bounces come
// back to it, so it is one whose every address reaches the Worker: the first that is a zone of its own.
func (r *Routes) SRSDomain() string { return r.srs }

func srsDomain(s *Site, r *Routes) string {
	first, forwards := "", false
	for _, d := range s.Domains {
		if d.State != Active {
			continue
		}
		if first == "" || d.Zone == d.Name && r.domains[first].zone != first {
			first = d.Name
		}
		outside := func(address string) bool { return len(r.Resolve(address).Outside) > 0 }
		forwards = forwards || slices.ContainsFunc(d.Aliases, func(a Alias) bool { return outside(a.Address()) })
		if d.CatchAll != "" {
			_, host, _ := SplitAddress(d.CatchAll)
			forwards = forwards || !r.Ours(host) || outside(d.CatchAll)
		}
	}
	if !forwards {
		return ""
	}
	return first
}

var rewritten = regexp.MustCompile(`^srs[01]=.`)

// Ours says whether a domain (A-labels) is declared.
func (r *Routes) Ours(domain string) bool { return r.domains[domain] != nil }

// Resolve walks the address to its mailboxes. A loop of aliases delivers to whatever else they lead to.
func (r *Routes) Resolve(address string) Route {
	route := Route{Address: strings.ToLower(address)}
	w := walk{routes: r, route: &route, seen: map[string]bool{}}
	w.step(route.Address)
	slices.Sort(route.Mailboxes)
	route.Mailboxes = slices.Compact(route.Mailboxes)
	slices.Sort(route.Outside)
	route.Outside = slices.Compact(route.Outside)
	if len(route.Mailboxes) > 0 || len(route.Outside) > 0 {
		route.Refused = ""
	}
	return route
}

type walk struct {
	routes *Routes
	route  *Route
	seen   map[string]bool
}

func (w *walk) step(address string) {
	localpart, domain, ok := SplitAddress(address)
	d := w.routes.domains[domain]
	switch {
	case !ok:
		w.route.Refused = "not an address"
	case d == nil:
		w.outside(address)
	case !d.active:
		w.hop("retired", address, d.path+".state")
		w.route.Refused = "domain retired"
	case len(w.route.Hops) == 0 && domain == w.routes.srs && rewritten.MatchString(localpart):
		w.hop("bounce", address, "relay") // only the daemon has the key that tells to whom
	case w.seen[address]:
		w.hop("loop", address, d.path+".aliases."+Label(localpart))
		w.route.Refused = "alias loop"
	default:
		w.seen[address] = true
		w.local(d, localpart, domain)
	}
}

// outside is right only behind an alias: the address asked for must be one of ours.
func (w *walk) outside(address string) {
	if len(w.route.Hops) == 0 {
		w.route.Refused = "domain not served here"
		return
	}
	w.hop("outside", address, "relay")
	w.route.Outside = append(w.route.Outside, address)
}

// local tries, in this order: user, alias, the same two without the detail, catch-all.
func (w *walk) local(d *routeDomain, localpart, domain string) {
	if w.exact(d, localpart, domain) {
		return
	}
	if base, detail, ok := strings.Cut(localpart, "+"); ok && d.subaddress && d.has(base) {
		w.hop("subaddress", base+"@"+domain, d.path+".subaddress")
		w.route.Detail = detail
		w.step(base + "@" + domain)
		return
	}
	if d.catchAll != "" {
		w.hop("catchAll", d.catchAll, d.path+".catchAll")
		w.step(d.catchAll)
		return
	}
	if w.route.Refused == "" {
		w.route.Refused = "no such user"
	}
}

func (w *walk) exact(d *routeDomain, localpart, domain string) bool {
	if u := d.users[localpart]; u != nil {
		path := d.path + ".users." + Label(localpart)
		if !u.Receives() {
			w.hop("retired", u.Address(), path+".state")
			w.route.Refused = "user " + string(u.State)
			return true
		}
		w.hop("user", u.Address(), path)
		w.route.Mailboxes = append(w.route.Mailboxes, u.Address())
		return true
	}
	if a := d.aliases[localpart]; a != nil {
		w.hop("alias", a.Address(), d.path+".aliases."+Label(localpart))
		for _, target := range a.Targets {
			w.step(target)
		}
		return true
	}
	return false
}

func (w *walk) hop(kind, address, path string) {
	w.route.Hops = append(w.route.Hops, Hop{Kind: kind, Address: address, Path: path})
}

func (d *routeDomain) has(localpart string) bool {
	return d.users[localpart] != nil || d.aliases[localpart] != nil
}
