// Package edge reads and changes what a mail system keeps at Cloudflare: DNS
// records, Email Routing, the Email Worker, queues, the spool bucket, tunnel,
// Access and the WAF. Every call is small and typed and says what it left
// behind; which calls to make, and in which order, is for the plan to say.
//
// It speaks through the provider's SDK, but decodes answers and spells most
// bodies itself where the SDK loses fields, and replaces the SDK's retries: a
// creation is never sent twice blindly, Retry-After is honoured under a cap, an
// answer of success:false is an error, and no error ever holds a token.
package edge

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/cloudflare/cloudflare-go/v6/dns"
	"github.com/cloudflare/cloudflare-go/v6/email_routing"
	"github.com/cloudflare/cloudflare-go/v6/option"
	"github.com/cloudflare/cloudflare-go/v6/queues"
	"github.com/cloudflare/cloudflare-go/v6/r2"
	"github.com/cloudflare/cloudflare-go/v6/workers"
	"github.com/cloudflare/cloudflare-go/v6/zones"
)

// Config says how to reach the provider; only Token is required.
type Config struct {
	// Token is the API token, sent as bearer and never printed.
	Token string
	// AccountID is the account of everything that belongs to no zone.
	AccountID string
	// BaseURL is the API's root; empty means the provider's own.
	BaseURL string
	// HTTPClient sends the requests; nil means http.DefaultClient.
	HTTPClient *http.Client
	// TryTimeout bounds one attempt of one request; 0 means 30 s.
	TryTimeout time.Duration
	// MaxWait caps what Retry-After may ask for; 0 means 2 minutes.
	MaxWait time.Duration
	// Tries is how often a request is attempted at most; 0 means 5.
	Tries int
	// Settle is how long reads may miss a change just made; 0 means 30 s.
	Settle time.Duration
	// Sleep waits or returns early with the context's error; nil means a timer.
	Sleep func(context.Context, time.Duration) error
}

// Edge is the plane's driver. Its methods may be called concurrently.
type Edge struct {
	account string
	settle  time.Duration
	wire    *wire

	mu   sync.Mutex
	held []Zone // as last listed

	dns     *dns.DNSService
	zones   *zones.ZoneService
	email   *email_routing.EmailRoutingService
	scripts *workers.ScriptService
	queues  *queues.QueueService
	r2      *r2.R2Service
}

// New returns a driver. It makes no request.
func New(c Config) *Edge {
	c = c.withDefaults()
	w := &wire{cfg: c, bucket: newBucket(time.Now)}
	opts := []option.RequestOption{
		option.WithBaseURL(c.BaseURL),
		option.WithHTTPClient(c.HTTPClient),
		option.WithAPIToken(c.Token),
		option.WithMaxRetries(0),
		option.WithMiddleware(w.roundTrip),
	}
	return &Edge{
		account: c.AccountID, settle: c.Settle, wire: w,
		dns:     dns.NewDNSService(opts...),
		zones:   zones.NewZoneService(opts...),
		email:   email_routing.NewEmailRoutingService(opts...),
		scripts: workers.NewScriptService(opts...),
		queues:  queues.NewQueueService(opts...),
		r2:      r2.NewR2Service(opts...),
	}
}

func (c Config) withDefaults() Config {
	if c.BaseURL == "" {
		c.BaseURL = "https://api.cloudflare.com/client/v4/"
	}
	if c.HTTPClient == nil {
		c.HTTPClient = http.DefaultClient
	}
	if c.Sleep == nil {
		c.Sleep = sleep
	}
	c.TryTimeout = orDefault(c.TryTimeout, 30*time.Second)
	c.MaxWait = orDefault(c.MaxWait, 2*time.Minute)
	c.Settle = orDefault(c.Settle, 30*time.Second)
	c.Tries = orDefault(c.Tries, 5)
	return c
}

func orDefault[T comparable](v, usual T) T {
	var zero T
	if v == zero {
		return usual
	}
	return v
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// Calls returns how many requests were sent so far, repeats included.
func (e *Edge) Calls() int { return int(e.wire.calls.Load()) }
