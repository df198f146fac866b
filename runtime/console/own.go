package console

import (
	"errors"
	"net/http"

	"github.com/mailplan/mailplan/runtime/console/password"
	"github.com/mailplan/mailplan/runtime/console/people"
	"github.com/mailplan/mailplan/runtime/report"
)

func (s *Server) showAccount(w http.ResponseWriter, r *http.Request, v *visit) {
	s.render(w, r, http.StatusOK, "account.html", v, accountPage{Done: done(r), QuotaMB: v.QuotaMB, Used: s.reports.usageOf(v.Address)})
}

type accountPage struct {
	Done    string
	QuotaMB int
	Used    *report.Mailbox // nil where it is not known
}

// done is the key of what the last form did, from a list, since the query comes from outside.
func done(r *http.Request) string {
	switch d := r.URL.Query().Get("done"); d {
	case "password", "factor", "nofactor", "revoked", "vacation", "novacation":
		return "done." + d
	}
	return ""
}

type passwordPage struct {
	Problem string // a key of the catalog
	Minimum int
}

func (s *Server) showPassword(w http.ResponseWriter, r *http.Request, v *visit) {
	s.render(w, r, http.StatusOK, "password.html", v, passwordPage{Minimum: password.MinLength})
}

// changePassword replaces a person's own password and ends all other sessions of his.
func (s *Server) changePassword(w http.ResponseWriter, r *http.Request, v *visit) {
	status, problem, err := s.tryPassword(r, v)
	switch {
	case err != nil:
		s.fail(w, r, err)
	case problem != "":
		s.audit(r, v.Address, "password", "refused", "why", problem)
		s.render(w, r, status, "password.html", v, passwordPage{Problem: problem, Minimum: password.MinLength})
	default:
		s.audit(r, v.Address, "password", "done")
		s.renew(w, r, v, "/?done=password")
	}
}

// tryPassword returns the key of what is wrong, or changes the password.
func (s *Server) tryPassword(r *http.Request, v *visit) (status int, problem string, err error) {
	fresh := r.PostFormValue("new")
	if v.Git {
		return http.StatusForbidden, "password.git", nil
	}
	hash, status, problem, err := s.confirm(r, v)
	if problem != "" || err != nil {
		return status, problem, err
	}
	if fresh != r.PostFormValue("again") {
		return http.StatusUnprocessableEntity, "password.differ", nil
	}
	if err := password.Acceptable(fresh, v.Address); err != nil {
		return http.StatusUnprocessableEntity, passwordProblem(err), nil
	}
	stored, err := s.passwords.Hash(r.Context(), fresh)
	if err != nil {
		return 0, "", err
	}
	err = s.people.SetPassword(r.Context(), v.ID, hash, stored)
	if errors.Is(err, people.ErrMoved) {
		return http.StatusConflict, "password.moved", nil
	}
	return 0, "", err
}

// confirm asks for the present password again, which a stolen session does not have, and returns its hash.
func (s *Server) confirm(r *http.Request, v *visit) (hash string, status int, problem string, err error) {
	try := s.attempt(r, v.Address)
	if s.attempts.wait(try) > 0 {
		return "", http.StatusTooManyRequests, "password.wait", nil
	}
	_, hash, err = s.people.ByAddress(r.Context(), v.Address)
	if err != nil {
		return "", 0, "", err
	}
	fits, err := s.passwords.Check(r.Context(), r.PostFormValue("password"), hash)
	if err != nil {
		return "", 0, "", err
	}
	if !fits {
		s.attempts.failed(try)
		return "", http.StatusForbidden, "password.wrong", nil
	}
	return hash, 0, "", nil
}

func passwordProblem(err error) string {
	for key, e := range map[string]error{"password.short": password.ErrShort, "password.long": password.ErrLong, "password.control": password.ErrControl} {
		if errors.Is(err, e) {
			return key
		}
	}
	return "password.guess"
}

// renew ends all sessions of a person but this browser's, which gets a new one.
func (s *Server) renew(w http.ResponseWriter, r *http.Request, v *visit, to string) {
	err := s.people.EndSessions(r.Context(), v.ID)
	if err == nil {
		err = s.begin(w, r, v.ID, true)
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.redirect(w, r, to)
}
