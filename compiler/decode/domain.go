package decode

import (
	"fmt"
	"slices"
	"strings"

	"golang.org/x/net/idna"

	"github.com/mailplan/mailplan/compiler/model"
)

// profile is what mail domains are converted by: the rules of UTS #46 for look-ups, strict about ASCII.
var profile = idna.New(idna.MapForLookup(), idna.BidiRule(), idna.VerifyDNSLength(true), idna.StrictDomainName(false))

func ascii(name string) (string, error) { return profile.ToASCII(name) }

// readDomains takes the domains in the order of their written names, so that problems come in one order.
func (d *decoder) readDomains(wire map[string]wireDomain) {
	spelled := map[string]string{} // A-labels -> as written
	for _, written := range sortedKeys(wire) {
		w := wire[written]
		path := model.Path("domains", written)
		name, err := ascii(written)
		if err != nil {
			d.problem(path, fmt.Sprintf("%q is no valid internationalized domain name: %v", written, err), "")
			continue
		}
		if other, ok := spelled[name]; ok {
			d.problem(path, fmt.Sprintf("%q and %q are two spellings of one domain, %s", other, written, name), "keep one of them and join what they hold")
			continue
		}
		spelled[name] = written
		domain := w.Domain
		domain.Name, domain.Unicode = name, written
		d.domains[written], d.byName[name] = len(d.site.Domains), len(d.site.Domains)
		d.readTargets(&domain, w)
		readSelectors(&domain, w)
		d.site.Domains = append(d.site.Domains, domain)
	}
}

func (d *decoder) readTargets(domain *model.Domain, w wireDomain) {
	if w.CatchAll != "" {
		domain.CatchAll = d.target(domain, domain.Path()+".catchAll", w.CatchAll)
	}
	for _, localpart := range sortedKeys(w.Aliases) {
		alias := model.Alias{Localpart: localpart, Domain: domain.Name}
		path := domain.Path() + ".aliases." + model.Label(localpart)
		for _, t := range w.Aliases[localpart] {
			alias.Targets = append(alias.Targets, d.target(domain, path, t))
		}
		slices.Sort(alias.Targets)
		domain.Aliases = append(domain.Aliases, alias)
	}
}

// target is a full address in lower case with its domain in A-labels.
func (d *decoder) target(domain *model.Domain, path, written string) string {
	localpart, host, ok := model.SplitAddress(written)
	if !ok {
		return strings.ToLower(written) + "@" + domain.Name
	}
	return strings.ToLower(localpart) + "@" + d.host(path, host)
}

// address is a written address with its domain in A-labels.
func (d *decoder) address(path, written string) string {
	localpart, host, ok := model.SplitAddress(written)
	if !ok {
		return written
	}
	return localpart + "@" + d.host(path, host)
}

func (d *decoder) host(path, written string) string {
	if name, ok := plainASCII(written); ok {
		return name
	}
	name, err := ascii(written)
	if err != nil {
		d.problem(path, fmt.Sprintf("%q is no valid internationalized domain name: %v", written, err), "")
		return written
	}
	return name
}

// plainASCII is the usual case, lower-cased; ok is false where IDNA has work to do.
func plainASCII(s string) (string, bool) {
	for i := 0; i < len(s); i++ {
		if s[i] >= 0x80 {
			return "", false
		}
	}
	s = strings.ToLower(s)
	return s, !strings.Contains(s, "xn--")
}

func readSelectors(domain *model.Domain, w wireDomain) {
	domain.KeyDays = w.DKIM.KeepDays
	for _, name := range sortedKeys(w.DKIM.Selectors) {
		sel := w.DKIM.Selectors[name]
		sel.Name = name
		if sel.Key == nil {
			sel.Key = &model.SecretRef{Secret: "dkim/" + domain.Name + "/" + name}
		}
		domain.Selectors = append(domain.Selectors, sel)
	}
}

// sortedKeys are the keys of a map in order.
func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
