package console

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"html/template"
	"image/png"
	"net/http"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"
	"github.com/pquerna/otp/totp"

	"github.com/mailplan/mailplan/runtime/console/people"
)

// stepSeconds is the time step of RFC 6238 that authenticator apps use.
const stepSeconds = 30

// step finds the time step of a code, at most one off from now, as clocks are.
func step(key, code string, now time.Time) (int64, bool) {
	at := now.Unix() / stepSeconds
	for _, n := range []int64{at, at - 1, at + 1} {
		ok, err := hotp.ValidateCustom(code, uint64(n), key, hotp.ValidateOpts{Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1})
		if err == nil && ok {
			return n, true
		}
	}
	return 0, false
}

type codePage struct{ Problem string }

func (s *Server) showCode(w http.ResponseWriter, r *http.Request, v *visit) {
	s.render(w, r, http.StatusOK, "code.html", v, codePage{})
}

// checkCode is the second step of a sign-in.
func (s *Server) checkCode(w http.ResponseWriter, r *http.Request, v *visit) {
	try := s.attempt(r, v.Address)
	if s.attempts.wait(try) > 0 {
		s.audit(r, v.Address, "code", "throttled")
		s.render(w, r, http.StatusTooManyRequests, "code.html", v, codePage{"code.wait"})
		return
	}
	err := s.useCode(r, v)
	if errors.Is(err, people.ErrMoved) || errors.Is(err, people.ErrUnknown) {
		s.attempts.failed(try)
		s.audit(r, v.Address, "code", "refused")
		s.render(w, r, http.StatusUnauthorized, "code.html", v, codePage{"code.wrong"})
		return
	}
	if err == nil {
		err = s.begin(w, r, v.ID, true)
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.attempts.passed(try)
	s.audit(r, v.Address, "sign-in", "done", "factor", true)
	s.redirect(w, r, "/")
}

// useCode takes the form's code, once.
func (s *Server) useCode(r *http.Request, v *visit) error {
	key, err := s.people.Factor(r.Context(), v.ID)
	if err != nil {
		return err
	}
	n, ok := step(key, r.PostFormValue("code"), time.Now())
	if !ok {
		return people.ErrUnknown
	}
	return s.people.UseStep(r.Context(), v.ID, n)
}

type factorPage struct {
	Key     string
	Proof   string // says that this session was given the key
	Picture template.URL
	Problem string
}

// showFactor offers a new key, or to end the second step.
func (s *Server) showFactor(w http.ResponseWriter, r *http.Request, v *visit) {
	var page factorPage
	if !v.TOTP {
		made, err := totp.Generate(totp.GenerateOpts{Issuer: s.issuer(), AccountName: v.Address})
		if err == nil {
			page, err = s.factorPage(v, made.Secret())
		}
		if err != nil {
			s.fail(w, r, fmt.Errorf("make a key: %w", err))
			return
		}
	}
	s.render(w, r, http.StatusOK, "factor.html", v, page)
}

func (s *Server) issuer() string {
	if s.declared.Site == "" {
		return "mail"
	}
	return "mail " + s.declared.Site
}

// factorPage shows a key as text and as a picture to scan.
func (s *Server) factorPage(v *visit, secret string) (factorPage, error) {
	url := fmt.Sprintf("otpauth://totp/%s?secret=%s&issuer=%s", template.URLQueryEscaper(v.Address), secret, template.URLQueryEscaper(s.issuer()))
	key, err := otp.NewKeyFromURL(url)
	if err != nil {
		return factorPage{}, err
	}
	image, err := key.Image(220, 220)
	if err != nil {
		return factorPage{}, err
	}
	var data bytes.Buffer
	if err := png.Encode(&data, image); err != nil {
		return factorPage{}, err
	}
	return factorPage{Key: secret, Proof: s.proof(v, secret),
		Picture: template.URL("data:image/png;base64," + base64.StdEncoding.EncodeToString(data.Bytes()))}, nil
}

// proof binds an offered key to the session, so that no other can be slipped in.
func (s *Server) proof(v *visit, secret string) string {
	return s.sign("factor", v.id+" "+secret)
}

// addFactor begins the second step once password and a code of the offered key are right.
func (s *Server) addFactor(w http.ResponseWriter, r *http.Request, v *visit) {
	secret := r.PostFormValue("key")
	if v.TOTP || !s.signed("factor", v.id+" "+secret, r.PostFormValue("proof")) {
		s.problem(w, r, http.StatusForbidden, "error.form")
		return
	}
	_, status, problem, err := s.confirm(r, v)
	n, ok := step(secret, r.PostFormValue("code"), time.Now())
	if problem == "" && !ok {
		status, problem = http.StatusUnprocessableEntity, "code.wrong"
	}
	if err == nil && problem != "" {
		s.factorProblem(w, r, v, secret, status, problem)
		return
	}
	if err == nil {
		err = s.people.AddFactor(r.Context(), v.ID, secret, n)
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.audit(r, v.Address, "factor", "added")
	s.renew(w, r, v, "/?done=factor")
}

func (s *Server) factorProblem(w http.ResponseWriter, r *http.Request, v *visit, secret string, status int, problem string) {
	s.audit(r, v.Address, "factor", "refused", "why", problem)
	var page factorPage
	if !v.TOTP {
		var err error
		if page, err = s.factorPage(v, secret); err != nil {
			s.fail(w, r, err)
			return
		}
	}
	page.Problem = problem
	s.render(w, r, status, "factor.html", v, page)
}

// removeFactor asks for the password again.
func (s *Server) removeFactor(w http.ResponseWriter, r *http.Request, v *visit) {
	_, status, problem, err := s.confirm(r, v)
	if err == nil && problem != "" {
		s.factorProblem(w, r, v, "", status, problem)
		return
	}
	if err == nil {
		err = s.people.RemoveFactor(r.Context(), v.ID)
	}
	if err != nil && !errors.Is(err, people.ErrUnknown) {
		s.fail(w, r, err)
		return
	}
	s.audit(r, v.Address, "factor", "removed")
	s.renew(w, r, v, "/?done=nofactor")
}
