package relay_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mailplan/mailplan/compiler"
	"github.com/mailplan/mailplan/compiler/apply"
	"github.com/mailplan/mailplan/compiler/apply/polite"
	"github.com/mailplan/mailplan/compiler/apply/relay"
	"github.com/mailplan/mailplan/compiler/model"
	"github.com/mailplan/mailplan/compiler/plan"
	"github.com/mailplan/mailplan/compiler/sandbox/sendgrid"
	"github.com/mailplan/mailplan/compiler/sandbox/standin"
)

// canary is the API key; it must appear nowhere.
const canary = "SG.canary-4711"

// rig is an account at the stand-in with DNS that a test writes.
type rig struct {
	*testing.T
	account *sendgrid.Server
	dns     map[string]string
	site    *model.Site
	slept   time.Duration
	said    strings.Builder // all that went out
}

func newRig(t *testing.T, s *model.Site) *rig {
	t.Helper()
	r := &rig{T: t, dns: map[string]string{}, site: s}
	account, err := sendgrid.New(t.TempDir(), canary, func(host string) (string, bool) { target, ok := r.dns[host]; return target, ok })
	if err != nil {
		t.Fatal(err)
	}
	r.account = account
	r.use(s)
	return r
}

// use makes SendGrid lead the site's names to where the site says, and publishes them.
func (r *rig) use(s *model.Site) {
	r.Helper()
	r.site = s
	for _, d := range s.Domains {
		if d.RelayAuth == nil {
			continue
		}
		if err := r.account.Assign(d.Name, d.RelayAuth.ReturnPath.Target); err != nil {
			r.Fatal(err)
		}
		for _, c := range append([]model.CNAME{d.RelayAuth.ReturnPath}, d.RelayAuth.DKIM...) {
			r.dns[c.Label+"."+d.Name] = c.Target
		}
	}
}

func (r *rig) plane() *relay.Plane {
	sleep := func(_ context.Context, d time.Duration) error { r.slept += d; return nil }
	client := &relay.Client{BaseURL: sendgrid.BaseURL, Key: canary, HTTP: &http.Client{Transport: &polite.Transport{Base: r.account, Sleep: sleep}}}
	return &relay.Plane{Site: r.site, Client: client, Sleep: sleep}
}

func (r *rig) diff() plan.Plan {
	r.Helper()
	p, err := apply.Plan(context.Background(), apply.Request{Site: r.site.Name}, []apply.Plane{r.plane()})
	if err != nil {
		r.Fatal(err)
	}
	data, err := json.Marshal(p)
	if err != nil {
		r.Fatal(err)
	}
	r.said.Write(data)
	return p
}

func (r *rig) apply(p plan.Plan) error {
	j := apply.Open(filepath.Join(r.TempDir(), "journal"))
	err := apply.Run(context.Background(), p, []apply.Plane{r.plane()}, j, func(int, int, plan.Change) {})
	if err != nil {
		r.said.WriteString(err.Error())
	}
	return err
}

func (r *rig) converge() {
	r.Helper()
	if err := r.apply(r.diff()); err != nil {
		r.Fatal(err)
	}
	r.converged()
}

func (r *rig) converged() {
	r.Helper()
	if p := r.diff(); !p.Empty() {
		r.Fatalf("not empty after apply: %v %v", p.Changes, p.Conflicts)
	}
	if strings.Contains(r.said.String(), canary) {
		r.Error("the API key was told")
	}
}

func site(t *testing.T, dir string) *model.Site {
	t.Helper()
	s, err := compiler.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	return s.Model
}

const reference = "../../../site"

func TestFromEveryExampleToEveryOther(t *testing.T) {
	dirs, err := filepath.Glob("../../../examples/*/site")
	if err != nil || len(dirs) < 3 {
		t.Fatal("examples are missing: ", err)
	}
	var sites []*model.Site
	for _, dir := range append(dirs, reference) {
		sites = append(sites, site(t, dir))
	}
	for _, from := range sites {
		for _, to := range sites {
			r := newRig(t, from)
			r.converge()
			r.use(to)
			if p := r.diff(); p.Count(plan.Delete) > 0 {
				t.Errorf("%s to %s: removes an authentication", from.Name, to.Name)
			}
			r.converge()
		}
	}
}

func TestOtherNames(t *testing.T) {
	r := newRig(t, site(t, reference))
	r.account.Assign("example.com", "u99.wl9.sendgrid.net")
	err := r.apply(r.diff())
	if err == nil || !strings.Contains(err.Error(), "em1234.example.com -> u99.wl9.sendgrid.net") {
		t.Fatalf("got %v, want the names that SendGrid wants", err)
	}
	p := r.diff()
	if len(p.Conflicts) != 1 || !strings.Contains(p.Conflicts[0].Live, "u99.wl9.sendgrid.net") || !strings.Contains(p.Conflicts[0].Desired, "u1234567.wl123") {
		t.Errorf("the mismatch is not reported: %+v", p.Conflicts)
	}
	if got := r.account.Effects(sendgrid.Create); got != 1 {
		t.Errorf("%d authentications made, want 1", got)
	}
	s := site(t, reference)
	s.Domains[0].RelayAuth = nil
	r.site = s
	if p := r.diff(); !p.Empty() {
		t.Errorf("what lives is enough for a site that declares no names: %v", p.Changes)
	}
	found, err := r.plane().Watch(context.Background())
	if err != nil || len(found) == 0 || !strings.Contains(found[0].Message, "em1234.example.com -> u99.wl9.sendgrid.net") {
		t.Errorf("the names are not told: %v %v", found, err)
	}
}

