package console

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/mailplan/mailplan/runtime/accounts"
	"github.com/mailplan/mailplan/runtime/console/people"
)

// The site's repository is not here. An administrator's edit is written down beside the accounts; mailplan, where the
// repository is, proposes it on a branch, and it comes back with its lines, what it does to addresses and the plan.

// editForm is what an administrator types. Whether it is any good, mailplan decides, with the whole site before it.
type editForm struct {
	Verb    accounts.EditVerb
	Address string
	Name    string
	Quota   string // mebibytes, empty for what it is
	Targets string // parted by spaces, commas or lines
	Heir    string
	Problem string // a key of the catalog

	Postmaster, CatchAll, DMARC, MTASTS string // of a domain
	Selector, Algorithm, KeyState       string // of its keys
}

// Needs says whether the form has a field.
func (f editForm) Needs(field string) bool {
	switch f.Verb {
	case accounts.AddUser:
		return field == "address" || field == "name" || field == "quota"
	case accounts.SetUser:
		return field == "quota"
	case accounts.RetireUser:
		return field == "heir"
	case accounts.SetAlias:
		return field == "targets" || field == "address"
	case accounts.AddDomain:
		return field == "name of domain" || field == "postmaster"
	case accounts.SetDomain:
		return field == "domain"
	case accounts.AddSelector:
		return field == "selector" || field == "algorithm"
	}
	return false
}

// verb is one of those known.
func verb(text string) (accounts.EditVerb, bool) {
	switch v := accounts.EditVerb(text); v {
	case accounts.AddUser, accounts.SetUser, accounts.RetireUser, accounts.SetAlias, accounts.RemoveAlias,
		accounts.AddDomain, accounts.SetDomain, accounts.RetireDomain, accounts.AddSelector, accounts.SetSelector:
		return v, true
	}
	return "", false
}

func (s *Server) newEdit(w http.ResponseWriter, r *http.Request, v *visit, scope people.Scope) {
	q := r.URL.Query()
	kind, ok := verb(q.Get("verb"))
	if !ok || kind.Overall() && scope.Domain != "" {
		s.notFound(w, r)
		return
	}
	form := editForm{Verb: kind, Address: typed(q.Get("address")), Quota: typed(q.Get("quota")), Targets: typed(q.Get("targets")),
		Selector: typed(q.Get("selector")), KeyState: typed(q.Get("state")), Algorithm: "rsa"}
	if kind.OfDomain() {
		s.fillDomain(&form)
	} else if form.Address == "" && scope.Domain != "" {
		form.Address = "@" + scope.Domain
	}
	s.render(w, r, http.StatusOK, "edit.html", v, form)
}

// typed is a text from outside, bounded.
func typed(text string) string { return strings.TrimSpace(strings.ToValidUTF8(bounded(text), "?")) }

// askEdit writes an edit down. An address of a domain that is not his is refused like one that is not there.
func (s *Server) askEdit(w http.ResponseWriter, r *http.Request, v *visit, scope people.Scope) {
	kind, ok := verb(r.PostFormValue("verb"))
	if !ok {
		s.notFound(w, r)
		return
	}
	lower := func(name string) string { return strings.ToLower(typed(r.PostFormValue(name))) }
	form := editForm{Verb: kind, Address: lower("address"), Name: typed(r.PostFormValue("name")), Quota: typed(r.PostFormValue("quota")),
		Heir: lower("heir"), Targets: strings.ToValidUTF8(r.PostFormValue("targets"), "?"), Postmaster: lower("postmaster"), CatchAll: lower("catchall"),
		DMARC: typed(r.PostFormValue("dmarc")), MTASTS: typed(r.PostFormValue("mtasts")), Selector: lower("selector"),
		Algorithm: typed(r.PostFormValue("algorithm")), KeyState: typed(r.PostFormValue("state"))}
	edit, problem := form.edit(v)
	if problem == "" {
		his, err := s.mayAsk(r, scope, edit)
		if err != nil {
			s.fail(w, r, err)
			return
		}
		if !his {
			s.audit(r, v.Address, "edit", "not his", "address", bounded(edit.Address))
			problem = "edit.domain"
		}
	}
	if problem == "" {
		id, err := s.people.Ask(r.Context(), edit)
		if err == nil {
			s.audit(r, v.Address, "edit", "asked", "verb", string(kind), "address", edit.Address, "edit", id)
			s.redirect(w, r, "/edits/"+strconv.FormatInt(id, 10))
			return
		}
		if !errors.Is(err, people.ErrBusy) {
			s.fail(w, r, err)
			return
		}
		problem = "edit.busy"
	}
	form.Problem = problem
	s.render(w, r, http.StatusUnprocessableEntity, "edit.html", v, form)
}

