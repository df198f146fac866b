// Package standin is what small stand-ins for an outside service have in common: a state that is kept in one file,
// requests that take effect whole or not at all, counts of calls and effects, misbehaviour on request, and a client
// that needs no socket. It must not know any service; a stand-in is a Service with endpoints.
package standin

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"sync"

	"github.com/mailplan/mailplan/compiler/apply/host"
)

// maxBody bounds a request.
const maxBody = 4 << 20

// Service is an HTTP service whose whole state is one S. Use Open.
type Service[S any] struct {
	Faults
	mux  *http.ServeMux
	file string

	mu      sync.Mutex
	state   []byte
	calls   map[string]int
	effects map[string]int
}

// Call is one request with its own copy of the state. What the handler does to it is kept if it answers with a
// status below 400 and has called Changed.
type Call[S any] struct {
	*http.Request
	Body    []byte
	State   S
	changed bool
}

// Changed says that State is to be kept.
func (c *Call[S]) Changed() { c.changed = true }

// Answer is what goes back: Body as JSON, unless Text is set.
type Answer struct {
	Status int
	Header http.Header
	Body   any
	Text   []byte
	Type   string // of Text
}

// Open goes on with the state in file, or begins with first.
func Open[S any](file string, first S) (*Service[S], error) {
	s := &Service[S]{mux: http.NewServeMux(), file: file, calls: map[string]int{}, effects: map[string]int{}}
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		data, err = json.Marshal(first)
	}
	if err != nil {
		return nil, fmt.Errorf("open the stand-in's state: %w", err)
	}
	if err := json.Unmarshal(data, new(S)); err != nil {
		return nil, fmt.Errorf("open the stand-in's state: %s: %w; delete it to start over", file, err)
	}
	s.state = data
	return s, nil
}

// Edit changes the state from outside, as somebody with a browser would.
func (s *Service[S]) Edit(edit func(*S)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	state, err := s.load()
	if err != nil {
		return err
	}
	edit(&state)
	return s.keep(state)
}

// State is a copy of the present one.
func (s *Service[S]) State() (S, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.load()
}

func (s *Service[S]) load() (S, error) {
	var state S
	if err := json.Unmarshal(s.state, &state); err != nil {
		return state, fmt.Errorf("read the stand-in's state: %w", err)
	}
	return state, nil
}

func (s *Service[S]) keep(state S) error {
	data, err := json.Marshal(state)
	if err != nil {
		return fmt.Errorf("keep the stand-in's state: %w", err)
	}
	if err := host.WriteFile(s.file, append(data, '\n'), 0o600, nil); err != nil {
		return fmt.Errorf("keep the stand-in's state: %w", err)
	}
	s.state = data
	return nil
}

// Handle registers an endpoint; pattern is that of http.ServeMux.
func (s *Service[S]) Handle(pattern string, h func(*Call[S]) Answer) {
	s.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { s.serve(w, r, pattern, h) })
}

// ServeHTTP answers one request.
func (s *Service[S]) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

func (s *Service[S]) serve(w http.ResponseWriter, r *http.Request, pattern string, h func(*Call[S]) Answer) {
	s.count(pattern)
	f := s.Take(pattern)
	if f.Before(w, r, plain) {
		return
	}
	answer := s.transact(r, pattern, h)
	if f.After(w, r, plain) {
		return
	}
	answer.write(w)
}

func (s *Service[S]) count(pattern string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls[pattern]++
}

// transact runs the handler with the state to itself.
func (s *Service[S]) transact(r *http.Request, pattern string, h func(*Call[S]) Answer) Answer {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
	if err != nil {
		return Answer{Status: http.StatusBadRequest}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	state, err := s.load()
	if err != nil {
		return Answer{Status: http.StatusInternalServerError}
	}
	c := &Call[S]{Request: r, Body: body, State: state}
	answer := h(c)
	if c.changed && answer.Status < 400 {
		if err := s.keep(c.State); err != nil {
			return Answer{Status: http.StatusInternalServerError}
		}
		s.effects[pattern]++
	}
	return answer
}

func (a Answer) write(w http.ResponseWriter) {
	for name, values := range a.Header {
		w.Header()[http.CanonicalHeaderKey(name)] = values
	}
	if a.Text != nil || a.Body == nil {
		if a.Type != "" {
			w.Header().Set("Content-Type", a.Type)
		}
		w.WriteHeader(a.Status)
		w.Write(a.Text)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(a.Status)
	json.NewEncoder(w).Encode(a.Body)
}

// Calls is how many requests reached an endpoint, refused ones included.
func (s *Service[S]) Calls(pattern string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[pattern]
}

// Effects is how many requests to an endpoint changed the state.
func (s *Service[S]) Effects(pattern string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.effects[pattern]
}
