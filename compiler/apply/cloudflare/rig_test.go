package cloudflare_test

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/mailplan/mailplan/compiler"
	"github.com/mailplan/mailplan/compiler/apply"
	"github.com/mailplan/mailplan/compiler/apply/cloudflare"
	"github.com/mailplan/mailplan/compiler/apply/dns"
	"github.com/mailplan/mailplan/compiler/apply/edge"
	"github.com/mailplan/mailplan/compiler/model"
	"github.com/mailplan/mailplan/compiler/plan"
	standin "github.com/mailplan/mailplan/compiler/sandbox/cloudflare"
)

// canary begins every secret, and is searched for in everything a plan says.
const canary = "canary-7d1e-"

// rig is an account at the stand-in, with the real driver before it.
type rig struct {
	t       *testing.T
	dir     string
	cf      *standin.Server
	edge    *edge.Edge
	journal string
	// after is called when a request that may change something was answered.
	after func()
	mu    sync.Mutex
	keys  map[string]string
	open  map[*http.Request]context.CancelFunc
	last  model.Accounts // of the site applied last
	past  cloudflare.Past
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{t: t, dir: t.TempDir(), journal: filepath.Join(t.TempDir(), "journal"), keys: map[string]string{}}
	r.begin()
	return r
}

// begin goes on with what the folder holds.
func (r *rig) begin() {
	r.open = map[*http.Request]context.CancelFunc{}
	var err error
	r.cf, err = standin.New(r.dir, standin.Options{Requests: 1 << 20})
	r.must(err)
	r.edge = newDriver(r)
}

// newDriver is what a new process would have.
func newDriver(r *rig) *edge.Edge {
	id, err := r.cf.AccountID()
	if err != nil {
		r.t.Fatal(err)
	}
	client := r.cf.Client()
	client.Transport = watching{r, client.Transport}
	return edge.New(edge.Config{Token: "token", AccountID: id, BaseURL: standin.BaseURL, HTTPClient: client,
		Sleep: func(ctx context.Context, _ time.Duration) error { return ctx.Err() }})
}

// watching tells the rig of every request that is not a read, and lets it give up those without an answer.
type watching struct {
	r    *rig
	next http.RoundTripper
}

func (w watching) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancel(req.Context())
	w.r.mu.Lock()
	w.r.open[req] = cancel
	w.r.mu.Unlock()
	res, err := w.next.RoundTrip(req.WithContext(ctx))
	w.r.mu.Lock()
	delete(w.r.open, req)
	w.r.mu.Unlock()
	if req.Method != http.MethodGet && w.r.after != nil {
		w.r.after()
	}
	return res, err
}

// cut gives up all requests that wait, as the driver's own time-out would after a while.
func (r *rig) cut() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, cancel := range r.open {
		cancel()
	}
}

func (r *rig) secrets() cloudflare.Secrets {
	return cloudflare.Secrets{
		Value: func(name string) (string, error) {
			r.mu.Lock()
			defer r.mu.Unlock()
			if v, ok := r.keys[name]; ok {
				return v, nil
			}
			return canary + name, nil
		},
		PublicKey: func(string) (string, error) { return "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A", nil },
	}
}

// planes are new for each plan, as in a new process.
func (r *rig) planes(s *model.Site) []apply.Plane {
	r.t.Helper()
	for _, name := range dns.ZoneNames(s) {
		if _, err := r.cf.AddZone(name, standin.Plan(s.Edge.Plan)); err != nil {
			r.t.Fatal(err)
		}
	}
	planes, err := cloudflare.Planes(s, r.edge, r.secrets(), r.past)
	if err != nil {
		r.t.Fatal(err)
	}
	return planes
}

func (r *rig) plan(s *model.Site) (plan.Plan, []apply.Plane) {
	r.t.Helper()
	planes := r.planes(s)
	p, err := apply.Plan(context.Background(), apply.Request{Site: s.Name, Before: r.last, After: s.Accounts()}, planes)
	if err != nil {
		r.t.Fatal(err)
	}
	return p, planes
}

// try plans and applies.
func (r *rig) try(ctx context.Context, s *model.Site, progress apply.Progress) error {
	planes := r.planes(s)
	p, err := apply.Plan(ctx, apply.Request{Site: s.Name, Before: r.last, After: s.Accounts()}, planes)
	if err != nil {
		return err
	}
	return apply.Run(ctx, p, planes, apply.Open(r.journal), progress)
}

func quiet(int, int, plan.Change) {}

// apply brings the account to the site, and demands that nothing is left to do.
func (r *rig) apply(s *model.Site) {
	r.t.Helper()
	if err := r.try(context.Background(), s, quiet); err != nil {
		r.t.Fatal(err)
	}
	r.last = s.Accounts()
	r.settled(s)
}

// settled demands that a diff is empty.
func (r *rig) settled(s *model.Site) {
	r.t.Helper()
	p, _ := r.plan(s)
	for _, c := range p.Changes {
		r.t.Errorf("left to do: %s %s %s\n  %s\n  %s", c.Verb, c.Kind, c.ID, c.Old, c.New)
	}
	for _, c := range p.Conflicts {
		r.t.Errorf("in the way: %s %s", c.ID, c.Live)
	}
	if r.t.Failed() {
		r.t.FailNow()
	}
}

// changes are what a plan would do, as "verb kind ID".
func (r *rig) changes(s *model.Site) []string {
	r.t.Helper()
	p, _ := r.plan(s)
	var out []string
	for _, c := range p.Changes {
		out = append(out, string(c.Verb)+" "+c.Kind+" "+c.ID)
	}
	for _, c := range p.Conflicts {
		out = append(out, "conflict "+c.ID+": "+c.Live)
	}
	return out
}

func (r *rig) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) zone(name string) edge.Zone {
	r.t.Helper()
	zones, err := r.edge.Zones(context.Background(), []string{name})
	r.must(err)
	return zones[0]
}

// state is what the stand-in keeps of a document: account, or zone-ID.
func (r *rig) state(name string, into any) {
	r.t.Helper()
	data, err := os.ReadFile(filepath.Join(r.dir, name+".json"))
	r.must(err)
	r.must(json.Unmarshal(data, into))
}

// load reads a site of the repository under one name, so that all are one site at different times.
func load(t *testing.T, dir string) *model.Site {
	t.Helper()
	site, err := compiler.Load(filepath.Join("../../..", dir))
	if err != nil {
		t.Fatal(err)
	}
	site.Model.Name = "one"
	return site.Model
}

var sites = []string{"examples/minimal/site", "examples/original/site", "examples/studio/site", "site"}