// maxTargets bounds an alias that is typed by hand.
const maxTargets = 200

// edit is what the form asks for, or the key of what is wrong with it.
func (f editForm) edit(v *visit) (e accounts.Edit, problem string) {
	if f.Verb.OfDomain() {
		return f.ofDomain(v)
	}
	localpart, domain, ok := strings.Cut(f.Address, "@")
	if !ok || localpart == "" || domain == "" || strings.ContainsFunc(f.Address, unprintable) || strings.Contains(domain, "@") {
		return e, "edit.address"
	}
	e = accounts.Edit{By: v.Address, Domain: domain, Verb: f.Verb, Address: f.Address, Name: f.Name, Heir: f.Heir}
	if f.Quota != "" {
		n, err := strconv.Atoi(f.Quota)
		if err != nil || n < 0 || n > maxQuotaMB {
			return e, "edit.quota"
		}
		e.QuotaMB = &n
	}
	e.Targets = strings.FieldsFunc(strings.ToLower(f.Targets), func(c rune) bool { return c == ',' || unprintable(c) })
	if f.Verb == accounts.SetAlias && len(e.Targets) == 0 || len(e.Targets) > maxTargets {
		return e, "edit.targets"
	}
	if strings.ContainsFunc(f.Name+f.Heir, func(c rune) bool { return c < ' ' || c == 0x7f }) {
		return e, "edit.name"
	}
	return e, ""
}

// maxQuotaMB is the schema's.
const maxQuotaMB = 10485760

func unprintable(c rune) bool { return c <= ' ' || c == 0x7f }

func (s *Server) listEdits(w http.ResponseWriter, r *http.Request, v *visit, scope people.Scope) {
	list, err := s.people.Edits(r.Context(), scope)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.render(w, r, http.StatusOK, "edits.html", v, list)
}

type proposalPage struct {
	accounts.Edit
	Moved bool // somebody else decided meanwhile
}

// Waits says whether mailplan is to answer yet: the page looks again by itself.
func (p proposalPage) Waits() bool {
	return p.State == accounts.Asked || p.State == accounts.Confirmed || p.State == accounts.Discarded
}

func (s *Server) showEdit(w http.ResponseWriter, r *http.Request, v *visit, scope people.Scope) {
	if e, ok := s.editOf(w, r, v, scope); ok {
		s.render(w, r, http.StatusOK, "proposal.html", v, proposalPage{Edit: e})
	}
}

// editOf finds the edit whom the path names, or answers. Another domain's is as if it were not there.
func (s *Server) editOf(w http.ResponseWriter, r *http.Request, v *visit, scope people.Scope) (accounts.Edit, bool) {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	var e accounts.Edit
	if err == nil {
		e, err = s.people.Edit(r.Context(), scope, id)
	}
	switch {
	case err == nil:
		return e, true
	case errors.Is(err, strconv.ErrSyntax), errors.Is(err, strconv.ErrRange), errors.Is(err, people.ErrUnknown):
		s.audit(r, v.Address, "edit", "not his", "edit", bounded(r.PathValue("id")))
		s.notFound(w, r)
	default:
		s.fail(w, r, err)
	}
	return e, false
}

func (s *Server) decideEdit(w http.ResponseWriter, r *http.Request, v *visit, scope people.Scope) {
	e, ok := s.editOf(w, r, v, scope)
	if !ok {
		return
	}
	to := accounts.Discarded
	if r.PostFormValue("decision") == "confirm" {
		to = accounts.Confirmed
	}
	err := s.people.Decide(r.Context(), scope, e.ID, to)
	switch {
	case errors.Is(err, people.ErrMoved):
		s.audit(r, v.Address, "edit", "moved", "edit", e.ID)
		s.render(w, r, http.StatusConflict, "proposal.html", v, proposalPage{Edit: e, Moved: true})
	case err != nil:
		s.fail(w, r, err)
	default:
		s.audit(r, v.Address, "edit", string(to), "edit", e.ID)
		s.redirect(w, r, "/edits/"+url.PathEscape(r.PathValue("id")))
	}
}