func TestNamesThatAreNotPublishedYet(t *testing.T) {
	r := newRig(t, site(t, reference))
	delete(r.dns, "s2._domainkey.example.com")
	err := r.apply(r.diff())
	if err == nil || !strings.Contains(err.Error(), `dkim2: Expected CNAME for "s2._domainkey.example.com"`) {
		t.Errorf("got %v, want SendGrid's reason", err)
	}
	if r.slept < time.Minute || r.slept > 2*time.Minute {
		t.Errorf("waited %s for DNS", r.slept)
	}
	r.use(r.site)
	r.converge()
	if got := r.account.Effects(sendgrid.Create); got != len(r.site.Domains) {
		t.Errorf("%d authentications made, want one for each domain", got)
	}
}

func TestDriftIsMended(t *testing.T) {
	r := newRig(t, site(t, reference))
	r.converge()
	r.account.Edit(func(s *sendgrid.State) { s.Domains[0].Valid = false })
	p := r.diff()
	if len(p.Changes) != 1 || p.Changes[0].Kind != relay.KindValidation {
		t.Fatalf("got %v", p.Changes)
	}
	r.converge()
	r.account.Edit(func(s *sendgrid.State) { s.Domains = nil })
	r.converge()
}

func TestFaults(t *testing.T) {
	for _, pattern := range []string{sendgrid.List, sendgrid.Create, sendgrid.Validate} {
		for _, kind := range []standin.Kind{standin.TooMany, standin.ServerError, standin.ErrorAfter, standin.DropAfter} {
			t.Run(fmt.Sprintf("%s %d", pattern, kind), func(t *testing.T) {
				r := newRig(t, site(t, reference))
				p := r.diff()
				r.account.Inject(standin.Fault{Kind: kind, Pattern: pattern, RetryAfter: 7 * time.Second})
				err := r.apply(p)
				if kind == standin.TooMany && (err != nil || r.slept < 7*time.Second) {
					t.Errorf("waited %s, %v", r.slept, err)
				}
				if kind > standin.ServerError && err != nil {
					t.Errorf("what took effect is not seen: %v", err)
				}
				r.account.Heal()
				r.converge()
				if got := r.account.Effects(sendgrid.Create); got != len(r.site.Domains) {
					t.Errorf("%d authentications made, want one for each domain", got)
				}
			})
		}
	}
}

func TestKilledBetweenSteps(t *testing.T) {
	s := site(t, reference)
	r := newRig(t, s)
	steps := len(r.diff().Changes)
	for n := range steps {
		r := newRig(t, s)
		p := r.diff()
		for _, c := range p.Changes[:n+1] { // done, and the journal does not know of the last
			if err := r.plane().Apply(context.Background(), []plan.Change{c}); err != nil {
				t.Fatal(err)
			}
		}
		if err := r.apply(p); err != nil {
			t.Fatal(err)
		}
		r.converged()
		if got := r.account.Effects(sendgrid.Create); got != len(s.Domains) {
			t.Errorf("%d authentications made, want one for each domain", got)
		}
	}
}

func TestManyDomainsInFewCalls(t *testing.T) {
	s := site(t, reference)
	for i := range 120 {
		s.Domains = append(s.Domains, model.Domain{Name: fmt.Sprintf("d%03d.example", i)})
	}
	r := newRig(t, s)
	r.converge()
	before := r.account.Calls(sendgrid.List)
	r.diff()
	if got := r.account.Calls(sendgrid.List) - before; got != 3 {
		t.Errorf("%d calls to read %d domains by 50, want 3", got, len(s.Domains))
	}
}

func TestRefusalInTheProvidersWords(t *testing.T) {
	r := newRig(t, site(t, reference))
	p := r.plane()
	p.Client.Key = "SG.other-canary"
	_, err := p.Live(context.Background())
	if err == nil || !strings.Contains(err.Error(), "401 authorization required") || strings.Contains(err.Error(), "canary") {
		t.Errorf("got %v", err)
	}
}

func TestAnotherRelayHasNoAPI(t *testing.T) {
	s := site(t, reference)
	s.Relay.Provider = "smtp"
	r := newRig(t, s)
	if p := r.diff(); !p.Empty() || p.Unchanged != 0 || r.account.Calls(sendgrid.List) != 0 {
		t.Errorf("asks SendGrid for the domains of another relay: %v", p.Changes)
	}
}
