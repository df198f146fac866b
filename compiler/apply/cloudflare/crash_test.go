package cloudflare_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mailplan/mailplan/compiler/model"
	"github.com/mailplan/mailplan/compiler/plan"
	standin "github.com/mailplan/mailplan/compiler/sandbox/cloudflare"
)

// small is the studio with one zone, and so the fewest requests that touch everything.
func small(t *testing.T) *model.Site {
	s := studio(t)
	s.Domains = slices.DeleteFunc(s.Domains, func(d model.Domain) bool { return d.Zone != "studio.example" })
	return s
}

// other is small after everything in it changed: what can be switched off is, the rest has another name.
func other(t *testing.T) *model.Site {
	s := load(t, "examples/studio/site")
	s.Domains = slices.DeleteFunc(s.Domains, func(d model.Domain) bool { return d.Zone != "studio.example" })
	s.Domains[0].SPF.Include = []string{"sendgrid.net"}
	s.Edge.Worker.Name, s.Edge.Tunnel.Name = "other-mail", "other"
	s.Edge.Spool.Enabled, s.Edge.Access.Ingest, s.Edge.Access.Webmail, s.Edge.WAF.Managed = false, false, false, false
	s.Edge.Tunnel.Hostnames.Webmail = "post.studio.example"
	s.Edge.WAF.Countries = nil
	return s
}

// transition is one apply from one site to another.
type transition struct {
	name  string
	to    *model.Site
	state string // folder of the account before it
	last  model.Accounts
}

// transitions are the three, each with the account as it is before.
func transitions(t *testing.T) []transition {
	var all []transition
	r := newRig(t)
	for _, next := range []struct {
		name string
		to   *model.Site
	}{{"up", small(t)}, {"over", other(t)}, {"back", small(t)}} {
		r.planes(next.to)
		state := t.TempDir()
		r.must(os.CopyFS(state, os.DirFS(r.dir)))
		all = append(all, transition{next.name, next.to, state, r.last})
		r.apply(next.to)
	}
	return all
}

// start is an account of its own, as it is before the transition.
func (tr transition) start(t *testing.T) *rig {
	r := &rig{t: t, dir: t.TempDir(), journal: filepath.Join(t.TempDir(), "journal"), last: tr.last}
	r.must(os.CopyFS(r.dir, os.DirFS(tr.state)))
	r.begin()
	return r
}

// Killed between any two runs of changes and begun again, an apply comes to the same end, and no request that changes
// something is made twice.
func TestKilledBetweenAnyTwoRuns(t *testing.T) {
	for _, tr := range transitions(t) {
		t.Run(tr.name, func(t *testing.T) {
			r := tr.start(t)
			_, before := r.cf.Counts()
			runs := 0
			r.must(r.try(context.Background(), tr.to, func(int, int, plan.Change) { runs++ }))
			_, after := r.cf.Counts()
			want := difference(before, after)
			for k := range runs {
				r := tr.start(t)
				_, before := r.cf.Counts()
				ctx, cancel := context.WithCancel(context.Background())
				n := 0
				err := r.try(ctx, tr.to, func(int, int, plan.Change) {
					if n++; n > k {
						cancel()
					}
				})
				if !errors.Is(err, context.Canceled) {
					t.Fatalf("run %d: %v, want it cancelled", k, err)
				}
				r.apply(tr.to)
				_, after := r.cf.Counts()
				if diff := cmp.Diff(want, difference(before, after)); diff != "" {
					t.Errorf("killed before run %d of %d, effects (-straight +killed):\n%s", k+1, runs, diff)
				}
			}
		})
	}
}

func difference(before, after map[string]int) map[string]int {
	out := map[string]int{}
	for name, n := range after {
		if n != before[name] {
			out[name] = n - before[name]
		}
	}
	return out
}

var faults = []standin.Fault{
	{Kind: standin.TooMany, RetryAfter: 3 * time.Second},
	{Kind: standin.ServerError},
	{Kind: standin.ErrorAfter},
	{Kind: standin.HangAfter},
	{Kind: standin.DropAfter},
	{Kind: standin.FalseSuccess},
	{Kind: standin.Refused},
}

// Whatever goes wrong with any endpoint, an apply comes to its end or stops and says why; the next one finishes it.
func TestFaultsInEveryCall(t *testing.T) {
	for shift, tr := range transitions(t) {
		r := tr.start(t)
		before, _ := r.cf.Counts()
		r.must(r.try(context.Background(), tr.to, quiet))
		after, _ := r.cf.Counts()
		for n, pattern := range slices.Sorted(maps.Keys(difference(before, after))) {
			for i, f := range faults {
				if turn := n + i + 2*shift; turn%6 != 0 || strings.HasPrefix(pattern, "GET ") && turn%4 != 0 {
					continue // a sixth of all pairs, spread evenly over endpoints and ways to fail
				}
				t.Run(fmt.Sprintf("%s, %s, fault %d", tr.name, pattern, f.Kind), func(t *testing.T) {
					t.Parallel()
					r := tr.start(t)
					f.Pattern = pattern
					if f.Kind == standin.HangAfter {
						f.Notify = r.cut
					}
					r.cf.Inject(f)
					err := r.try(context.Background(), tr.to, quiet)
					stops := f.Kind == standin.FalseSuccess || f.Kind == standin.Refused
					switch {
					case err == nil && stops:
						t.Error("a refusal went by unnoticed")
					case err == nil:
						r.settled(tr.to)
						return
					case !stops:
						t.Errorf("stopped for a passing fault: %v", err)
					case !strings.Contains(err.Error(), "cloudflare: "):
						t.Errorf("the error is not in the provider's words: %v", err)
					}
					r.cf.Heal()
					r.apply(tr.to)
				})
			}
		}
	}
}

// A provider whose reads lag behind its writes is no reason to stop, or to make anything twice.
func TestReadsMayLag(t *testing.T) {
	for _, tr := range transitions(t) {
		for _, lag := range []int{5} {
			t.Run(fmt.Sprintf("%s, lag %d", tr.name, lag), func(t *testing.T) {
				r := tr.start(t)
				r.cf.Lag(lag)
				r.must(r.try(context.Background(), tr.to, quiet))
				r.cf.Heal()
				r.settled(tr.to)
			})
		}
	}
}
