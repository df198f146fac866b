package cloudflare_test

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mailplan/mailplan/compiler/apply/cloudflare"
	"github.com/mailplan/mailplan/compiler/apply/edge"
	"github.com/mailplan/mailplan/compiler/model"
	standin "github.com/mailplan/mailplan/compiler/sandbox/cloudflare"
)

// TestRenamedTunnel takes the old tunnel down when every name leads to the new one; a stranger's stays.
func TestRenamedTunnel(t *testing.T) {
	r := newRig(t)
	s := load(t, "examples/minimal/site")
	r.apply(s)
	_, err := r.edge.CreateTunnel(context.Background(), "stranger")
	r.must(err)
	r.past.Tunnel = s.Edge.Tunnel.Name
	s.Edge.Tunnel.Name = "renamed"
	got := r.changes(s)
	if last := got[len(got)-1]; last != "delete tunnel "+r.past.Tunnel {
		t.Errorf("the last of %q", got)
	}
	r.apply(s)
	all, err := r.edge.Tunnels(context.Background())
	r.must(err)
	var names []string
	for _, a := range all {
		names = append(names, a.Name)
	}
	if slices.Sort(names); !slices.Equal(names, []string{"renamed", "stranger"}) {
		t.Errorf("tunnels %q", names)
	}
}

// TestDroppedZone takes down what is the site's in the zone of a domain that is no longer declared, but
// for the key of signatures that are under way.
func TestDroppedZone(t *testing.T) {
	r := newRig(t)
	s := load(t, "examples/studio/site")
	r.apply(s)
	i := slices.IndexFunc(s.Domains, func(d model.Domain) bool {
		return len(d.Users) > 0 && !slices.ContainsFunc(s.Domains, func(o model.Domain) bool { return o.Name != d.Name && o.Zone == d.Zone })
	})
	gone := s.Domains[i]
	zone := r.zone(gone.Zone)
	_, err := r.edge.Batch(context.Background(), zone, edge.Changes{Posts: []edge.Record{
		{Zone: zone.Name, Name: "mine." + zone.Name, Type: "A", Content: "192.0.2.1", TTL: 1}}})
	r.must(err)
	smaller := load(t, "examples/studio/site")
	smaller.Domains = slices.Delete(smaller.Domains, i, i+1)
	r.past = cloudflare.Past{Domains: []string{gone.Name}, Tunnel: s.Edge.Tunnel.Name}
	r.apply(smaller)
	records, err := r.edge.Read(context.Background(), []edge.Zone{zone})
	r.must(err)
	var left, keys []string
	for _, rec := range records {
		switch {
		case strings.Contains(rec.Name, "._domainkey."):
			keys = append(keys, rec.Name)
		case rec.Type != "NS" && rec.Type != "SOA":
			left = append(left, rec.Name)
		}
	}
	if !slices.Equal(left, []string{"mine." + zone.Name}) || keys == nil {
		t.Errorf("left in the zone: %q, keys %q", left, keys)
	}
	if routing, err := r.edge.Routing(context.Background(), zone); err != nil || routing.Enabled {
		t.Errorf("email routing of the zone: %+v %v", routing, err)
	}
}

// TestUnwantedBucket goes when it is empty, and stays with the mail that is in it.
func TestUnwantedBucket(t *testing.T) {
	for _, objects := range []int{0, 3} {
		r := newRig(t)
		s := load(t, "examples/studio/site")
		r.apply(s)
		name := s.Edge.Spool.Bucket
		r.must(r.cf.FillBucket(name, objects))
		s.Edge.Spool.Enabled = false
		r.past.Bucket = name
		r.must(r.try(context.Background(), s, quiet))
		r.past.Bucket = "" // as the file of that apply says
		r.settled(s)
		if _, there, err := r.edge.Bucket(context.Background(), edge.Bucket{Name: name}); err != nil || there != (objects > 0) {
			t.Errorf("with %d objects the bucket is there: %v %v", objects, there, err)
		}
	}
}

// TestTokenIsRenewed begins the time of a service token anew before it ends; its secret stays.
func TestTokenIsRenewed(t *testing.T) {
	r := newRig(t)
	s := load(t, "examples/studio/site")
	early := time.Now().AddDate(0, 0, -345)
	var err error
	r.cf, err = standin.New(filepath.Join(r.dir, "early"), standin.Options{Requests: 1 << 20, Now: func() time.Time { return early }})
	r.must(err)
	r.dir = filepath.Join(r.dir, "early")
	r.edge = newDriver(r)
	r.must(r.try(context.Background(), s, quiet))
	r.begin() // the clock is right again
	got := r.changes(s)
	if len(got) != 1 || !strings.HasPrefix(got[0], "update service token") {
		t.Fatalf("20 days before its end: %q", got)
	}
	r.apply(s)
	tokens, err := r.edge.ServiceTokens(context.Background())
	r.must(err)
	if left := time.Until(tokens[0].Expires); left < 300*24*time.Hour {
		t.Errorf("the token ends in %v", left)
	}
}
