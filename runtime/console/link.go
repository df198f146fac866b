package console

import (
	"crypto/rand"
	"errors"
	"net/http"
	"time"

	"github.com/mailplan/mailplan/runtime/console/password"
	"github.com/mailplan/mailplan/runtime/console/people"
)

// linkLife is how long somebody has to set a password by a link.
const linkLife = 48 * time.Hour

// governs says whether v may act for user: nobody does for who may do more than he, nor for himself.
func governs(v *visit, user people.User) bool {
	return user.Address != v.Address && (v.Role == "admin" || user.Role == "user")
}

// makeLink gives an administrator a link to pass on to a user who has no password, or has lost it. What it sets is the
// user's own.
func (s *Server) makeLink(w http.ResponseWriter, r *http.Request, v *visit, scope people.Scope) {
	user, ok := s.userOf(w, r, v, scope)
	if !ok {
		return
	}
	token := rand.Text()
	err := people.ErrUnknown
	if governs(v, user) {
		err = s.people.AddLink(r.Context(), user.Address, digest(token), linkLife)
	}
	if errors.Is(err, people.ErrUnknown) {
		s.audit(r, v.Address, "link", "refused", "user", user.Address)
		s.notFound(w, r)
		return
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.audit(r, v.Address, "link", "made", "user", user.Address)
	s.renderUser(w, r, v, scope, user, "https://"+r.Host+"/welcome/"+token)
}

type welcomePage struct {
	Address string
	Problem string
	Minimum int
}

// linked finds whose link the request's address is, or answers. Tokens cannot be guessed; tries are counted all the same.
func (s *Server) linked(w http.ResponseWriter, r *http.Request) (person people.Person, key string, ok bool) {
	try := s.attempt(r, "link")
	if s.attempts.byClient.Wait(try.client) > 0 {
		s.problem(w, r, http.StatusTooManyRequests, "code.wait")
		return person, "", false
	}
	key = digest(bounded(r.PathValue("token")))
	person, err := s.people.Linked(r.Context(), key)
	if errors.Is(err, people.ErrUnknown) {
		s.attempts.byClient.Failed(try.client)
		s.audit(r, "", "link", "refused")
		s.problem(w, r, http.StatusNotFound, "welcome.gone")
		return person, "", false
	}
	if err != nil {
		s.fail(w, r, err)
	}
	return person, key, err == nil
}

func (s *Server) showWelcome(w http.ResponseWriter, r *http.Request) {
	if person, _, ok := s.linked(w, r); ok {
		s.render(w, r, http.StatusOK, "welcome.html", nil, welcomePage{Address: person.Address, Minimum: password.MinLength})
	}
}

// welcome sets the password by a link. The second step, where there is one, stays.
func (s *Server) welcome(w http.ResponseWriter, r *http.Request) {
	person, key, ok := s.linked(w, r)
	if !ok {
		return
	}
	fresh, problem := r.PostFormValue("new"), ""
	if err := password.Acceptable(fresh, person.Address); err != nil {
		problem = passwordProblem(err)
	} else if fresh != r.PostFormValue("again") {
		problem = "password.differ"
	}
	if problem != "" {
		s.render(w, r, http.StatusUnprocessableEntity, "welcome.html", nil, welcomePage{person.Address, problem, password.MinLength})
		return
	}
	hash, err := s.passwords.Hash(r.Context(), fresh)
	if err == nil {
		err = s.people.UseLink(r.Context(), key, person.ID, hash)
	}
	switch {
	case errors.Is(err, people.ErrUnknown):
		s.problem(w, r, http.StatusNotFound, "welcome.gone")
	case err != nil:
		s.fail(w, r, err)
	default:
		s.audit(r, person.Address, "password", "done", "link", true)
		s.redirect(w, r, "/sign-in")
	}
}
