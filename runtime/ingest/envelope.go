package ingest

import (
	"errors"
	"net/http"
	"strings"

	"github.com/mailplan/mailplan/runtime/route"
)

// recipient is one address of a request, and where its mail goes.
type recipient struct {
	given   string
	targets []int   // indexes into the delivery's targets
	decided outcome // set when the address leads nowhere
}

var (
	errNoFrom     = errors.New("X-Mail-From is missing; send it empty for the null reverse path")
	errTwoFrom    = errors.New("X-Mail-From stands more than once")
	errNoRcpt     = errors.New("X-Rcpt-To is missing")
	errTooMany    = errors.New("too many recipients in one request")
	errLongHeader = errors.New("X-Rcpt-To holds an address that is too long")
)

// parseEnvelope reads the envelope headers. An address that is wrong as an address is not an error
// here: it is refused in SMTP's words, for that is what its sender must learn.
func parseEnvelope(h http.Header, maxRecipients int) (from string, to []string, err error) {
	senders := h.Values("X-Mail-From")
	if len(senders) == 0 {
		return "", nil, errNoFrom
	}
	if len(senders) > 1 {
		return "", nil, errTwoFrom
	}
	seen := map[string]bool{}
	for _, value := range h.Values("X-Rcpt-To") {
		for _, address := range splitAddresses(value) {
			if len(address) > 512 {
				return "", nil, errLongHeader
			}
			if address != "" && !seen[address] {
				seen[address] = true
				to = append(to, address)
			}
		}
	}
	if len(to) == 0 {
		return "", nil, errNoRcpt
	}
	if len(to) > maxRecipients {
		return "", nil, errTooMany
	}
	return unbracket(senders[0]), to, nil
}

// splitAddresses splits at commas outside of quotes, since HTTP may join repeated headers with one.
func splitAddresses(s string) []string {
	var all []string
	start, quoted := 0, false
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '"':
			quoted = !quoted
		case quoted && s[i] == '\\':
			i++
		case s[i] == ',' && !quoted:
			all = append(all, unbracket(s[start:i]))
			start = i + 1
		}
	}
	return append(all, unbracket(s[start:]))
}

func unbracket(s string) string {
	s = strings.TrimSpace(s)
	if len(s) >= 2 && s[0] == '<' && s[len(s)-1] == '>' {
		return s[1 : len(s)-1]
	}
	return s
}

// badAddress says what is wrong with an address, in SMTP's words (RFC 3463, RFC 6531).
func badAddress(err error, enhanced string) outcome {
	if errors.Is(err, route.ErrNonASCII) {
		return refused(553, "5.6.7", "address needs SMTPUTF8, which is not spoken here")
	}
	return refused(501, enhanced, "address has a wrong form")
}

// unroutable says why an address leads nowhere.
func unroutable(err error) outcome {
	switch {
	case errors.Is(err, route.ErrUnknownDomain):
		return refused(550, "5.1.2", "domain is not served here")
	case errors.Is(err, route.ErrLoop):
		return refused(554, "5.4.6", "aliases of this address form a loop")
	case errors.Is(err, route.ErrTooMany):
		return deferred("4.5.3", "address leads to "+route.ErrTooMany.Error()) // it is for the operator to mend
	}
	return refused(550, "5.1.1", "no such recipient here")
}
