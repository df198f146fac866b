package console

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/mailplan/mailplan/runtime/console/people"
)

// vacationPage is the form of the automatic answer.
type vacationPage struct {
	people.Vacation
	Choices []string // addresses that lead to the mailbox
	Webmail string   // host name, empty without one
	Problem string
}

// Chosen says whether an address is one of those at which people are answered.
func (p vacationPage) Chosen(address string) bool { return slices.Contains(p.Addresses, address) }

func (s *Server) showVacation(w http.ResponseWriter, r *http.Request, v *visit) {
	now, err := s.people.Vacation(r.Context(), v.ID)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.renderVacation(w, r, v, http.StatusOK, vacationPage{Vacation: now})
}

func (s *Server) renderVacation(w http.ResponseWriter, r *http.Request, v *visit, status int, page vacationPage) {
	var err error
	if page.Choices, err = s.ownAddresses(r, v); err != nil {
		s.fail(w, r, err)
		return
	}
	page.Webmail = s.declared.Webmail
	s.render(w, r, status, "vacation.html", v, page)
}

// ownAddresses are the aliases that lead to a mailbox straight.
func (s *Server) ownAddresses(r *http.Request, v *visit) (list []string, err error) {
	aliases, err := s.people.AliasesTo(r.Context(), people.Scope{}, v.Address)
	for _, a := range aliases {
		if !strings.HasPrefix(a.Source, "@") {
			list = append(list, a.Source)
		}
	}
	return list, err
}

// setVacation keeps what somebody is to be answered for. It is his own, like his password: no plan knows of it.
func (s *Server) setVacation(w http.ResponseWriter, r *http.Request, v *visit) {
	wish := typedVacation(r)
	own, err := s.ownAddresses(r, v)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	problem := vacationProblem(wish, own)
	if problem == "" {
		err = s.people.SetVacation(r.Context(), v.Person, wish)
		if errors.Is(err, people.ErrLong) {
			problem, err = "vacation.long", nil
		}
	}
	switch {
	case err != nil:
		s.fail(w, r, err)
	case problem != "":
		s.audit(r, v.Address, "vacation", "refused", "why", problem)
		s.renderVacation(w, r, v, http.StatusUnprocessableEntity, vacationPage{Vacation: wish, Problem: problem})
	default:
		s.audit(r, v.Address, "vacation", "done", "active", wish.Active)
		s.redirect(w, r, map[bool]string{true: "/?done=vacation", false: "/?done=novacation"}[wish.Active])
	}
}

// typedVacation is the form, with the line ends of mail.
func typedVacation(r *http.Request) people.Vacation {
	clean := func(name string) string { return strings.ToValidUTF8(r.PostFormValue(name), "?") }
	body := strings.ReplaceAll(strings.ReplaceAll(clean("body"), "\r\n", "\n"), "\n", "\r\n")
	return people.Vacation{Active: r.PostFormValue("active") == "on", Starts: typed(r.PostFormValue("starts")), Ends: typed(r.PostFormValue("ends")),
		Subject: strings.TrimSpace(clean("subject")), Body: strings.TrimRight(body, "\r\n \t"), Addresses: r.PostForm["address"]}
}

// vacationProblem is the key of what is wrong with a vacation.
func vacationProblem(v people.Vacation, own []string) string {
	for _, day := range []string{v.Starts, v.Ends} {
		if _, err := time.Parse(time.DateOnly, day); day != "" && err != nil {
			return "vacation.date"
		}
	}
	switch {
	case v.Starts != "" && v.Ends != "" && v.Ends < v.Starts:
		return "vacation.order"
	case v.Active && v.Body == "":
		return "vacation.empty"
	case len(v.Body) > people.MaxVacationBody || len(v.Subject) > people.MaxVacationSubject || utf8.RuneCountInString(v.Subject) > 200:
		return "vacation.long"
	case strings.ContainsFunc(v.Subject, control), strings.ContainsFunc(v.Body, func(c rune) bool { return control(c) && c != '\r' && c != '\n' && c != '\t' }):
		return "vacation.signs"
	case len(v.Addresses) > people.MaxVacationAddresses:
		return "vacation.many"
	case slices.ContainsFunc(v.Addresses, func(a string) bool { return !slices.Contains(own, a) }):
		return "vacation.foreign"
	}
	return ""
}

func control(c rune) bool { return c < ' ' || c == 0x7f }
