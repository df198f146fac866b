package standin

import (
	"net/http"
	"strconv"
	"time"
)

// Kind is a way to misbehave.
type Kind int

// The kinds of Fault. Those from ErrorAfter on let the request take effect first, so that the caller can't tell
// whether it did.
const (
	TooMany     Kind = iota + 1 // 429 with Retry-After
	ServerError                 // 502 with an HTML body, no effect
	ErrorAfter                  // 500 after the effect
	DropAfter                   // the connection is closed after the effect
)

// Fault makes matching requests fail.
type Fault struct {
	Kind       Kind
	Pattern    string        // the endpoint; empty matches all
	Skip       int           // matching requests that pass first
	Times      int           // how many requests fail; 0 means one
	RetryAfter time.Duration // what TooMany asks for, in whole seconds
}

// Inject adds a fault; faults are used up in the order they were added.
func (s *Service[S]) Inject(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f.Times = max(f.Times, 1)
	s.faults = append(s.faults, &f)
}

// Heal forgets every fault.
func (s *Service[S]) Heal() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// count notes a call and takes the next fault for its endpoint, or nil.
func (s *Service[S]) count(pattern string) *Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls[pattern]++
	for i, f := range s.faults {
		if f.Pattern != "" && f.Pattern != pattern {
			continue
		}
		if f.Skip > 0 {
			f.Skip--
			return nil
		}
		if f.Times--; f.Times == 0 {
			s.faults = append(s.faults[:i:i], s.faults[i+1:]...)
		}
		return f
	}
	return nil
}

// before answers in place of the endpoint and reports whether it did.
func (f *Fault) before(w http.ResponseWriter, _ *http.Request) bool {
	switch {
	case f == nil:
		return false
	case f.Kind == TooMany:
		w.Header().Set("Retry-After", strconv.Itoa(int(f.RetryAfter/time.Second)))
		Answer{Status: http.StatusTooManyRequests, Body: map[string]string{"message": "too many requests"}}.write(w)
		return true
	case f.Kind == ServerError:
		Answer{Status: http.StatusBadGateway, Type: "text/html", Text: []byte("<html><body>502 Bad Gateway</body></html>\n")}.write(w)
		return true
	}
	return false
}

// after spoils the answer of a request that took effect.
func (f *Fault) after(w http.ResponseWriter, _ *http.Request) bool {
	switch {
	case f == nil:
		return false
	case f.Kind == ErrorAfter:
		Answer{Status: http.StatusInternalServerError, Body: map[string]string{"message": "internal server error"}}.write(w)
		return true
	case f.Kind == DropAfter:
		if b, ok := w.(*buffered); ok {
			b.dropped = true
			return true
		}
		if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
			conn.Close()
		}
		return true
	}
	return false
}
