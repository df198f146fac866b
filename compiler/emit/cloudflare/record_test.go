package cloudflare_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mailplan/mailplan/compiler/emit/cloudflare"
	"github.com/mailplan/mailplan/compiler/emit/emittest"
	"github.com/mailplan/mailplan/compiler/model"
)

// lines writes records for comparison: name, type, priority, content, and whose they are.
func lines(records []cloudflare.Record, keep func(cloudflare.Record) bool) []string {
	list := []string{}
	for _, r := range records {
		if !keep(r) {
			continue
		}
		line := r.Name + " " + r.Type
		if r.Priority != nil {
			line += fmt.Sprintf(" %d", *r.Priority)
		}
		line += " " + r.Content
		switch {
		case r.EdgeOwned:
			line += " (edge)"
		case r.Zone == "":
			line += " (elsewhere)"
		case r.Replaces != "":
			line += " (replaces)"
		}
		if r.Proxied {
			line += " (proxied)"
		}
		list = append(list, line)
	}
	return list
}

func all(cloudflare.Record) bool { return true }

func named(names ...string) func(cloudflare.Record) bool {
	return func(r cloudflare.Record) bool { return slices.Contains(names, r.Name) }
}

func TestRecordsOfASmallSite(t *testing.T) {
	want := []string{
		"_dmarc.example.com TXT v=DMARC1; p=quarantine",
		"_imaps._tcp.example.com SRV 0 1 993 imap.example.com",
		"_mta-sts.example.com TXT v=STSv1; id=" + emittest.Site().Domains[0].MTASTS.PolicyID(),
		"_pop3s._tcp.example.com SRV 0 1 995 imap.example.com",
		"_submission._tcp.example.com SRV 0 1 587 smtp.example.com",
		"_submissions._tcp.example.com SRV 0 1 465 smtp.example.com",
		"autoconfig.example.com CNAME ${tunnel:home}.cfargotunnel.com (proxied)",
		"autodiscover.example.com CNAME ${tunnel:home}.cfargotunnel.com (proxied)",
		"cf2024-1._domainkey.example.com TXT  (edge)",
		"example.com MX *.mx.cloudflare.net (edge)",
		"example.com TXT v=spf1 include:_spf.mx.cloudflare.net ~all (edge)",
		"imap.example.com A 100.64.0.10",
		"mail-api.example.com CNAME ${tunnel:home}.cfargotunnel.com (proxied)",
		"mail.example.com CNAME ${tunnel:home}.cfargotunnel.com (proxied)",
		"mail2026._domainkey.example.com TXT v=DKIM1; k=rsa; p=${publicKey:dkim/example.com/mail2026}",
		"mta-sts.example.com CNAME ${tunnel:home}.cfargotunnel.com (proxied)",
		"smtp.example.com A 100.64.0.10",
	}
	s := emittest.Site()
	s.Domains[0].SPF.All = "~all"
	if diff := cmp.Diff(want, lines(cloudflare.Records(s), all)); diff != "" {
		t.Error(diff)
	}
}

// Whatever is written bears the site's mark within the provider's bound, says where it comes from, and is in a zone.
func TestRecordsAreMarked(t *testing.T) {
	s := rich()
	s.Name = strings.Repeat("n", 32)
	for _, r := range cloudflare.Records(s) {
		switch {
		case r.From == "":
			t.Errorf("%s %s: no site path", r.Type, r.Name)
		case r.EdgeOwned || r.Zone == "":
			if r.Comment != "" {
				t.Errorf("%s %s is not ours and bears a mark", r.Type, r.Name)
			}
		case !strings.HasPrefix(r.Comment, cloudflare.Mark(s)+" ") || len(r.Comment) > 100:
			t.Errorf("%s %s: comment %q", r.Type, r.Name, r.Comment)
		}
	}
}

// rich declares about everything that makes a record.
func rich() *model.Site {
	s := emittest.Site()
	d := &s.Domains[0]
	d.SPF = model.SPF{Include: []string{"_spf.mx.cloudflare.net", "sendgrid.net"}, Mechanisms: []string{"ip4:192.0.2.1"}, All: "-all"}
	d.DMARC = model.DMARC{Policy: "none", SubdomainPolicy: "reject", Percent: 50, Alignment: "s",
		RUA: []string{"dmarc@example.com", "a,b!c@reports.example.net"}, RUF: []string{"fail@other.example"}}
	d.TLSRPT.RUA = []string{"tls@example.com"}
	d.RelayAuth = &model.RelayAuth{ReturnPath: model.CNAME{Label: "em1", Target: "u1.wl.sendgrid.net"},
		DKIM: []model.CNAME{{Label: "s1._domainkey", Target: "s1.sendgrid.net"}}}
	ten := 10
	d.Records = []model.Record{
		{Name: "@", Type: "TXT", Content: strings.Repeat("x", 700), TTL: 1},
		{Name: "imap", Type: "A", Content: "192.0.2.7", TTL: 300},
		{Name: "list", Type: "MX", Content: "mx.list.example", TTL: 3600, Priority: &ten},
	}
	key := model.SecretRef{Secret: "dkim/example.com/x"}
	d.Selectors = []model.Selector{
		{Name: "a", State: model.Active, Algorithm: "rsa", PublicKey: "AAAA", Key: &key},
		{Name: "g", State: model.Revoked, Algorithm: "rsa", PublicKey: "AAAA"},
		{Name: "p", State: model.Published, Algorithm: "ed25519", PublicKey: "BBBB"},
		{Name: "r", State: model.Retired, Algorithm: "rsa", Key: &key},
	}
	other := model.Domain{Name: "other.example", Unicode: "other.example", Zone: "other.example", State: model.Active, SPF: model.SPF{All: "~all"},
		DMARC: model.DMARC{Policy: "reject", Percent: 100}, MTASTS: model.MTASTS{Mode: "none"}}
	s.Domains = append(s.Domains, other)
	return s
}

