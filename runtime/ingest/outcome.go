package ingest

import (
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/mailplan/mailplan/runtime/lmtp"
)

// status of a recipient or a request, as the OpenAPI document names them.
const (
	statusDelivered = "delivered"
	statusPartial   = "partial"
	statusRefused   = "refused"
	statusDeferred  = "deferred"
	statusInvalid   = "invalid"
)

const retryAfterSeconds = 60

// outcome is what becomes of a message at one target or for one recipient, in SMTP's words.
type outcome struct {
	Status    string `json:"status"`
	Code      int    `json:"code"`
	Enhanced  string `json:"enhanced"`
	Message   string `json:"message"`
	Duplicate bool   `json:"duplicate,omitempty"`
}

func refused(code int, enhanced, text string) outcome {
	return outcome{Status: statusRefused, Code: code, Enhanced: enhanced, Message: text}
}

func deferred(enhanced, text string) outcome {
	return outcome{Status: statusDeferred, Code: 451, Enhanced: enhanced, Message: text}
}

// unproven is a refusal of what an earlier try may have delivered.
func unproven(o outcome) outcome {
	return deferred("4"+o.Enhanced[1:], "an earlier try may have succeeded, now: "+o.Message)
}

func duplicate() outcome {
	return outcome{Status: statusDelivered, Code: 250, Enhanced: "2.0.0", Message: "delivered before", Duplicate: true}
}

// fromResult reads the mail store's answer. A reply that is neither 2xx nor 5xx defers.
func fromResult(r lmtp.Result) outcome {
	o := outcome{Code: r.Reply.Code, Enhanced: r.Reply.Enhanced, Message: r.Reply.Text}
	switch {
	case r.Reply.Positive():
		o.Status = statusDelivered
	case r.Reply.Permanent():
		o.Status = statusRefused
	case r.Reply.Code/100 == 4:
		o.Status = statusDeferred
	default:
		return deferred("4.4.2", "mail store does not answer")
	}
	if o.Enhanced == "" {
		o.Enhanced = strconv.Itoa(o.Code/100) + ".0.0"
	}
	return o
}

// combine is the outcome for an address that leads to several targets. Anything deferred defers it, so
// that the request is repeated; a target that refuses for good does not undo what others have taken.
func combine(all []outcome) outcome {
	best := all[0]
	for _, o := range all[1:] {
		if rank(o.Status) > rank(best.Status) || o.Status == best.Status && best.Duplicate {
			best = o
		}
	}
	return best
}

func rank(status string) int {
	switch status {
	case statusDeferred:
		return 2
	case statusDelivered:
		return 1
	}
	return 0
}

// recipientResult is one recipient of the answer.
type recipientResult struct {
	Address string `json:"address"`
	outcome
}

// result is the body of every answer.
type result struct {
	ID         string            `json:"id,omitempty"`
	Status     string            `json:"status"`
	Message    string            `json:"message"`
	Recipients []recipientResult `json:"recipients,omitempty"`

	http  int
	close bool // the rest of the request's body is of no use
}

// invalid is the answer to a request that is wrong as a request.
func invalid(code int, text string) result {
	return result{Status: statusInvalid, Message: text, http: code, close: true}
}

// summarize finds the status of the request from its recipients'.
func summarize(id string, all []recipientResult) result {
	r := result{ID: id, Recipients: all}
	count := map[string]int{}
	for _, one := range all {
		count[one.Status]++
		if r.Message == "" || rank(one.Status) == 2 {
			r.Message = one.Enhanced + " " + one.Message
		}
	}
	switch {
	case count[statusDeferred] > 0:
		r.Status, r.http = statusDeferred, http.StatusServiceUnavailable
	case count[statusRefused] == 0:
		r.Status, r.http = statusDelivered, http.StatusOK
	case count[statusDelivered] == 0:
		r.Status, r.http = statusRefused, http.StatusUnprocessableEntity
	default:
		r.Status, r.http = statusPartial, http.StatusMultiStatus
	}
	return r
}

func (r result) write(w http.ResponseWriter) {
	body, err := json.Marshal(r)
	if err != nil {
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(body)+1))
	switch r.http {
	case http.StatusServiceUnavailable:
		h.Set("Retry-After", strconv.Itoa(retryAfterSeconds))
	case http.StatusUnauthorized:
		h.Set("WWW-Authenticate", "Bearer")
	}
	if r.close {
		h.Set("Connection", "close")
	}
	w.WriteHeader(r.http)
	w.Write(append(body, '\n'))
}
