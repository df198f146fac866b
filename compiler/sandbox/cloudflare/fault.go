package cloudflare

import (
	"net/http"

	"github.com/mailplan/mailplan/compiler/sandbox/standin"
)

// Fault makes matching requests fail; its Pattern is one of the routes, as
// "POST /zones/{zone}/dns_records".
type Fault = standin.Fault

// The kinds of Fault.
const (
	TooMany      = standin.TooMany
	ServerError  = standin.ServerError
	FalseSuccess = standin.FalseSuccess
	Refused      = standin.Refused
	Hang         = standin.Hang
	ErrorAfter   = standin.ErrorAfter
	HangAfter    = standin.HangAfter
	DropAfter    = standin.DropAfter
)

// Inject adds a fault; faults are used up in the order they were added.
func (s *Server) Inject(f Fault) { s.faults.Inject(f) }

// Heal forgets every fault and lets reads see the latest state again.
func (s *Server) Heal() {
	s.faults.Heal()
	s.mu.Lock()
	defer s.mu.Unlock()
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

// say is how the provider words a fault.
func say(w http.ResponseWriter, f Fault) {
	switch f.Kind {
	case TooMany:
		tooMany(w, f.RetryAfter)
	case ServerError:
		badGateway(w)
	case FalseSuccess:
		writeError(w, &apiError{status: http.StatusOK, code: 1001, message: "The request could not be completed"})
	case Refused:
		writeError(w, refuse(1002, "The request was refused by an injected fault"))
	default:
		writeError(w, &apiError{status: http.StatusInternalServerError, code: 10013, message: "Internal server error"})
	}
}

// badGateway is what the provider's own edge answers: HTML, not JSON.
func badGateway(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/html")
	w.WriteHeader(http.StatusBadGateway)
	w.Write([]byte("<html><head><title>502 Bad Gateway</title></head><body><center><h1>502 Bad Gateway</h1></center><hr><center>cloudflare</center></body></html>\n"))
}
