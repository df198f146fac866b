// Package cloudflare is a stand-in for the Cloudflare v4 API: an http.Handler
// that keeps real state in a folder, checks what it is sent as strictly as the
// provider does, and misbehaves on request. It serves `--sandbox` and the
// tests alike. It must not know anything of mailplan's sites or plans; its
// reference is the provider's API documentation.
package cloudflare

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/hex"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/mailplan/mailplan/compiler/sandbox/standin"
)

// prefix is the path under which the provider serves its API.
const prefix = "/client/v4"

// maxBody bounds a request; the largest real one is a Worker upload.
const maxBody = 64 << 20

// Server is one account of the stand-in. Use New.
type Server struct {
	mux   *http.ServeMux
	token string
	now   func() time.Time

	mu      sync.Mutex
	store   *store
	limit   window
	faults  standin.Faults
	calls   map[string]int
	effects map[string]int
}

// Options change what a Server accepts; the zero value is a Free account
// with the provider's limits and any bearer token.
type Options struct {
	// Token is the only bearer token accepted; empty accepts every non-empty one.
	Token string
	// Requests allowed in five minutes; 0 means the provider's 1200.
	Requests int
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// New opens the state kept in dir, which is created with mode 0700 if absent.
func New(dir string, o Options) (*Server, error) {
	st, err := openStore(dir)
	if err != nil {
		return nil, err
	}
	s := &Server{
		mux: http.NewServeMux(), token: o.Token, now: o.Now, store: st,
		limit: window{max: o.Requests}, calls: map[string]int{}, effects: map[string]int{},
	}
	if s.now == nil {
		s.now = time.Now
	}
	if s.limit.max == 0 {
		s.limit.max = 1200
	}
	s.routes()
	return s, nil
}

// handle registers one endpoint; pattern is "METHOD /path" below the API's
// prefix with http.ServeMux wildcards.
func (s *Server) handle(pattern string, h handler) {
	method, path, _ := strings.Cut(pattern, " ")
	s.mux.HandleFunc(method+" "+prefix+path, func(w http.ResponseWriter, r *http.Request) {
		s.serve(w, r, pattern, h)
	})
}

// ServeHTTP answers one API request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if _, pattern := s.mux.Handler(r); pattern == "" {
		writeError(w, noRoute(r))
		return
	}
	s.mux.ServeHTTP(w, r)
}

func noRoute(r *http.Request) *apiError {
	return &apiError{status: http.StatusBadRequest, code: 7000, message: "No route for that URI: " + r.Method + " " + r.URL.Path}
}

// serve runs one endpoint: authentication, rate limit, faults, the handler in
// a transaction over the state, and the envelope.
func (s *Server) serve(w http.ResponseWriter, r *http.Request, pattern string, h handler) {
	if err := s.authenticate(r); err != nil {
		writeError(w, err)
		return
	}
	if wait := s.admit(pattern); wait > 0 {
		tooMany(w, wait)
		return
	}
	f := s.faults.Take(pattern)
	if f.Before(w, r, say) {
		return
	}
	out := s.transact(w, r, pattern, h)
	if f.After(w, r, say) {
		return
	}
	out.write(w)
}

// admit counts the call and returns how long the caller must wait.
func (s *Server) admit(pattern string) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls[pattern]++
	return s.limit.take(s.now())
}

func (s *Server) authenticate(r *http.Request) *apiError {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok || token == "" {
		return &apiError{status: http.StatusBadRequest, code: 9106, message: "Missing X-Auth-Key, X-Auth-Email or Authorization headers"}
	}
	if s.token != "" && subtle.ConstantTimeCompare([]byte(token), []byte(s.token)) != 1 {
		return &apiError{status: http.StatusForbidden, code: 10000, message: "Authentication error"}
	}
	return nil
}

// window is a fixed window of five minutes, as the provider counts.
type window struct {
	max   int
	used  int
	start time.Time
}

const windowLength = 5 * time.Minute

// take returns 0 when the request is allowed, else the time until it is.
func (w *window) take(now time.Time) time.Duration {
	if now.Sub(w.start) >= windowLength {
		w.start, w.used = now, 0
	}
	w.used++
	if w.used <= w.max {
		return 0
	}
	return w.start.Add(windowLength).Sub(now)
}

// Calls returns how many requests reached an endpoint, refused ones included.
// The pattern is the one of the routes, as "POST /zones/{zone}/dns_records".
func (s *Server) Calls(pattern string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[pattern]
}

// Effects returns how many requests to an endpoint changed the state.
func (s *Server) Effects(pattern string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.effects[pattern]
}

// Counts returns copies of all call and effect counts.
func (s *Server) Counts() (calls, effects map[string]int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	calls, effects = map[string]int{}, map[string]int{}
	for k, v := range s.calls {
		calls[k] = v
	}
	for k, v := range s.effects {
		effects[k] = v
	}
	return calls, effects
}

// newID makes an identifier of the provider's form: 32 hexadecimal digits.
func newID() string {
	b := make([]byte, 16)
	rand.Read(b)
	return hex.EncodeToString(b)
}
