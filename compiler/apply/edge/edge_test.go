package edge

import (
	"context"
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
	r := &rig{cf: cf}
	r.Edge = New(Config{
		Token: token, AccountID: account, BaseURL: srv.URL + "/client/v4",
		HTTPClient: srv.Client(), TryTimeout: 150 * time.Millisecond, Sleep: r.sleep,
	})
	return r
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

// mustNot fails the test when err holds the token.
func noToken(t *testing.T, err error) {
	t.Helper()
	if err != nil && strings.Contains(err.Error(), token) {
		t.Errorf("the error holds the token: %v", err)
	}
}

func ptr[T any](v T) *T { return &v }
