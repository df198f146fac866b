package edge

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Error is a request that did not succeed. It holds the provider's words and
// never a header or a body that was sent, so no secret can be in it.
type Error struct {
	Method string
	Path   string
	// Status is the HTTP status; 0 means that no answer came.
	Status int
	// Details are the provider's own reasons.
	Details []Detail

	retryAfter time.Duration
	cause      error
}

// Detail is one reason in the provider's words; Code is from its API.
type Detail struct {
	Code    int      `json:"code"`
	Message string   `json:"message"`
	Chain   []Detail `json:"error_chain"`
}

// Error reads as one line: what was asked, then the provider's words.
func (e *Error) Error() string {
	what := "cloudflare: " + e.Method + " " + strings.TrimPrefix(e.Path, "/client/v4")
	if e.Status == 0 {
		return fmt.Sprintf("%s: no answer: %v", what, e.cause)
	}
	if words := join(e.Details); words != "" {
		return fmt.Sprintf("%s: %s (HTTP %d)%s", what, words, e.Status, e.hint())
	}
	return fmt.Sprintf("%s: HTTP %d %s", what, e.Status, http.StatusText(e.Status))
}

// hint explains the one refusal whose words mislead.
func (e *Error) hint() string {
	if e.has(10000) {
		return "; the token lacks a permission for this call, or the object belongs to another account"
	}
	return ""
}

func join(details []Detail) string {
	words := make([]string, len(details))
	for i, d := range details {
		words[i] = fmt.Sprintf("%s [%d]", d.Message, d.Code)
		if chain := join(d.Chain); chain != "" {
			words[i] += ": " + chain
		}
	}
	return strings.Join(words, "; ")
}

// Unwrap returns the transport's error where no answer came.
func (e *Error) Unwrap() error { return e.cause }

// Ambiguous tells whether the request may have taken effect all the same.
func (e *Error) Ambiguous() bool {
	return e.Status == 0 || e.Status == http.StatusRequestTimeout || e.Status >= http.StatusInternalServerError
}

// has tells whether the provider gave one of the codes, at any depth.
func (e *Error) has(codes ...int) bool { return hasCode(e.Details, codes) }

func hasCode(details []Detail, codes []int) bool {
	for _, d := range details {
		for _, c := range codes {
			if d.Code == c {
				return true
			}
		}
		if hasCode(d.Chain, codes) {
			return true
		}
	}
	return false
}

// ambiguous tells whether err leaves open if the request took effect.
func ambiguous(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Ambiguous()
}

// absent tells whether err says that the object does not exist.
func absent(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Status == http.StatusNotFound
}

// refusal returns the error that an answer stands for, or nil for a success.
// An answer of 200 that says success:false is an error too; the SDK would
// return it as an empty result.
func refusal(req *http.Request, res *http.Response, body []byte) error {
	isJSON := strings.Contains(res.Header.Get("Content-Type"), "json")
	var env struct {
		Success *bool    `json:"success"`
		Errors  []Detail `json:"errors"`
	}
	var bad error
	if isJSON && len(body) > 0 {
		bad = json.Unmarshal(body, &env)
	}
	e := &Error{Method: req.Method, Path: req.URL.Path, Status: res.StatusCode, Details: env.Errors}
	e.retryAfter = retryAfter(res.Header, time.Now())
	switch {
	case res.StatusCode >= 400:
		return e
	case bad != nil:
		// A cut or garbled answer leaves the effect unknown.
		e.Status, e.cause = 0, fmt.Errorf("read the answer: %w", bad)
		return e
	case env.Success != nil && !*env.Success:
		return e
	}
	return nil
}

// withoutURL strips the URL from a transport error: the path is printed
// already, and a query or user part has no place in a message.
func withoutURL(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}
