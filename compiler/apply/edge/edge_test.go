package edge

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mailplan/mailplan/compiler/sandbox/cloudflare"
)

// token is searched for in everything the driver says.
const token = "canary-token-4f2b"

// rig is a driver, the stand-in it speaks to, and the waits it asked for.
type rig struct {
	*Edge
	cf *cloudflare.Server

	mu    sync.Mutex
	waits []time.Duration
	// open are the requests without an answer yet.
	open map[*http.Request]context.CancelFunc
}

func newRig(t *testing.T) *rig {
	t.Helper()
	cf, err := cloudflare.New(t.TempDir(), cloudflare.Options{Token: token})
	if err != nil {
		t.Fatal(err)
	}
	account, err := cf.AccountID()
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(cf)
	t.Cleanup(srv.Close)
	r := &rig{cf: cf, open: map[*http.Request]context.CancelFunc{}}
	client := srv.Client()
	client.Transport = cutting{r, client.Transport}
	r.Edge = New(Config{
		Token: token, AccountID: account, BaseURL: srv.URL + "/client/v4",
		HTTPClient: client, Sleep: r.sleep,
	})
	return r
}

// inject adds a fault. A request that hangs is given up at once, as the
// driver's own timeout would after a while.
func (r *rig) inject(f cloudflare.Fault, pattern string) {
	f.Pattern = pattern
	if f.Kind == cloudflare.Hang || f.Kind == cloudflare.HangAfter {
		f.Notify = r.cut
	}
	r.cf.Inject(f)
}

func (r *rig) cut() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, cancel := range r.open {
		cancel()
	}
}

// cutting lets the rig give up requests.
type cutting struct {
	r    *rig
	next http.RoundTripper
}

func (c cutting) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancel(req.Context())
	req = req.WithContext(ctx)
	c.r.mu.Lock()
	c.r.open[req] = cancel
	c.r.mu.Unlock()
	res, err := c.next.RoundTrip(req)
	c.r.mu.Lock()
	delete(c.r.open, req)
	c.r.mu.Unlock()
	return res, err
}

// sleep notes the wait and returns at once.
func (r *rig) sleep(ctx context.Context, d time.Duration) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if d > 0 {
		r.waits = append(r.waits, d)
	}
	return ctx.Err()
}

func (r *rig) waited() (sum time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, d := range r.waits {
		sum += d
	}
	return sum
}

func (r *rig) zone(t *testing.T, name string, p cloudflare.Plan) Zone {
	t.Helper()
	id, err := r.cf.AddZone(name, p)
	if err != nil {
		t.Fatal(err)
	}
	return Zone{ID: id, Name: name}
}

// noToken fails the test when err holds the token.
func noToken(t *testing.T, err error) {
	t.Helper()
	if err != nil && strings.Contains(err.Error(), token) {
		t.Errorf("the error holds the token: %v", err)
	}
}

func ptr[T any](v T) *T { return &v }
