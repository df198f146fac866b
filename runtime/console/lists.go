package console

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/mailplan/mailplan/runtime/config"
	"github.com/mailplan/mailplan/runtime/console/people"
	"github.com/mailplan/mailplan/runtime/report"
)

// administrator lets through who may list, with what he may list.
func (s *Server) administrator(next func(http.ResponseWriter, *http.Request, *visit, people.Scope)) http.HandlerFunc {
	return s.signedIn(func(w http.ResponseWriter, r *http.Request, v *visit) {
		scope, ok := v.Scope()
		if !ok {
			s.audit(r, v.Address, "list", "refused", "path", bounded(r.URL.Path))
			s.notFound(w, r)
			return
		}
		next(w, r, v, scope)
	})
}

// listPage is one page of a list, with the search that led to it.
type listPage[Row any] struct {
	people.List[Row]
	Text string
	Path string // of the list
}

// Turn is the address of another page of the same search.
func (p listPage[Row]) Turn(by int) string {
	q := url.Values{"page": {strconv.Itoa(p.Page + by)}}
	if p.Text != "" {
		q.Set("q", p.Text)
	}
	return p.Path + "?" + q.Encode()
}

// Next is one of the pages after this.
func (p listPage[Row]) Next() bool { return p.Page < p.Pages }

// query is what the address asks for.
func query(r *http.Request, scope people.Scope) people.Query {
	page, err := strconv.Atoi(r.URL.Query().Get("page"))
	if err != nil {
		page = 1
	}
	return people.Query{Scope: scope, Text: bounded(strings.ToValidUTF8(r.URL.Query().Get("q"), "?")), Page: page}
}

func (s *Server) listUsers(w http.ResponseWriter, r *http.Request, v *visit, scope people.Scope) {
	q := query(r, scope)
	list, err := s.people.Users(r.Context(), q)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	rows := make([]userRow, len(list.Rows))
	for i, u := range list.Rows {
		rows[i] = userRow{u, s.reports.usageOf(u.Address)}
	}
	s.render(w, r, http.StatusOK, "users.html", v, listPage[userRow]{
		people.List[userRow]{Rows: rows, Total: list.Total, Page: list.Page, Pages: list.Pages}, q.Text, "/users"})
}

// userRow is a user with how full the mailbox is, nil where that is not known.
type userRow struct {
	people.User
	Used *report.Mailbox
}

func (s *Server) listAliases(w http.ResponseWriter, r *http.Request, v *visit, scope people.Scope) {
	q := query(r, scope)
	list, err := s.people.Aliases(r.Context(), q)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.render(w, r, http.StatusOK, "aliases.html", v, listPage[people.Alias]{list, q.Text, "/aliases"})
}

// domainRow is a domain with what is declared of it; nil for one that is declared no more.
type domainRow struct {
	people.Domain
	Declared *config.DeclaredDomain
}

func (s *Server) listDomains(w http.ResponseWriter, r *http.Request, v *visit, scope people.Scope) {
	q := query(r, scope)
	list, err := s.people.Domains(r.Context(), q)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	rows := make([]domainRow, len(list.Rows))
	for i, d := range list.Rows {
		rows[i] = domainRow{d, s.declaredDomain(d.Name)}
	}
	s.render(w, r, http.StatusOK, "domains.html", v, listPage[domainRow]{
		people.List[domainRow]{Rows: rows, Total: list.Total, Page: list.Page, Pages: list.Pages}, q.Text, "/domains"})
}

func (s *Server) declaredDomain(name string) *config.DeclaredDomain {
	for i := range s.declared.Domains {
		if s.declared.Domains[i].Name == name {
			return &s.declared.Domains[i]
		}
	}
	return nil
}

type userPage struct {
	userRow
	Aliases []people.Alias
	Helps   bool   // the administrator may turn the second step off
	Links   bool   // and make a link to set a password
	Link    string // a new one, shown this once
}

// showUser shows one user of the administrator's. Another's is as if he were not there.
func (s *Server) showUser(w http.ResponseWriter, r *http.Request, v *visit, scope people.Scope) {
	if user, ok := s.userOf(w, r, v, scope); ok {
		s.renderUser(w, r, v, scope, user, "")
	}
}

func (s *Server) renderUser(w http.ResponseWriter, r *http.Request, v *visit, scope people.Scope, user people.User, link string) {
	aliases, err := s.people.AliasesTo(r.Context(), scope, user.Address)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.render(w, r, http.StatusOK, "user.html", v, userPage{
		userRow: userRow{user, s.reports.usageOf(user.Address)}, Aliases: aliases, Helps: helps(v, user), Link: link,
		Links: governs(v, user) && !user.Git && user.State == "active"})
}

// userOf finds the user whom the address names, or answers.
func (s *Server) userOf(w http.ResponseWriter, r *http.Request, v *visit, scope people.Scope) (people.User, bool) {
	address := strings.ToValidUTF8(bounded(r.PathValue("address")), "?")
	user, err := s.people.User(r.Context(), scope, address)
	if errors.Is(err, people.ErrUnknown) {
		s.audit(r, v.Address, "user", "not his", "user", address)
		s.notFound(w, r)
		return user, false
	}
	if err != nil {
		s.fail(w, r, err)
		return user, false
	}
	return user, true
}

// helps says whether v may turn off the second step of user.
func helps(v *visit, user people.User) bool { return user.TOTP && governs(v, user) }

// helpUser turns off the second step of somebody who has lost his device.
func (s *Server) helpUser(w http.ResponseWriter, r *http.Request, v *visit, scope people.Scope) {
	user, ok := s.userOf(w, r, v, scope)
	if !ok {
		return
	}
	if !helps(v, user) {
		s.audit(r, v.Address, "factor", "not his", "user", user.Address)
		s.notFound(w, r)
		return
	}
	if err := s.people.RemoveFactorOf(r.Context(), user.Address); err != nil && !errors.Is(err, people.ErrUnknown) {
		s.fail(w, r, err)
		return
	}
	s.audit(r, v.Address, "factor", "removed", "user", user.Address)
	s.redirect(w, r, "/users/"+url.PathEscape(user.Address))
}
