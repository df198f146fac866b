package standin

import (
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// Kind is a way to misbehave.
type Kind int

// The kinds of Fault. Those from ErrorAfter on let the request take effect first, so that the caller can't tell
// whether it did.
const (
	TooMany      Kind = iota + 1 // 429 with Retry-After
	ServerError                  // 502 with an HTML body, no effect
	FalseSuccess                 // 200 that says it failed, no effect
	Refused                      // 400 in the provider's words, no effect
	Hang                         // no answer and no effect
	ErrorAfter                   // 500 after the effect
	HangAfter                    // no answer after the effect
	DropAfter                    // the connection is closed after the effect
)

// Fault makes matching requests fail.
type Fault struct {
	Kind       Kind
	Pattern    string        // the endpoint; empty matches all
	Skip       int           // matching requests that pass first
	Times      int           // how many requests fail; 0 means one
	RetryAfter time.Duration // what TooMany asks for, in whole seconds
	// Notify, if not nil, is called when the fault strikes: for the After kinds once the state has changed, for the
	// others in its place.
	Notify func()
}

// Words answers with a fault of a kind that has an answer, as a service words it.
type Words func(w http.ResponseWriter, f Fault)

// Faults are those that a service is told to have. The zero value has none.
type Faults struct {
	mu   sync.Mutex
	list []*Fault
}

// Inject adds a fault; faults are used up in the order they were added.
func (s *Faults) Inject(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f.Times = max(f.Times, 1)
	s.list = append(s.list, &f)
}

// Heal forgets every fault.
func (s *Faults) Heal() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = nil
}

// Take uses up the next fault for an endpoint, or returns nil.
func (s *Faults) Take(pattern string) *Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, f := range s.list {
		if f.Pattern != "" && f.Pattern != pattern {
			continue
		}
		if f.Skip > 0 {
			f.Skip--
			return nil
		}
		if f.Times--; f.Times == 0 {
			s.list = append(s.list[:i:i], s.list[i+1:]...)
		}
		return f
	}
	return nil
}

// Before answers in place of the endpoint and reports whether it did.
func (f *Fault) Before(w http.ResponseWriter, r *http.Request, say Words) bool {
	if f == nil || f.Kind >= ErrorAfter {
		return false
	}
	f.notify()
	if f.Kind == Hang {
		hang(r)
	} else {
		say(w, *f)
	}
	return true
}

// After spoils the answer of a request that took effect, and reports whether it did.
func (f *Fault) After(w http.ResponseWriter, r *http.Request, say Words) bool {
	if f == nil {
		return false
	}
	f.notify()
	switch f.Kind {
	case HangAfter:
		hang(r)
	case DropAfter:
		drop(w)
	default:
		say(w, *f)
	}
	return true
}

func (f *Fault) notify() {
	if f.Notify != nil {
		f.Notify()
	}
}

// hang waits until the caller gives up. The body is read first: only then does the server notice that the connection was
// closed.
func hang(r *http.Request) {
	io.Copy(io.Discard, r.Body)
	<-r.Context().Done()
}

// drop closes the connection in place of an answer.
func drop(w http.ResponseWriter) {
	if b, ok := w.(*buffered); ok {
		b.dropped = true
		return
	}
	if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
		conn.Close()
	}
}

// plain are the words of a service that has none of its own.
func plain(w http.ResponseWriter, f Fault) {
	switch f.Kind {
	case TooMany:
		w.Header().Set("Retry-After", strconv.Itoa(int(f.RetryAfter/time.Second)))
		Answer{Status: http.StatusTooManyRequests, Body: map[string]string{"message": "too many requests"}}.write(w)
	case ServerError:
		Answer{Status: http.StatusBadGateway, Type: "text/html", Text: []byte("<html><body>502 Bad Gateway</body></html>\n")}.write(w)
	case Refused, FalseSuccess:
		Answer{Status: http.StatusBadRequest, Body: map[string]string{"message": "refused by an injected fault"}}.write(w)
	default:
		Answer{Status: http.StatusInternalServerError, Body: map[string]string{"message": "internal server error"}}.write(w)
	}
}
