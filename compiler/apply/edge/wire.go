package edge

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// maxAnswer bounds an answer; a zone of 3,500 records is about 3 MB.
const maxAnswer = 64 << 20

// wire sends every request of the SDK: it paces them, repeats what may be
// repeated, and turns refusals into *Error.
type wire struct {
	cfg    Config
	bucket *bucket
	calls  atomic.Int64
}

// roundTrip is the SDK's middleware. The answer it returns is a success; every
// other outcome is an error of this package.
func (w *wire) roundTrip(req *http.Request, next func(*http.Request) (*http.Response, error)) (*http.Response, error) {
	for try := 1; ; try++ {
		res, err := w.try(req, next)
		if err == nil {
			return res, nil
		}
		wait, again := w.again(req, err, try)
		if !again {
			return nil, err
		}
		if err := w.cfg.Sleep(req.Context(), wait); err != nil {
			return nil, err
		}
	}
}

// try sends the request once and reads the whole answer.
func (w *wire) try(req *http.Request, next func(*http.Request) (*http.Response, error)) (*http.Response, error) {
	if err := w.cfg.Sleep(req.Context(), w.bucket.take()); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(req.Context(), w.cfg.TryTimeout)
	defer cancel()
	once := req.Clone(ctx)
	if req.GetBody != nil {
		body, err := req.GetBody()
		if err != nil {
			return nil, fmt.Errorf("rewind the request body: %w", err)
		}
		once.Body = body
	}
	w.calls.Add(1)
	res, err := next(once)
	if err != nil {
		return nil, lost(req, err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return nil, lost(req, err)
	}
	if err := refusal(req, res, body); err != nil {
		return nil, err
	}
	res.Body = io.NopCloser(bytes.NewReader(body))
	return res, nil
}

// send makes a request without the SDK, through the same pacing,
// repeats and error handling. The path is relative to the API's root.
func (w *wire) send(ctx context.Context, method, path string, body any) ([]byte, error) {
	var sent []byte
	if body != nil {
		var err error
		if sent, err = json.Marshal(body); err != nil {
			return nil, fmt.Errorf("encode the request: %w", err)
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(w.cfg.BaseURL, "/")+"/"+path, bytes.NewReader(sent))
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, path, withoutURL(err))
	}
	req.Header.Set("Authorization", "Bearer "+w.cfg.Token)
	req.Header.Set("Accept", "application/json")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := w.roundTrip(req, w.cfg.HTTPClient.Do)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(res.Body)
}

// lost is the outcome of a request whose answer never came.
func lost(req *http.Request, err error) error {
	if ctx := req.Context().Err(); ctx != nil {
		return &Error{Method: req.Method, Path: req.URL.Path, cause: ctx}
	}
	return &Error{Method: req.Method, Path: req.URL.Path, cause: withoutURL(err)}
}

// again decides whether and when a failed request is repeated. One that the
// provider refused for its rate has had no effect, so any method repeats. One
// whose effect is unknown repeats only if a second time changes nothing.
func (w *wire) again(req *http.Request, err error, try int) (time.Duration, bool) {
	var e *Error
	if !errors.As(err, &e) || try >= w.cfg.Tries || req.Context().Err() != nil {
		return 0, false
	}
	limited := e.Status == http.StatusTooManyRequests
	if !limited && !(e.Ambiguous() && req.Method != http.MethodPost) {
		return 0, false
	}
	wait := backoff(try)
	if e.retryAfter > 0 {
		wait = e.retryAfter
	}
	return wait, wait <= w.cfg.MaxWait
}

// backoff is the wait before attempt try+1: 0.5 s doubling up to 15 s.
func backoff(try int) time.Duration {
	return min(500*time.Millisecond<<(try-1), 15*time.Second)
}

// retryAfter reads the header as seconds or as a date.
func retryAfter(h http.Header, now time.Time) time.Duration {
	v := h.Get("Retry-After")
	if s, err := strconv.ParseFloat(v, 64); err == nil && s >= 0 && s < math.MaxInt32 {
		return time.Duration(s * float64(time.Second))
	}
	if at, err := http.ParseTime(v); err == nil {
		return max(at.Sub(now), 0)
	}
	return 0
}

// bucket paces requests below the provider's 1200 in five minutes, leaving
// some to the dashboard and to other clients of the same user.
type bucket struct {
	mu   sync.Mutex
	now  func() time.Time
	left float64
	last time.Time
}

const (
	burst     = 500.0
	perSecond = 2.0 // 500 + 2*300 = 1100 in any five minutes
)

func newBucket(now func() time.Time) *bucket {
	return &bucket{now: now, left: burst, last: now()}
}

// take reserves one request and returns how long to wait before sending it.
func (b *bucket) take() time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	b.left = min(burst, b.left+now.Sub(b.last).Seconds()*perSecond)
	b.last = now
	b.left--
	if b.left >= 0 {
		return 0
	}
	return time.Duration(-b.left / perSecond * float64(time.Second))
}
