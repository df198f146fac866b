package cloudflare_test

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mailplan/mailplan/compiler/model"
)

// From every site to every other and back, as one site that changes: nothing is left to do, and of what the former
// one had no Worker and no queue stays.
func TestFromEverySiteToEveryOther(t *testing.T) {
	var all []*model.Site
	for _, dir := range sites {
		all = append(all, load(t, dir))
	}
	r := newRig(t)
	at := -1
	for i := range all {
		for j := range all {
			for _, next := range []int{i, j} {
				if next != at {
					r.last = model.Accounts{} // no one goes from one of these sites to another with his mail
					r.apply(all[next])
					r.only(all[next])
					at = next
				}
			}
		}
	}
}

// only demands that no Worker and no queue but the site's is there.
func (r *rig) only(s *model.Site) {
	r.t.Helper()
	workers, err := r.edge.Workers(context.Background())
	r.must(err)
	if len(workers) != 1 || workers[0].Name != s.Edge.Worker.Name {
		r.t.Errorf("workers %v, want only %s", workers, s.Edge.Worker.Name)
	}
	queues, err := r.edge.Queues(context.Background())
	r.must(err)
	want := 0
	if s.Edge.Spool.Enabled {
		want = 2
	}
	if len(queues) != want {
		r.t.Errorf("%d queues, want %d", len(queues), want)
	}
}

// No secret stands in a plan, and each is at the Worker; what can't be read back is compared all the same.
func TestSecretsReachTheWorkerOnly(t *testing.T) {
	s := load(t, "examples/studio/site")
	r := newRig(t)
	p, _ := r.plan(s)
	var shown bytes.Buffer
	r.must(p.JSON(&shown))
	r.apply(s)
	if strings.Contains(shown.String(), canary) {
		t.Error("the plan holds a secret")
	}
	token := s.Edge.Ingest.Token.Secret
	if !r.cf.HasSecret(s.Edge.Worker.Name, "INGEST_TOKEN", canary+token) {
		t.Error("the Worker has no INGEST_TOKEN")
	}
	r.tokenIsGood()

	r.keys[token] = canary + "rotated"
	if got, want := r.changes(s), []string{"update worker " + s.Edge.Worker.Name}; !slices.Equal(got, want) {
		t.Errorf("after a rotation: %v, want %v", got, want)
	}
	_, before := r.cf.Counts()
	r.apply(s)
	if !r.cf.HasSecret(s.Edge.Worker.Name, "INGEST_TOKEN", canary+"rotated") {
		t.Error("the Worker has the former INGEST_TOKEN")
	}
	r.tokenIsGood()
	const rotate = "POST /accounts/{account}/access/service_tokens/{id}/rotate"
	if _, after := r.cf.Counts(); after[rotate] != before[rotate] {
		t.Error("the Access token was rotated for another secret's sake")
	}
}

// tokenIsGood demands that the Worker's Access secret is the one that the account knows.
func (r *rig) tokenIsGood() {
	r.t.Helper()
	var account struct {
		ServiceTokens []struct{ Digest string } `json:"service_tokens"`
		Scripts       []struct {
			Meta struct{ Bindings []map[string]any }
		}
	}
	r.state("account", &account)
	if len(account.ServiceTokens) != 1 || len(account.Scripts) != 1 {
		r.t.Fatalf("%d tokens, %d scripts", len(account.ServiceTokens), len(account.Scripts))
	}
	for _, b := range account.Scripts[0].Meta.Bindings {
		if b["name"] == "ACCESS_CLIENT_SECRET" {
			if b["digest"] != account.ServiceTokens[0].Digest {
				r.t.Error("the Worker's Access secret is not the token's")
			}
			return
		}
	}
	r.t.Error("the Worker has no ACCESS_CLIENT_SECRET")
}

// many is a site of n zones with about records each.
func many(t *testing.T, n, records int) *model.Site {
	t.Helper()
	s := load(t, "examples/minimal/site")
	first := s.Domains[0]
	s.Domains = nil
	for i := range n {
		d := first
		d.Name = fmt.Sprintf("d%02d.example", i)
		d.Zone, d.Users = d.Name, slices.Clone(first.Users)
		for j := range d.Users {
			d.Users[j].Domain = d.Name
		}
		for j := range records - 2 { // SPF and DMARC are there
			d.Records = append(d.Records, model.Record{Name: fmt.Sprintf("host%d", j), Type: "A", Content: fmt.Sprintf("192.0.2.%d", j+1), TTL: 300})
		}
		s.Domains = append(s.Domains, d)
	}
	s.Edge.Tunnel.Hostnames.Ingest, s.Edge.Tunnel.Hostnames.Webmail = "in.d00.example", "mail.d00.example"
	return s
}

// A diff of 50 domains and 2,000 records that finds nothing needs what paging asks for: one list of zones, each zone's
// records, settings of Email Routing and rules, and the few lists of the account.
func TestNoOpDiffMakesTheFewestCalls(t *testing.T) {
	const zones = 50
	s := many(t, zones, 40)
	r := newRig(t)
	r.apply(s)
	_, written := r.cf.Counts()
	if n := written["POST /zones/{zone}/dns_records/batch"]; n != zones {
		t.Errorf("%d batches for %d zones", n, zones)
	}
	before := r.edge.Calls()
	fresh := newDriver(r)
	r.edge = fresh
	start := time.Now()
	r.settled(s)
	took := time.Since(start)
	const perZone, ofAccount = 3, 1 + // zones
		2 + // tunnels, ingress
		3 + // tokens, policies, applications
		4 + // Workers; settings, code and address of one
		1 + // queues
		3 // phases of the firewall in one zone
	least := perZone*zones + ofAccount
	if n := fresh.Calls(); n > least*110/100 {
		t.Errorf("%d calls, want at most 10 %% above %d", n, least)
	} else {
		t.Logf("%d calls to bring it up, %d for a diff in %s; the least is %d", before, n, took, least)
	}
}
