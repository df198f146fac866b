package tailnet_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/tailscale/hujson"

	"github.com/mailplan/mailplan/compiler/emit/emittest"
	"github.com/mailplan/mailplan/compiler/emit/tailnet"
	"github.com/mailplan/mailplan/compiler/model"
)

type grant struct {
	Src, Dst, IP []string
}

type policyTest struct {
	Src          string
	Accept, Deny []string
}

type policy struct {
	TagOwners map[string][]string
	Grants    []grant
	Tests     []policyTest
}

func parse(t *testing.T, s *model.Site) policy {
	t.Helper()
	text := emittest.Text(t, emittest.Emit(t, tailnet.Files, s), "tailnet/policy.hujson")
	plain, err := hujson.Standardize([]byte(text))
	if err != nil {
		t.Fatalf("%v:\n%s", err, text)
	}
	var p policy
	if err := json.Unmarshal(plain, &p); err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPolicy(t *testing.T) {
	s := emittest.Site()
	s.Tailnet.Clients = []string{"autogroup:member", "group:staff"}
	s.Monitoring.Metrics.Address = s.Tailnet.Address
	want := policy{
		TagOwners: map[string][]string{"tag:mail": {"autogroup:admin"}},
		Grants: []grant{
			{[]string{"autogroup:member", "group:staff"}, []string{"tag:mail"}, []string{"tcp:465", "tcp:587", "tcp:993", "tcp:995"}},
			{[]string{"autogroup:admin"}, []string{"tag:mail"}, []string{"tcp:9090"}},
		},
		Tests: []policyTest{
			{"group:staff", []string{"tag:mail:465", "tag:mail:587", "tag:mail:993", "tag:mail:995"}, []string{"tag:mail:22"}},
			{"tag:mail", nil, []string{"tag:mail:22"}},
		},
	}
	if diff := cmp.Diff(want, parse(t, s)); diff != "" {
		t.Errorf("policy:\n%s", diff)
	}
}

// TestWithoutTags: a host without a tag is named by its address; a grant to nothing would be refused.
func TestWithoutTags(t *testing.T) {
	s := emittest.Site()
	s.Tailnet.Tags, s.Tailnet.Clients = nil, []string{"group:staff"}
	p := parse(t, s)
	if want := []string{s.Tailnet.Address}; len(p.Grants) != 1 || !cmp.Equal(want, p.Grants[0].Dst) {
		t.Errorf("grants: %+v", p.Grants)
	}
	if len(p.Tests) != 1 || p.Tests[0].Deny[0] != s.Tailnet.Address+":22" {
		t.Errorf("tests: %+v", p.Tests)
	}
}

// TestOnlyWhatIsThere: a port that is off, or bound elsewhere, is granted to nobody.
func TestOnlyWhatIsThere(t *testing.T) {
	s := emittest.Site()
	s.Containers.Dovecot.POP3S = 0
	s.Containers.Postfix.Address = "127.0.0.1"
	p := parse(t, s)
	if want := []grant{{[]string{"autogroup:member"}, []string{"tag:mail"}, []string{"tcp:993"}}}; !cmp.Equal(want, p.Grants) {
		t.Errorf("grants: %+v", p.Grants)
	}
	s.Containers.Dovecot.IMAPS = 0
	if p := parse(t, s); len(p.Grants) != 0 {
		t.Errorf("grants: %+v", p.Grants)
	}
	s.Tailnet = nil
	if files := emittest.Emit(t, tailnet.Files, s); len(files) != 0 {
		t.Error("a policy for no tailnet")
	}
}
