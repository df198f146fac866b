package console

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/mailplan/mailplan/runtime/console/people"
)

// sessionCookie is bound by its prefix to this host, to HTTPS and to the whole site.
const sessionCookie = "__Host-session"

// halfLife is how long a second factor may take.
const halfLife = 5 * time.Minute

// visit is one request of somebody who has signed in.
type visit struct {
	people.Session
	id string // the cookie's secret part
}

// begin starts a session in this browser, in place of what it had.
func (s *Server) begin(w http.ResponseWriter, r *http.Request, user int64, complete bool) error {
	if old, ok := s.sessionID(r); ok {
		if err := s.people.EndSession(r.Context(), digest(old)); err != nil {
			return err
		}
	}
	id, life := rand.Text(), s.life
	if !complete {
		life = halfLife
	}
	if err := s.people.AddSession(r.Context(), digest(id), user, complete, life); err != nil {
		return err
	}
	value := id + "." + s.sign("session", id)
	http.SetCookie(w, &http.Cookie{Name: sessionCookie, Value: value, Path: "/", Secure: true, HttpOnly: true,
		SameSite: http.SameSiteLaxMode, MaxAge: int(life.Seconds())})
	return nil
}

// digest is what the database keeps of a session.
func digest(id string) string {
	sum := sha256.Sum256([]byte(id))
	return hex.EncodeToString(sum[:])
}

// sessionID is the secret of the request's cookie, if we signed it.
func (s *Server) sessionID(r *http.Request) (string, bool) {
	cookie, err := r.Cookie(sessionCookie)
	if err != nil {
		return "", false
	}
	id, signature, _ := strings.Cut(cookie.Value, ".")
	return id, s.signed("session", id, signature)
}

// visit finds the request's session, or [people.ErrUnknown].
func (s *Server) visit(r *http.Request) (*visit, error) {
	id, ok := s.sessionID(r)
	if !ok {
		return nil, people.ErrUnknown
	}
	found, err := s.people.Session(r.Context(), digest(id), s.idle)
	if err != nil {
		return nil, err
	}
	if s.another(r, found.Address) {
		return nil, people.ErrUnknown
	}
	return &visit{found, id}, nil
}

type handler func(w http.ResponseWriter, r *http.Request, v *visit)

// signedIn lets a request through whose session is complete; forms must carry the session's token too.
func (s *Server) signedIn(next handler) http.HandlerFunc { return s.within(true, "/sign-in", next) }

// half is for the step between password and second factor.
func (s *Server) half(next handler) http.HandlerFunc { return s.within(false, "/", next) }

func (s *Server) within(complete bool, elsewhere string, next handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		v, err := s.visit(r)
		switch {
		case errors.Is(err, people.ErrUnknown):
			s.redirect(w, r, "/sign-in")
		case err != nil:
			s.fail(w, r, err)
		case v.Complete != complete:
			s.redirect(w, r, elsewhere)
		case r.Method == http.MethodPost && !s.tokenFits(r, v):
			s.audit(r, v.Address, "form", "forged", "path", bounded(r.URL.Path))
			s.problem(w, r, http.StatusForbidden, "error.form")
		default:
			next(w, r, v)
		}
	}
}

// token is in every form of a session: a page elsewhere cannot know it.
func (s *Server) token(v *visit) string {
	return s.sign("form", v.id)
}

func (s *Server) tokenFits(r *http.Request, v *visit) bool {
	return s.signed("form", v.id, r.PostFormValue("token"))
}

// redirect sends a browser on; htmx is told to load the whole page.
func (s *Server) redirect(w http.ResponseWriter, r *http.Request, to string) {
	if r.Header.Get("HX-Request") != "" {
		w.Header().Set("HX-Redirect", to)
		w.WriteHeader(http.StatusOK)
		return
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
}

func (s *Server) signOut(w http.ResponseWriter, r *http.Request) {
	if v, err := s.visit(r); err == nil {
		if !s.tokenFits(r, v) {
			s.audit(r, v.Address, "form", "forged", "path", "/sign-out")
			s.problem(w, r, http.StatusForbidden, "error.form")
			return
		}
		if err := s.people.EndSession(r.Context(), digest(v.id)); err != nil {
			s.fail(w, r, err)
			return
		}
		s.audit(r, v.Address, "sign-out", "done")
	}
	http.SetCookie(w, &http.Cookie{Name: sessionCookie, Path: "/", Secure: true, HttpOnly: true, MaxAge: -1})
	s.redirect(w, r, "/sign-in")
}
