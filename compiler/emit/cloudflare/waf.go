package cloudflare

import (
	"fmt"
	"strings"

	"github.com/mailplan/mailplan/compiler/model"
)

// Ruleset are our rules in one phase of one zone; foreign rules stay beside them.
type Ruleset struct {
	Zone  string         `json:"zone"`
	Phase string         `json:"phase"`
	Rules []FirewallRule `json:"rules"`
}

// FirewallRule is one rule, known again by its Ref.
type FirewallRule struct {
	Ref         string `json:"ref"`
	Description string `json:"description"`
	Action      string `json:"action"` // block, skip, execute
	Expression  string `json:"expression"`
	// SkipPhases are the phases that a skip rule spares.
	SkipPhases []string `json:"skipPhases,omitempty"`
	// Ruleset is the id of the managed ruleset that an execute rule runs.
	Ruleset   string     `json:"ruleset,omitempty"`
	RateLimit *RateLimit `json:"rateLimit,omitempty"`
	From      string     `json:"from"`
}

// RateLimit counts per characteristic; times are in seconds.
type RateLimit struct {
	Characteristics   []string `json:"characteristics"`
	Period            int      `json:"period"`
	Requests          int      `json:"requests"`
	MitigationTimeout int      `json:"mitigationTimeout"`
}

// The phases, in the order in which Cloudflare runs them.
const (
	PhaseCustom    = "http_request_firewall_custom"
	PhaseRateLimit = "http_ratelimit"
	PhaseManaged   = "http_request_firewall_managed"
)

// Managed rulesets of the paid plans.
const (
	managedRuleset = "efb7b8c949ac4650a09736fc376e9aee"
	owaspRuleset   = "4814384a9e5d4991b9815dcfc25d2f1f"
)

// waf builds the rules of one zone. The free plan has five custom rules: three are used at most.
type waf struct {
	site *model.Site
	list map[string][]FirewallRule // by phase
}

func rulesetsOf(s *model.Site) []Ruleset {
	z := newZones(s)
	list := []Ruleset{}
	for _, zone := range z.names {
		w := waf{site: s, list: map[string][]FirewallRule{}}
		names := s.Edge.Tunnel.Hostnames
		if names.Ingest != "" && z.of(names.Ingest) == zone {
			w.ingest(names.Ingest)
		}
		if names.Webmail != "" && z.of(names.Webmail) == zone {
			w.webmail(names.Webmail)
		}
		for _, phase := range []string{PhaseCustom, PhaseRateLimit, PhaseManaged} {
			if rules := w.list[phase]; len(rules) > 0 {
				list = append(list, Ruleset{Zone: zone, Phase: phase, Rules: rules})
			}
		}
	}
	return list
}

func (w waf) add(phase string, r FirewallRule) {
	r.Description = Mark(w.site) + " " + strings.ReplaceAll(r.Ref, "-", " ")
	r.Ref = "mailplan-" + w.site.Name + "-" + r.Ref
	w.list[phase] = append(w.list[phase], r)
}

// ingest leaves only what the Worker posts and the health page, and spares raw mail the managed rules, which
// would take spam for an attack.
func (w waf) ingest(host string) {
	post := fmt.Sprintf(`(http.request.method eq "POST" and http.request.uri.path eq "%s")`, ingestPath)
	w.add(PhaseCustom, FirewallRule{Ref: "ingest-only", Action: "block", From: "edge.tunnel.hostnames.ingest",
		Expression: fmt.Sprintf(`(http.host eq "%s" and not %s and not http.request.uri.path eq "/health")`, host, post)})
	w.add(PhaseCustom, FirewallRule{Ref: "raw-mail", Action: "skip", SkipPhases: []string{PhaseManaged}, From: "edge.waf.managed",
		Expression: fmt.Sprintf(`(http.host eq "%s" and http.request.uri.path eq "%s")`, host, ingestPath)})
}

func (w waf) webmail(host string) {
	settings := w.site.Edge.WAF
	at := fmt.Sprintf(`http.host eq "%s"`, host)
	if len(settings.Countries) > 0 {
		w.add(PhaseCustom, FirewallRule{Ref: "countries", Action: "block", From: "edge.waf.countries",
			Expression: fmt.Sprintf(`(%s and not ip.src.country in {"%s"})`, at, strings.Join(settings.Countries, `" "`))})
	}
	if w.site.Edge.Plan == "free" {
		return // notesOf says why
	}
	w.add(PhaseRateLimit, FirewallRule{Ref: "sign-ins", Action: "block", From: "edge.waf.loginPerMinute",
		Expression: fmt.Sprintf(`(%s and http.request.uri.query contains "_task=login")`, at),
		RateLimit: &RateLimit{Characteristics: []string{"cf.colo.id", "ip.src"}, Period: 60,
			Requests: settings.LoginPerMinute, MitigationTimeout: 600}})
	if settings.Managed {
		for _, r := range []struct{ ref, id string }{{"cloudflare-managed", managedRuleset}, {"owasp", owaspRuleset}} {
			w.add(PhaseManaged, FirewallRule{Ref: r.ref, Action: "execute", Ruleset: r.id, Expression: "(" + at + ")", From: "edge.waf.managed"})
		}
	}
}
