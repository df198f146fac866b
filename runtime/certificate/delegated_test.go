package certificate_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/mailplan/mailplan/runtime/certificate"
	"github.com/mailplan/mailplan/runtime/certificate/challenge"
)

// lead makes a CNAME record that somebody else has in the zone.
func (b *bench) lead(name, target string) {
	b.t.Helper()
	api := challenge.Cloudflare{API: b.api, Token: token, HTTP: http.DefaultClient, Sleep: challenge.Sleep}
	z, err := api.Zone(b.t.Context(), "example.com")
	if err != nil {
		b.t.Fatal(err)
	}
	body := strings.NewReader(fmt.Sprintf(`{"type":"CNAME","name":%q,"content":%q,"ttl":60}`, name, target))
	req, err := http.NewRequestWithContext(b.t.Context(), http.MethodPost, b.api+"/zones/"+z.ID+"/dns_records", body)
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	if said, err := io.ReadAll(resp.Body); resp.StatusCode != http.StatusOK {
		b.t.Fatalf("make the CNAME %s: %s %s %v", name, resp.Status, said, err)
	}
}

// TestDelegated proves a name whose challenge CNAMEs lead elsewhere in our zones, and says what to do where they lead out.
func TestDelegated(t *testing.T) {
	b := newBench(t, 0)
	b.lie = func(name string) []string { // as a resolver goes
		for target, ok := b.edge.CNAME(name); ok; target, ok = b.edge.CNAME(name) {
			name = target
		}
		return b.edge.TXT(name)
	}
	b.lead("_acme-challenge."+names[0], "imap.proofs.example.com")
	b.lead("imap.proofs.example.com", "more.proofs.example.com")
	b.pass(false)
	if s := b.status(); s.State != certificate.Good {
		t.Errorf("status: %+v\n%s", s, b.log.String())
	}
	if left := b.edge.TXT("more.proofs.example.com"); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
	b.clean()

	out := newBench(t, 0)
	out.lead("_acme-challenge."+names[0], "proofs.other.example")
	err := out.keeper.Pass(t.Context(), false)
	if want := "is a CNAME to proofs.other.example, which lies in none of the zones example.com: remove that record"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("a challenge that leads out: %v", err)
	}
	out.clean()
}
