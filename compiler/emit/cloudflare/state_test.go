package cloudflare_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mailplan/mailplan/compiler/emit/cloudflare"
	"github.com/mailplan/mailplan/compiler/emit/emittest"
	"github.com/mailplan/mailplan/compiler/model"
)

func state(t *testing.T, s *model.Site) cloudflare.Edge {
	t.Helper()
	e, err := cloudflare.State(s)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// Every host name of the ingress document in our zones has its alias, and the last rule catches all.
func TestIngressAndAliasesAgree(t *testing.T) {
	s := rich()
	s.Edge.Tunnel.Hostnames.Console = "admin.example.com"
	s.Containers.Own = []model.OwnContainer{{Name: "wiki", Hostname: "wiki.other.example", Port: 3000}}
	ingress := state(t, s).Tunnel.Ingress
	last := ingress[len(ingress)-1]
	if last.Hostname != "" || last.Service != "http_status:404" {
		t.Errorf("last rule %+v", last)
	}
	var hosts []string
	for _, i := range ingress[:len(ingress)-1] {
		hosts = append(hosts, i.Hostname+" -> "+i.Service)
		if got := lines(cloudflare.Records(s), named(i.Hostname)); len(got) != 1 || !strings.Contains(got[0], "cfargotunnel.com (proxied)") {
			t.Errorf("%s: records %v", i.Hostname, got)
		}
	}
	want := []string{
		"mail-api.example.com -> http://mailserver-api:8000", "mail.example.com -> http://nginx:80",
		"admin.example.com -> http://usermgmt:8080", "autoconfig.example.com -> http://nginx:80",
		"autodiscover.example.com -> http://nginx:80", "mta-sts.example.com -> http://nginx:80",
		"wiki.other.example -> http://wiki:3000",
	}
	if diff := cmp.Diff(want, hosts); diff != "" {
		t.Error(diff)
	}
}

func TestRouting(t *testing.T) {
	s := emittest.Site()
	s.Domains[0].SPF.All = "~all"
	lab := model.Domain{Name: "lab.example.com", Unicode: "lab.example.com", Zone: "example.com", State: model.Active, SPF: model.SPF{All: "~all"},
		Users:   []model.User{{Localpart: "eva", Domain: "lab.example.com", State: model.Active}, {Localpart: "old", Domain: "lab.example.com", State: model.Retired}},
		Aliases: []model.Alias{{Localpart: "team", Domain: "lab.example.com", Targets: []string{"eva@lab.example.com"}}},
		MTASTS:  model.MTASTS{Mode: "none"}}
	s.Domains = append(s.Domains, lab)
	want := []cloudflare.Zone{{Name: "example.com", Routing: cloudflare.Routing{
		Enabled: true, Apex: true, Subaddress: true, Subdomains: []string{"lab.example.com"}, From: `domains."example.com"`,
		CatchAll: &cloudflare.Rule{Name: "mailplan:home all recipients", Worker: "home-mail", From: `domains."example.com"`},
		Rules: []cloudflare.Rule{
			{Name: "mailplan:home eva@lab.example.com", To: "eva@lab.example.com", Worker: "home-mail", From: `domains."lab.example.com".users.eva`},
			{Name: "mailplan:home team@lab.example.com", To: "team@lab.example.com", Worker: "home-mail", From: `domains."lab.example.com".aliases.team`},
		}}}}
	if diff := cmp.Diff(want, state(t, s).Zones); diff != "" {
		t.Error(diff)
	}
	s.Domains[0].SPF.All = "-all"
	if !state(t, s).Zones[0].Routing.Unlock {
		t.Error("a merged SPF record does not unlock the zone's routing records")
	}
}

// What Email Routing cannot do is said, all of it, and where.
func TestRoutingLimits(t *testing.T) {
	s := emittest.Site()
	lab := model.Domain{Name: "lab.example.com", Unicode: "lab.example.com", Zone: "example.com", State: model.Active, CatchAll: "alice@example.com", MTASTS: model.MTASTS{Mode: "none"}}
	for i := range 201 {
		lab.Users = append(lab.Users, model.User{Localpart: fmt.Sprintf("u%03d", i), Domain: lab.Name, State: model.Active})
	}
	s.Domains = append(s.Domains, lab)
	_, err := cloudflare.State(s)
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{`domains."lab.example.com".catchAll: lab.example.com is below the zone`, "201 addresses below the zone example.com, but Email Routing has at most 200 rules"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error lacks %q: %v", want, err)
		}
	}
}

func TestBindings(t *testing.T) {
	s := emittest.Site()
	names := func() (list []string) {
		for _, b := range state(t, s).Worker.Bindings {
			list = append(list, b.Name+"="+b.Text+b.Secret+b.ServiceToken+b.Bucket+b.Queue)
			if b.From == "" {
				t.Errorf("%s: no site path", b.Name)
			}
		}
		return list
	}
	plain := []string{"DIGEST_KEY=RECIPIENT_DIGEST_KEY", "INGEST_TOKEN=MAILSERVER_API_TOKEN", "INGEST_URL=https://mail-api.example.com/v1/ingest",
		"MAX_BYTES=26214400", "SIGNING_KEY=INGEST_SIGNING_KEY", "SITE=home", "TIMEOUT_MS=40000"}
	if diff := cmp.Diff(plain, names()); diff != "" {
		t.Error(diff)
	}
	s.Edge.Spool.Enabled, s.Edge.Access.Ingest = true, true
	s.Monitoring.Alerts.Webhook = &model.SecretRef{Secret: "ALERT_URL"}
	more := append(plain, "ACCESS_CLIENT_ID=mailplan:home ingest", "ACCESS_CLIENT_SECRET=mailplan:home ingest", "ALERT_WEBHOOK=ALERT_URL",
		"DEAD=home-spool-dead", "DEAD_NAME=home-spool-dead", "QUEUE=home-spool", "RETRY_CAP_SECONDS="+fmt.Sprint(cloudflare.RetryCap(s.Edge.Spool)), "SPOOL=home-spool")
	slices.Sort(more)
	if diff := cmp.Diff(more, names()); diff != "" {
		t.Error(diff)
	}
}

