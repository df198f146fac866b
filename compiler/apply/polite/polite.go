// Package polite is a layer below an HTTP client that treats a provider well: it waits as long as the provider asks
// for (RFC 9110 10.2.3), within a cap, and repeats what a passing fault has stopped where a repetition can do no harm.
// It knows no provider.
package polite

import (
	"context"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"time"
)

// Transport is an http.RoundTripper over another. The zero value works.
type Transport struct {
	Base http.RoundTripper // nil means http.DefaultTransport
	// Cap is the longest wait that is granted to a provider; 0 means a minute.
	Cap time.Duration
	// Sleep waits, and ends early with the context's error; nil means a timer.
	Sleep func(ctx context.Context, d time.Duration) error
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Repeatable names further requests that may be sent twice, such as a POST that only checks; nil means none.
	Repeatable func(*http.Request) bool
}

// tries is how often a request is sent at most.
const tries = 4

// RoundTrip implements http.RoundTripper. A provider that still refuses after the last try, or that wants to be
// left alone for longer than the cap, is answered with an error that says so.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	for try := 1; ; try++ {
		again, err := rewound(req, try)
		if err != nil {
			return nil, err
		}
		resp, err := t.base().RoundTrip(again)
		wait, more := t.wait(req, resp, err, try)
		if !more {
			return told(resp, err)
		}
		if resp != nil {
			io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<16))
			resp.Body.Close()
		}
		if wait > t.cap() {
			return nil, fmt.Errorf("%s asks for a pause of %s, more than %s: try again then", req.URL.Host, wait.Round(time.Second), t.cap())
		}
		if err := t.sleep(req.Context(), wait); err != nil {
			return nil, err
		}
	}
}

// rewound is the request with its body from the start.
func rewound(req *http.Request, try int) (*http.Request, error) {
	if try == 1 || req.Body == nil || req.GetBody == nil {
		return req, nil
	}
	again := req.Clone(req.Context())
	var err error
	if again.Body, err = req.GetBody(); err != nil {
		return nil, fmt.Errorf("repeat a request to %s: %w", req.URL.Host, err)
	}
	return again, nil
}

// wait says whether the request is to be sent once more, and when.
func (t *Transport) wait(req *http.Request, resp *http.Response, err error, try int) (time.Duration, bool) {
	if try == tries || req.Context().Err() != nil || req.Body != nil && req.GetBody == nil {
		return 0, false
	}
	backoff := 500 * time.Millisecond << (try - 1)
	switch {
	case err != nil:
		return backoff, t.harmless(req)
	case resp.StatusCode == http.StatusTooManyRequests: // refused, so whatever it was had no effect
		return max(t.asked(resp), backoff), true
	case resp.StatusCode >= 500:
		return max(t.asked(resp), backoff), t.harmless(req)
	}
	return 0, false
}

// harmless requests may be repeated: those that HTTP calls idempotent (RFC 9110 9.2.2), and those that are bound
// to the state they were made for.
func (t *Transport) harmless(req *http.Request) bool {
	switch req.Method {
	case http.MethodGet, http.MethodHead, http.MethodPut, http.MethodDelete:
		return true
	}
	return req.Header.Get("If-Match") != "" || t.Repeatable != nil && t.Repeatable(req)
}

// asked reads Retry-After in both its forms, else the moment when a used-up limit is renewed.
func (t *Transport) asked(resp *http.Response) time.Duration {
	if v := resp.Header.Get("Retry-After"); v != "" {
		if seconds, err := strconv.Atoi(v); err == nil {
			return time.Duration(max(0, seconds)) * time.Second
		}
		if at, err := http.ParseTime(v); err == nil {
			return max(0, at.Sub(t.now()))
		}
	}
	if at, err := strconv.ParseInt(resp.Header.Get("X-RateLimit-Reset"), 10, 64); err == nil {
		return max(0, time.Unix(at, 0).Sub(t.now()))
	}
	return 0
}

// told turns an answer that no API client can read, such as a gateway's page in HTML, into an error.
func told(resp *http.Response, err error) (*http.Response, error) {
	if err != nil || resp.StatusCode < 500 {
		return resp, err
	}
	if kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); kind == "application/json" {
		return resp, nil
	}
	resp.Body.Close()
	return nil, fmt.Errorf("the provider answers %d %s", resp.StatusCode, http.StatusText(resp.StatusCode))
}

func (t *Transport) base() http.RoundTripper {
	if t.Base == nil {
		return http.DefaultTransport
	}
	return t.Base
}

func (t *Transport) cap() time.Duration {
	if t.Cap == 0 {
		return time.Minute
	}
	return t.Cap
}

func (t *Transport) now() time.Time {
	if t.Now == nil {
		return time.Now()
	}
	return t.Now()
}

func (t *Transport) sleep(ctx context.Context, d time.Duration) error {
	if t.Sleep != nil {
		return t.Sleep(ctx, d)
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
