package dns_test

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mailplan/mailplan/compiler/apply/dns"
	"github.com/mailplan/mailplan/compiler/apply/edge"
	"github.com/mailplan/mailplan/compiler/model"
	"github.com/mailplan/mailplan/compiler/plan"
	"github.com/mailplan/mailplan/compiler/sandbox/cloudflare"
)

// account is the stand-in behind the real SDK, with the zone a.example.
func account(t *testing.T) (*edge.Edge, edge.Zone) {
	t.Helper()
	server, err := cloudflare.New(t.TempDir(), cloudflare.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := server.AddZone("a.example", cloudflare.Free); err != nil {
		t.Fatal(err)
	}
	id, err := server.AccountID()
	if err != nil {
		t.Fatal(err)
	}
	e := edge.New(edge.Config{Token: "x", AccountID: id, BaseURL: cloudflare.BaseURL, HTTPClient: server.Client()})
	zones, err := e.Zones(context.Background(), []string{"a.example"})
	if err != nil {
		t.Fatal(err)
	}
	return e, zones[0]
}

// site wants one SPF record of its own, a policy, a TXT and a CNAME.
func site(policy string) *model.Site {
	d := model.Domain{Name: "a.example", Unicode: "a.example", Zone: "a.example", State: model.Active}
	d.SPF = model.SPF{Include: []string{"sendgrid.net"}, All: "~all"}
	d.DMARC = model.DMARC{Policy: policy, Percent: 100, Alignment: "r"}
	d.Records = []model.Record{{Name: "x", Type: "TXT", Content: strings.Repeat("long ", 80), TTL: 1}, {Name: "www", Type: "CNAME", Content: "other.example", TTL: 300}}
	d.MTASTS.Mode = "none"
	d.Users = []model.User{{Localpart: "u", Domain: "a.example", State: model.Active}}
	return &model.Site{Name: "home", Domains: []model.Domain{d}, Edge: model.Edge{Tunnel: model.Tunnel{Name: "home"}}}
}

func plane(e *edge.Edge, s *model.Site) *dns.Plane {
	return &dns.Plane{Site: s, Edge: e, TunnelID: func(context.Context, string) (string, error) { return "t", nil },
		PublicKey: func(string) (string, error) { return "k", nil }}
}

func converge(t *testing.T, e *edge.Edge, s *model.Site) (changes, conflicts string) {
	t.Helper()
	ctx := context.Background()
	p := plane(e, s)
	desired, err := p.Desired(ctx)
	if err != nil {
		t.Fatal(err)
	}
	live, err := p.Live(ctx)
	if err != nil {
		t.Fatal(err)
	}
	made, standing := plan.Diff(live, desired)
	if len(made) > 0 {
		if err := p.Apply(ctx, made); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range made {
		changes += string(c.Verb) + " " + c.ID + "\n"
	}
	for _, c := range standing {
		conflicts += c.ID + "\n"
	}
	return changes, conflicts
}

func TestRecordsConverge(t *testing.T) {
	e, _ := account(t)
	want := "create TXT _dmarc.a.example\ncreate SPF a.example\ncreate CNAME www.a.example\ncreate TXT x.a.example\n"
	got, _ := converge(t, e, site("none"))
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if got, _ := converge(t, e, site("none")); got != "" {
		t.Errorf("a second apply does %s", got)
	}
	s := site("reject")
	s.Domains[0].Records = s.Domains[0].Records[:1]
	got, _ = converge(t, e, s)
	if d := cmp.Diff("update TXT _dmarc.a.example\ndelete CNAME www.a.example\n", got); d != "" {
		t.Error(d)
	}
	if got, _ := converge(t, e, s); got != "" {
		t.Errorf("a second apply does %s", got)
	}
}

func TestForeignRecordsStay(t *testing.T) {
	e, zone := account(t)
	foreign := edge.Changes{Posts: []edge.Record{
		{Zone: "a.example", Name: "a.example", Type: "TXT", Content: "v=spf1 -all", TTL: 1},
		{Zone: "a.example", Name: "a.example", Type: "TXT", Content: "google-site-verification=x", TTL: 1},
		{Zone: "a.example", Name: "shop.a.example", Type: "A", Content: "192.0.2.1", TTL: 1, Comment: "mailplan:another site's"},
	}}
	if _, err := e.Batch(context.Background(), zone, foreign); err != nil {
		t.Fatal(err)
	}
	changes, conflicts := converge(t, e, site("none"))
	if d := cmp.Diff("SPF a.example\n", conflicts); d != "" {
		t.Errorf("a second SPF record would break the first: %s", d)
	}
	if strings.Contains(changes, "delete") || strings.Contains(changes, "update") {
		t.Errorf("foreign records were touched: %s", changes)
	}
	records, err := e.Read(context.Background(), []edge.Zone{zone})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range foreign.Posts {
		found := false
		for _, live := range records {
			found = found || live.Key() == r.Key()
		}
		if !found {
			t.Errorf("%s %s is gone", r.Type, r.Name)
		}
	}
}
