package polite

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

var noon = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

// answers gives one status after the other, then 200, and keeps what was sent.
type answers struct {
	status []int
	header http.Header
	bodies []string
}

func (a *answers) RoundTrip(req *http.Request) (*http.Response, error) {
	body := ""
	if req.Body != nil {
		b, _ := io.ReadAll(req.Body)
		body = string(b)
	}
	a.bodies = append(a.bodies, body)
	status := http.StatusOK
	if n := len(a.bodies) - 1; n < len(a.status) {
		status = a.status[n]
	}
	if status == 0 {
		return nil, errors.New("connection lost")
	}
	return &http.Response{StatusCode: status, Header: a.header, Body: io.NopCloser(strings.NewReader("<html>")), Request: req}, nil
}

func TestRepeats(t *testing.T) {
	for _, tc := range []struct {
		name, method, match string
		status              []int
		header              http.Header
		sent                int
		slept               time.Duration
		err                 string
	}{
		{name: "a refused POST waits as it is told", method: "POST", status: []int{429}, header: http.Header{"Retry-After": {"7"}}, sent: 2, slept: 7 * time.Second},
		{name: "a date", method: "POST", status: []int{429}, header: http.Header{"Retry-After": {noon.Add(9 * time.Second).Format(http.TimeFormat)}}, sent: 2, slept: 9 * time.Second},
		{name: "the renewal of a limit", method: "GET", status: []int{429}, header: http.Header{"X-Ratelimit-Reset": {"1793534405"}}, sent: 2, slept: 5 * time.Second},
		{name: "too long", method: "GET", status: []int{429}, header: http.Header{"Retry-After": {"3600"}}, sent: 1, err: "asks for a pause of 1h0m0s"},
		{name: "a POST may have had its effect", method: "POST", status: []int{502}, header: http.Header{}, sent: 1, err: "502 Bad Gateway"},
		{name: "a POST bound to a state", method: "POST", match: `"x"`, status: []int{502, 0}, header: http.Header{}, sent: 3, slept: 1500 * time.Millisecond},
		{name: "for ever", method: "GET", status: []int{503, 503, 503, 503}, header: http.Header{}, sent: 4, slept: 3500 * time.Millisecond, err: "503 Service Unavailable"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a, slept := &answers{status: tc.status, header: tc.header}, time.Duration(0)
			client := http.Client{Transport: &Transport{Base: a, Now: func() time.Time { return noon },
				Sleep: func(_ context.Context, d time.Duration) error { slept += d; return nil }}}
			req, err := http.NewRequest(tc.method, "https://api.partner.example/x", strings.NewReader("body"))
			if err != nil {
				t.Fatal(err)
			}
			if tc.match != "" {
				req.Header.Set("If-Match", tc.match)
			}
			resp, err := client.Do(req)
			if err == nil {
				resp.Body.Close()
			}
			if (err == nil) != (tc.err == "") || err != nil && !strings.Contains(err.Error(), tc.err) {
				t.Errorf("error %v, want %q", err, tc.err)
			}
			if len(a.bodies) != tc.sent || slept != tc.slept {
				t.Errorf("sent %d times after %s, want %d after %s", len(a.bodies), slept, tc.sent, tc.slept)
			}
			for _, b := range a.bodies {
				if b != "body" {
					t.Errorf("sent the body %q", b)
				}
			}
		})
	}
}

func TestStopsWithTheContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	a := &answers{status: []int{503}, header: http.Header{"Retry-After": {"50"}}}
	client := http.Client{Transport: &Transport{Base: a}}
	req, err := http.NewRequestWithContext(ctx, "GET", "https://api.partner.example/x", nil)
	if err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(20*time.Millisecond, cancel)
	if _, err := client.Do(req); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
