package decode_test

import (
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/mailplan/mailplan/compiler/decode"
	"github.com/mailplan/mailplan/compiler/model"
	"github.com/mailplan/mailplan/schema"
)

func site(t testing.TB, text string) *model.Site {
	t.Helper()
	src, err := schema.LoadFS(fstest.MapFS{"site.cue": {Data: []byte("package site\n" + text)}}, "site")
	if err != nil {
		t.Fatal(err)
	}
	s, err := decode.Site(src)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

const minimal = `
name: "home"
relay: password: secret: "SENDGRID_API_KEY"
edge: accountID: "0123456789abcdef0123456789abcdef"
`

func TestMinimal(t *testing.T) {
	s := site(t, minimal+`domains: "example.com": {users: alice: {}, aliases: {sales: ["alice", "Crm@Partner.example"], "dmarc-reports": ["alice"]}}`)
	d := s.Domains[0]
	if diff := cmp.Diff([]string{"alice@example.com", "crm@partner.example"}, d.Aliases[1].Targets); diff != "" {
		t.Error(diff)
	}
	want := model.User{Localpart: "alice", Domain: "example.com", QuotaMB: 2048, State: model.Active, Role: "user", SendAs: []string{}}
	if diff := cmp.Diff([]model.User{want}, d.Users); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"dmarc-reports@example.com"}, d.DMARC.RUA); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(model.TunnelHostnames{Webmail: "mail.example.com", Ingest: "mail-api.example.com"}, s.Edge.Tunnel.Hostnames); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"imap.example.com", "smtp.example.com"}, s.Host.TLS.Names); diff != "" {
		t.Error(diff)
	}
	if s.Containers.Dovecot.Address != "127.0.0.1" || d.Zone != "example.com" || s.Containers.Dovecot.Memory != 1024 {
		t.Errorf("dovecot %v, zone %q", s.Containers.Dovecot, d.Zone)
	}
}
