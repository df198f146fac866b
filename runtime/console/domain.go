package console

import (
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/mailplan/mailplan/runtime/accounts"
	"github.com/mailplan/mailplan/runtime/config"
	"github.com/mailplan/mailplan/runtime/console/people"
	"github.com/mailplan/mailplan/runtime/report"
)

// domainPage is one domain: what is declared, and what the DNS says.
type domainPage struct {
	Name     string
	Declared *config.DeclaredDomain // nil for one that is declared no more
	DNS      news[report.DNS]
	Records  []report.Record
	Overall  bool // the reader administers the whole site
}

func (s *Server) showDomain(w http.ResponseWriter, r *http.Request, v *visit, scope people.Scope) {
	name := strings.ToValidUTF8(bounded(r.PathValue("name")), "?")
	his, err := s.people.HasDomain(r.Context(), scope, name)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	if !his {
		s.audit(r, v.Address, "domain", "not his", "domain", name)
		s.notFound(w, r)
		return
	}
	page := domainPage{Name: name, Declared: s.declaredDomain(name), DNS: s.reports.dns.news(), Overall: scope.Domain == ""}
	for _, d := range s.dnsOf(people.Scope{Domain: name}).Domains {
		page.Records = d.Records
	}
	s.render(w, r, http.StatusOK, "domain.html", v, page)
}

// fillDomain begins the form of a domain with what is declared.
func (s *Server) fillDomain(f *editForm) {
	if d := s.declaredDomain(f.Address); d != nil && f.Verb == accounts.SetDomain {
		f.CatchAll, f.DMARC, f.MTASTS = d.CatchAll, d.DMARC, d.MTASTS
	}
}

// mayAsk says whether an edit is about something that is the asker's.
func (s *Server) mayAsk(r *http.Request, scope people.Scope, e accounts.Edit) (bool, error) {
	if e.Verb.Overall() && scope.Domain != "" {
		return false, nil
	}
	if e.Verb == accounts.AddDomain {
		return true, nil
	}
	return s.people.HasDomain(r.Context(), scope, e.Domain)
}

var (
	domainName   = regexp.MustCompile(`^([a-z0-9\p{L}\p{M}]([a-z0-9\p{L}\p{M}-]{0,61}[a-z0-9\p{L}\p{M}])?\.)+[a-z0-9\p{L}\p{M}-]{2,63}$`)
	selectorName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
)

// ofDomain is what the form of a domain asks for, or the key of what is wrong with it.
func (f editForm) ofDomain(v *visit) (e accounts.Edit, problem string) {
	e = accounts.Edit{By: v.Address, Domain: f.Address, Verb: f.Verb, Address: f.Address, Postmaster: f.Postmaster, DMARC: f.DMARC,
		MTASTS: f.MTASTS, Selector: f.Selector, Algorithm: f.Algorithm, KeyState: f.KeyState}
	oneOf := func(value string, all ...string) bool { return slices.Contains(all, value) }
	switch {
	case len(f.Address) > 253 || !domainName.MatchString(f.Address):
		return e, "edit.nodomain"
	case strings.ContainsFunc(f.Postmaster+f.CatchAll, unprintable):
		return e, "edit.address"
	}
	switch f.Verb {
	case accounts.AddDomain:
		if f.Postmaster == "" {
			return e, "edit.address"
		}
	case accounts.SetDomain:
		e.CatchAll = &f.CatchAll
		if !oneOf(f.DMARC, "none", "quarantine", "reject") || !oneOf(f.MTASTS, "none", "testing", "enforce") {
			return e, "edit.choice"
		}
	case accounts.AddSelector:
		if !selectorName.MatchString(f.Selector) || !oneOf(f.Algorithm, "rsa", "ed25519") {
			return e, "edit.selector"
		}
	case accounts.SetSelector:
		if !selectorName.MatchString(f.Selector) || !oneOf(f.KeyState, "active", "retired", "revoked") {
			return e, "edit.selector"
		}
	}
	return e, ""
}