func TestPolicyRecords(t *testing.T) {
	want := []string{
		"_dmarc.example.com TXT v=DMARC1; p=none; sp=reject; pct=50; adkim=s; rua=mailto:dmarc@example.com,mailto:a%2Cb%21c@reports.example.net; ruf=mailto:fail@other.example",
		"_smtp._tls.example.com TXT v=TLSRPTv1; rua=mailto:tls@example.com",
		"a._domainkey.example.com TXT v=DKIM1; k=rsa; p=AAAA",
		"em1.example.com CNAME u1.wl.sendgrid.net",
		"example.com TXT v=spf1 include:_spf.mx.cloudflare.net include:sendgrid.net ip4:192.0.2.1 -all (replaces)",
		"g._domainkey.example.com TXT v=DKIM1; p=",
		"p._domainkey.example.com TXT v=DKIM1; k=ed25519; p=BBBB",
		"r._domainkey.example.com TXT v=DKIM1; k=rsa; p=${publicKey:dkim/example.com/x}",
		"s1._domainkey.example.com CNAME s1.sendgrid.net",
		"example.com._report._dmarc.other.example TXT v=DMARC1",
		"example.com._report._dmarc.reports.example.net TXT v=DMARC1 (elsewhere)",
	}
	names := []string{}
	for _, line := range want {
		name, _, _ := strings.Cut(line, " ")
		names = append(names, name)
	}
	slices.Sort(want)
	got := lines(cloudflare.Records(rich()), func(r cloudflare.Record) bool {
		return named(names...)(r) && (r.Name != "example.com" || strings.HasPrefix(r.Content, "v=spf1"))
	})
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestOwnRecords(t *testing.T) {
	got := lines(cloudflare.Records(rich()), func(r cloudflare.Record) bool { return strings.HasSuffix(r.From, ".records") })
	want := []string{
		"example.com TXT " + strings.Repeat("x", 700),
		"imap.example.com A 192.0.2.7",
		"list.example.com MX 10 mx.list.example",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if got := lines(cloudflare.Records(rich()), named("imap.example.com")); len(got) != 1 {
		t.Errorf("the user's own address record is doubled: %v", got)
	}
}

// A retired domain says in DNS that it takes and sends no mail, unless a domain below needs Email Routing
// at its apex; its keys go on verifying what was signed.
func TestRetiredDomain(t *testing.T) {
	s := emittest.Site()
	s.Domains[0].State = model.Retired
	keep := named("example.com", "mail2026._domainkey.example.com")
	want := []string{
		"example.com MX 0 .",
		"example.com TXT v=spf1 -all",
		"mail2026._domainkey.example.com TXT v=DKIM1; k=rsa; p=${publicKey:dkim/example.com/mail2026}",
	}
	if diff := cmp.Diff(want, lines(cloudflare.Records(s), keep)); diff != "" {
		t.Errorf("alone in its zone: %s", diff)
	}
	below := model.Domain{Name: "lab.example.com", Unicode: "lab.example.com", Zone: "example.com", State: model.Active, SPF: model.SPF{All: "~all"},
		MTASTS: model.MTASTS{Mode: "none"}}
	s.Domains = append(s.Domains, below)
	want[0] = "example.com MX *.mx.cloudflare.net (edge)"
	want[1] = "example.com TXT v=spf1 include:_spf.mx.cloudflare.net -all (replaces)"
	if diff := cmp.Diff(want, lines(cloudflare.Records(s), keep)); diff != "" {
		t.Errorf("with an active subdomain: %s", diff)
	}
}

// Ports that listen on the loopback are nobody's business.
func TestNoDiscoveryOfLoopback(t *testing.T) {
	s := emittest.Site()
	s.Containers.Dovecot.Address, s.Containers.Postfix.Address = "127.0.0.1", "127.0.0.1"
	got := lines(cloudflare.Records(s), func(r cloudflare.Record) bool {
		return r.Type == "SRV" || r.Type == "A" || strings.HasPrefix(r.Name, "auto")
	})
	if len(got) != 0 {
		t.Errorf("published: %v", got)
	}
}

func TestResolve(t *testing.T) {
	answer := func(prefix string) func(string) (string, error) {
		return func(name string) (string, error) { return prefix + name, nil }
	}
	for content, want := range map[string]string{
		"${tunnel:home}.cfargotunnel.com":                 "id-home.cfargotunnel.com",
		"v=DKIM1; k=rsa; p=${publicKey:dkim/a.example/s}": "v=DKIM1; k=rsa; p=key-dkim/a.example/s",
		"v=spf1 -all": "v=spf1 -all",
	} {
		got, err := cloudflare.Record{Content: content}.Resolve(answer("id-"), answer("key-"))
		if err != nil || got.Content != want {
			t.Errorf("%s: %s, %v", content, got.Content, err)
		}
	}
	missing := errors.New("no tunnel")
	_, err := cloudflare.Record{Content: "${tunnel:home}.x"}.Resolve(func(string) (string, error) { return "", missing }, answer(""))
	if !errors.Is(err, missing) {
		t.Errorf("error %v", err)
	}
}
