package worker_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"

	"github.com/mailplan/mailplan/compiler/emit/emittest"
	"github.com/mailplan/mailplan/compiler/emit/worker"
	"github.com/mailplan/mailplan/compiler/model"
)

// people is a site with n users in one domain.
func people(n int) *model.Site {
	s := emittest.Site()
	d := &s.Domains[0]
	d.Aliases, d.CatchAll, d.Users = nil, "", nil
	for i := range n {
		d.Users = append(d.Users, model.User{Localpart: fmt.Sprintf("person%06d", i), Domain: d.Name, State: model.Active})
	}
	return s
}

// 10,000 addresses in at most 100 KB, with at most one false acceptance in a million.
func TestRecipientsAreCompact(t *testing.T) {
	s := people(10_000)
	set, err := worker.NewRecipients(s, []byte(testKey))
	if err != nil {
		t.Fatal(err)
	}
	module := set.Module(s)
	if len(module) > 100_000 {
		t.Errorf("%d bytes", len(module))
	}
	const strangers = 500_000
	known := func(address string) bool {
		mac := hmac.New(sha256.New, []byte(testKey))
		mac.Write([]byte(address))
		digest, n, w := mac.Sum(nil)[:set.Width], len(set.Accepted)/set.Width, set.Width
		i := sort.Search(n, func(i int) bool { return bytes.Compare(set.Accepted[i*w:(i+1)*w], digest) >= 0 })
		return i < n && bytes.Equal(set.Accepted[i*w:(i+1)*w], digest)
	}
	if !known("person000000@example.com") || !known("person009999@example.com") {
		t.Error("a known address is not found")
	}
	taken := 0
	for i := range strangers {
		if known(fmt.Sprintf("stranger%d@example.com", i)) {
			taken++
		}
	}
	if taken > 2 {
		t.Errorf("%d of %d strangers are taken", taken, strangers)
	}
	t.Logf("10,000 addresses: %d bytes each, module of %d bytes, %d of %d strangers taken", set.Width, len(module), taken, strangers)
}

func TestRecipientsRevealNothing(t *testing.T) {
	s := people(100)
	set, err := worker.NewRecipients(s, []byte(testKey))
	if err != nil {
		t.Fatal(err)
	}
	if module := string(set.Module(s)); strings.Contains(module, "person") || strings.Contains(module, testKey) {
		t.Error("an address or the key stands in the module")
	}
	if _, err := worker.NewRecipients(s, []byte(" short \n")); err == nil {
		t.Error("a short key is taken")
	}
}

// probe is one site with addresses and what the routes say of each.
type probe struct {
	Set     json.RawMessage `json:"set"`
	Address []string        `json:"address"`
	Want    []bool          `json:"want"`
}

// The Worker takes in just what the compiler's trace delivers, over generated sites.
func TestAcceptsAgreesWithRoutes(t *testing.T) {
	random := rand.New(rand.NewPCG(4, 2026))
	var probes []probe
	yes := 0
	for range 300 {
		s := emittest.RandomSite(random)
		set, err := worker.NewRecipients(s, []byte(testKey))
		if err != nil {
			t.Fatal(err)
		}
		encoded, err := json.Marshal(set)
		if err != nil {
			t.Fatal(err)
		}
		p, routes := probe{Set: encoded}, model.NewRoutes(s)
		for range 40 {
			address := emittest.RandomAddress(random)
			taken := routes.Resolve(address).Refused == ""
			p.Address, p.Want = append(p.Address, address), append(p.Want, taken)
			if taken {
				yes++
			}
		}
		probes = append(probes, p)
	}
	if yes < 2000 || yes > 10_000 {
		t.Fatalf("%d of 12,000 are taken: the generator is one-sided", yes)
	}
	data, err := json.Marshal(probes)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "probes.json")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	nodeTests(t, "accepts.test.mjs", "PROBES="+file, "KEY="+testKey)
}

func BenchmarkRecipients10000(b *testing.B) {
	s := people(10_000)
	for b.Loop() {
		if _, err := worker.NewRecipients(s, []byte(testKey)); err != nil {
			b.Fatal(err)
		}
	}
}
