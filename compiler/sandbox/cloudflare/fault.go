package cloudflare

import (
	"io"
	"net/http"
	"time"
)

// Kind is a way to misbehave.
type Kind int

// The kinds of Fault. Those from ErrorAfter on let the request take effect first, so
// that the caller can't tell whether it did.
const (
	TooMany      Kind = iota + 1 // 429 with Retry-After
	ServerError                  // 502 with an HTML body, no effect
	FalseSuccess                 // 200 with success:false, no effect
	Refused                      // 400 in the provider's words, no effect
	Hang                         // no answer and no effect
	ErrorAfter                   // 500 after the effect
	HangAfter                    // no answer after the effect
	DropAfter                    // the connection is closed after the effect
)

// Fault makes matching requests fail.
type Fault struct {
	Kind Kind
	// Pattern is the endpoint, as "POST /zones/{zone}/dns_records"; empty matches all.
	Pattern string
	// Skip lets that many matching requests pass first.
	Skip int
	// Times is how many requests fail; 0 means one.
	Times int
	// RetryAfter is what TooMany asks for, in whole seconds.
	RetryAfter time.Duration
	// Notify, if not nil, is called when the fault strikes: for the After kinds
	// once the state has changed, for the others in its place.
	Notify func()
}

// Inject adds a fault; faults are used up in the order they were added.
func (s *Server) Inject(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f.Times = max(f.Times, 1)
	s.faults = append(s.faults, &f)
}

// Heal forgets every fault and lets reads see the latest state again.
func (s *Server) Heal() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
	s.store.lag = 0
	clear(s.store.old)
}

// Lag makes the first n reads of a document after each change see the state
// before it (eventual consistency).
func (s *Server) Lag(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.store.lag = n
}

// fault takes the next fault for an endpoint, or nil.
func (s *Server) fault(pattern string) *Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
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
func (f *Fault) before(w http.ResponseWriter, r *http.Request) bool {
	if f == nil {
		return false
	}
	if f.Kind < ErrorAfter {
		f.notify()
	}
	switch f.Kind {
	case TooMany:
		tooMany(w, f.RetryAfter)
	case ServerError:
		badGateway(w)
	case FalseSuccess:
		writeError(w, &apiError{status: http.StatusOK, code: 1001, message: "The request could not be completed"})
	case Refused:
		writeError(w, refuse(1002, "The request was refused by an injected fault"))
	case Hang:
		hang(r)
	default:
		return false
	}
	return true
}

// after spoils the answer of a request that took effect.
func (f *Fault) after(w http.ResponseWriter, r *http.Request) bool {
	if f == nil {
		return false
	}
	f.notify()
	switch f.Kind {
	case ErrorAfter:
		writeError(w, &apiError{status: http.StatusInternalServerError, code: 10013, message: "Internal server error"})
	case HangAfter:
		hang(r)
	case DropAfter:
		drop(w)
	default:
		return false
	}
	return true
}

func (f *Fault) notify() {
	if f.Notify != nil {
		f.Notify()
	}
}

// hang waits until the caller gives up. The body is read first: only then does
// the server notice that the connection was closed.
func hang(r *http.Request) {
	io.Copy(io.Discard, r.Body)
	<-r.Context().Done()
}

// drop closes the connection in place of an answer.
func drop(w http.ResponseWriter) {
	if b, ok := w.(*buffered); ok {
		b.drop()
		return
	}
	if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
		conn.Close()
	}
}

// badGateway is what the provider's own edge answers: HTML, not JSON.
func badGateway(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/html")
	w.WriteHeader(http.StatusBadGateway)
	w.Write([]byte("<html><head><title>502 Bad Gateway</title></head><body><center><h1>502 Bad Gateway</h1></center><hr><center>cloudflare</center></body></html>\n"))
}