// The retries last as long as the queue keeps a message, if they can, and never longer.
func TestRetryCap(t *testing.T) {
	for _, spool := range []model.Spool{{RetentionDays: 14, MaxRetries: 100}, {RetentionDays: 4, MaxRetries: 100}, {RetentionDays: 1, MaxRetries: 20}} {
		cap, sum, delay := cloudflare.RetryCap(spool), 0, 60
		for range spool.MaxRetries {
			sum += min(cap, delay)
			delay *= 2
			delay = min(delay, 12*3600)
		}
		days := float64(sum) / 86400
		if retention := float64(spool.RetentionDays); days < 0.9*retention || days > retention {
			t.Errorf("%+v: cap %d s, %.2f days in all", spool, cap, days)
		}
	}
	if cap := cloudflare.RetryCap(model.Spool{RetentionDays: 14, MaxRetries: 3}); cap != 12*3600 {
		t.Errorf("few retries: cap %d, want the provider's 12 h", cap)
	}
}

func TestAccess(t *testing.T) {
	s := rich()
	s.Edge.Tunnel.Hostnames.Console = "admin.example.com"
	s.Edge.Access.Ingest, s.Edge.Access.Emails = true, []string{"@example.com", "eve@partner.example"}
	want := cloudflare.Access{
		Applications: []cloudflare.Application{
			{Name: "mailplan:home console", Domain: "admin.example.com", Policy: "mailplan:home people", SessionHours: 24, From: "edge.access.console"},
			{Name: "mailplan:home ingest", Domain: "mail-api.example.com/v1/ingest", Policy: "mailplan:home ingest", ServiceAuth401: true, From: "edge.access.ingest"},
		},
		Policies: []cloudflare.Policy{
			{Name: "mailplan:home people", Decision: "allow", Emails: []string{"eve@partner.example"}, EmailDomains: []string{"example.com"}, From: "edge.access.emails"},
			{Name: "mailplan:home ingest", Decision: "non_identity", ServiceTokens: []string{"mailplan:home ingest"}, From: "edge.access.ingest"},
		},
		ServiceTokens: []cloudflare.ServiceToken{{Name: "mailplan:home ingest", Hours: 8760, From: "edge.access.ingest"}},
	}
	if diff := cmp.Diff(want, state(t, s).Access); diff != "" {
		t.Error(diff)
	}
}

// Rules stay within what the plan has: five custom rules and, seeing the path only, no rate rule on free.
func TestFirewallByPlan(t *testing.T) {
	s := emittest.Site()
	s.Edge.WAF.Countries = []string{"DE", "JP"}
	refs := func() (list []string) {
		for _, set := range state(t, s).Rulesets {
			for _, r := range set.Rules {
				list = append(list, set.Phase+" "+r.Ref)
			}
		}
		return list
	}
	custom := []string{
		cloudflare.PhaseCustom + " mailplan-home-ingest-only", cloudflare.PhaseCustom + " mailplan-home-raw-mail",
		cloudflare.PhaseCustom + " mailplan-home-countries",
	}
	if diff := cmp.Diff(custom, refs()); diff != "" {
		t.Errorf("free: %s", diff)
	}
	s.Edge.Plan = "pro"
	paid := append(custom, cloudflare.PhaseRateLimit+" mailplan-home-sign-ins",
		cloudflare.PhaseManaged+" mailplan-home-cloudflare-managed", cloudflare.PhaseManaged+" mailplan-home-owasp")
	if diff := cmp.Diff(paid, refs()); diff != "" {
		t.Errorf("pro: %s", diff)
	}
}

// What the site asks for and the edge cannot give is said once, where the site asks for it.
func TestNotes(t *testing.T) {
	s := emittest.Site()
	s.Edge.Spool.Enabled, s.Edge.Tunnel.Hostnames.Console = true, "admin.elsewhere.example"
	s.Containers.Own = []model.OwnContainer{{Name: "wiki", Hostname: "wiki.lab.example.com", Port: 3000}}
	var from []string
	for _, n := range state(t, s).Notes {
		from = append(from, n.From)
	}
	want := []string{"edge.tunnel.hostnames.ingest", "edge.ingest.signed", "edge.waf.loginPerMinute", "edge.waf.managed",
		"monitoring.alerts.webhook", "edge.access", "edge.tunnel.hostnames.console", "containers.wiki.hostname"}
	if diff := cmp.Diff(want, from); diff != "" {
		t.Error(diff)
	}
}

func TestFiles(t *testing.T) {
	s := rich()
	s.Edge.Spool.Enabled = true
	for _, f := range emittest.Emit(t, cloudflare.Files, s) {
		if !json.Valid(f.Content) || len(f.Secrets()) > 0 {
			t.Errorf("%s is no JSON, or holds a secret", f.Path)
		}
	}
}
