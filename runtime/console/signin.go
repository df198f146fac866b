package console

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"strings"
	"time"

	"github.com/mailplan/mailplan/runtime/console/people"
)

func (s *Server) showSignIn(w http.ResponseWriter, r *http.Request) {
	if v, err := s.visit(r); err == nil && v.Complete {
		s.redirect(w, r, "/")
		return
	}
	s.render(w, r, http.StatusOK, "signin.html", nil, signInPage{Known: identity(r), Access: s.knows()})
}

type signInPage struct {
	Address string
	Access  bool   // no password is asked for:
	Known   string // Access knows who it is
	Problem string // a key of the catalog
	Minutes int    // to wait
}

// signIn checks address and password. Whatever is wrong, the answer and the time it takes are the same.
func (s *Server) signIn(w http.ResponseWriter, r *http.Request) {
	if s.knows() {
		s.signInKnown(w, r)
		return
	}
	begin := time.Now()
	address := strings.ToLower(strings.TrimSpace(strings.ToValidUTF8(r.PostFormValue("address"), "?")))
	try := s.attempt(r, address)
	if wait := s.attempts.wait(try); wait > 0 {
		s.audit(r, address, "sign-in", "throttled")
		s.tooMany(w, r, address, wait)
		return
	}
	person, err := s.authenticate(r, address, r.PostFormValue("password"))
	if errors.Is(err, people.ErrUnknown) {
		s.attempts.failed(try)
		s.audit(r, address, "sign-in", "refused")
		s.pause(r, begin)
		s.render(w, r, http.StatusUnauthorized, "signin.html", nil, signInPage{Address: bounded(address), Problem: "signin.wrong"})
		return
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	if !person.TOTP {
		s.attempts.passed(try)
	}
	s.admit(w, r, person)
}

// admit begins the session of somebody who has proved who he is, or asks for the second step.
func (s *Server) admit(w http.ResponseWriter, r *http.Request, person people.Person) {
	if err := s.begin(w, r, person.ID, !person.TOTP); err != nil {
		s.fail(w, r, err)
		return
	}
	if person.TOTP {
		s.audit(r, person.Address, "sign-in", "code asked")
		s.redirect(w, r, "/code")
		return
	}
	s.audit(r, person.Address, "sign-in", "done")
	s.redirect(w, r, "/")
}

// authenticate is [people.ErrUnknown] when address and password are not those of somebody who may sign in.
func (s *Server) authenticate(r *http.Request, address, plain string) (people.Person, error) {
	person, hash, err := s.people.ByAddress(r.Context(), bounded(address))
	if err != nil && !errors.Is(err, people.ErrUnknown) {
		return person, err
	}
	unknown := err
	fits, err := s.passwords.Check(r.Context(), plain, hash)
	switch {
	case err != nil:
		return person, err
	case unknown != nil || !fits:
		return people.Person{}, people.ErrUnknown
	}
	return person, nil
}

// pause makes every refusal take as long.
func (s *Server) pause(r *http.Request, begin time.Time) {
	select {
	case <-time.After(s.patience - time.Since(begin)):
	case <-r.Context().Done():
	}
}

func (s *Server) tooMany(w http.ResponseWriter, r *http.Request, address string, wait time.Duration) {
	w.Header().Set("Retry-After", fmt.Sprint(int(math.Ceil(wait.Seconds()))))
	s.render(w, r, http.StatusTooManyRequests, "signin.html", nil,
		signInPage{Address: bounded(address), Problem: "signin.wait", Minutes: int(math.Ceil(wait.Minutes()))})
}
