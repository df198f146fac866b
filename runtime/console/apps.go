package console

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/mailplan/mailplan/runtime/console/password"
	"github.com/mailplan/mailplan/runtime/console/people"
)

type appsPage struct {
	List    []people.AppPassword
	Fresh   string // a new password, shown this once
	Name    string // of the new one, or what was typed
	Problem string
}

func (s *Server) showApps(w http.ResponseWriter, r *http.Request, v *visit) {
	s.renderApps(w, r, v, http.StatusOK, appsPage{})
}

func (s *Server) renderApps(w http.ResponseWriter, r *http.Request, v *visit, status int, page appsPage) {
	var err error
	if page.List, err = s.people.AppPasswords(r.Context(), v.ID); err != nil {
		s.fail(w, r, err)
		return
	}
	s.render(w, r, status, "apps.html", v, page)
}

// addApp makes a password for one device or program. It asks for the present one: a session left open must not
// become a lasting way in.
func (s *Server) addApp(w http.ResponseWriter, r *http.Request, v *visit) {
	name := strings.TrimSpace(r.PostFormValue("name"))
	_, status, problem, err := s.confirm(r, v)
	if problem == "" && !nameable(name) {
		status, problem = http.StatusUnprocessableEntity, "apps.noname"
	}
	var fresh string
	if problem == "" && err == nil {
		fresh, err = s.makeApp(r, v, name)
	}
	if errors.Is(err, people.ErrFull) {
		status, problem, err = http.StatusConflict, "apps.full", nil
	}
	switch {
	case err != nil:
		s.fail(w, r, err)
	case problem != "":
		s.audit(r, v.Address, "app password", "refused", "why", problem)
		s.renderApps(w, r, v, status, appsPage{Name: strings.ToValidUTF8(bounded(name), "?"), Problem: problem})
	default:
		s.audit(r, v.Address, "app password", "made", "name", name)
		s.renderApps(w, r, v, http.StatusCreated, appsPage{Fresh: fresh, Name: name})
	}
}

// makeApp tries again where the person has a password with the same selector: one in 65,536 for each he has.
func (s *Server) makeApp(r *http.Request, v *visit, name string) (fresh string, err error) {
	for range 5 {
		fresh = password.Random()
		err = s.people.AddAppPassword(r.Context(), v.ID, name, password.Selector(fresh), password.Fast(fresh))
		if !errors.Is(err, people.ErrMoved) {
			break
		}
	}
	return fresh, err
}

// maxAppName is in characters, as the database has it.
const maxAppName = 100

func nameable(name string) bool {
	return name != "" && utf8.ValidString(name) && utf8.RuneCountInString(name) <= maxAppName && !strings.ContainsFunc(name, unicode.IsControl)
}

func (s *Server) revokeApp(w http.ResponseWriter, r *http.Request, v *visit) {
	id, err := strconv.ParseInt(r.PostFormValue("id"), 10, 64)
	if err == nil {
		err = s.people.RevokeAppPassword(r.Context(), v.ID, id)
	}
	switch {
	case errors.Is(err, strconv.ErrSyntax), errors.Is(err, strconv.ErrRange), errors.Is(err, people.ErrUnknown):
		s.audit(r, v.Address, "app password", "not his", "id", bounded(r.PostFormValue("id")))
		s.notFound(w, r)
	case err != nil:
		s.fail(w, r, err)
	default:
		s.audit(r, v.Address, "app password", "revoked", "id", id)
		s.redirect(w, r, "/?done=revoked")
	}
}
