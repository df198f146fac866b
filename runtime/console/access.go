package console

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"

	"github.com/mailplan/mailplan/runtime/access"
	"github.com/mailplan/mailplan/runtime/config"
	"github.com/mailplan/mailplan/runtime/console/people"
)

// vouching is what Cloudflare Access says about requests, where the site asks for that.
type vouching struct {
	gate   *access.Gate
	signIn bool // whom Access knows need not type a password
}

func newVouching(c *config.ConsoleAccess) (*vouching, error) {
	if c == nil {
		return nil, nil
	}
	audience := c.Audience
	if c.AudienceFile != "" {
		said, err := os.ReadFile(c.AudienceFile)
		if err != nil {
			return nil, fmt.Errorf("read the AUD tag of Access: %w", err)
		}
		if audience = strings.TrimSpace(string(said)); audience == "" {
			return nil, fmt.Errorf("%s has no AUD tag of Access", c.AudienceFile)
		}
	}
	source := access.URL(c.Issuer)
	if c.KeysFile != "" {
		source = access.File(c.KeysFile)
	}
	return &vouching{access.New(c.Issuer, audience, source), c.SignIn}, nil
}

// identityKey is where a request carries whom Access knows.
type identityKey struct{}

// identity is the mail address that Access has asked for; empty without one.
func identity(r *http.Request) string {
	email, _ := r.Context().Value(identityKey{}).(string)
	return email
}

// vouched lets only those requests through that Access has let through; the health check comes from the container itself.
func (s *Server) vouched(next http.Handler) http.Handler {
	if s.vouching == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/health" {
			next.ServeHTTP(w, r)
			return
		}
		email, err := s.vouching.gate.Identity(r.Context(), r.Header)
		if err != nil {
			s.audit(r, "", "access", "refused", "path", pathOf(r), "why", bounded(err.Error()))
			s.problem(w, r, http.StatusForbidden, "error.access")
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), identityKey{}, email)))
	})
}

// pathOf is the request's path for the log, but for a link's, which holds a secret.
func pathOf(r *http.Request) string {
	if len(r.URL.Path) > len("/welcome/") && r.URL.Path[:len("/welcome/")] == "/welcome/" {
		return "/welcome/…"
	}
	return bounded(r.URL.Path)
}

// knows says whether people sign in as whom Access knows, and with no password.
func (s *Server) knows() bool { return s.vouching != nil && s.vouching.signIn }

// another says whether Access knows somebody else than whose session this is.
func (s *Server) another(r *http.Request, address string) bool {
	return s.knows() && identity(r) != address
}

// signInKnown signs in whom Access knows, if he has a mailbox here.
func (s *Server) signInKnown(w http.ResponseWriter, r *http.Request) {
	email := identity(r)
	person, _, err := s.people.ByAddress(r.Context(), bounded(email))
	if email == "" || errors.Is(err, people.ErrUnknown) {
		s.audit(r, email, "sign-in", "refused", "access", true)
		s.render(w, r, http.StatusForbidden, "signin.html", nil, signInPage{Known: bounded(email), Access: true, Problem: "signin.stranger"})
		return
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.admit(w, r, person)
}
