package cloudflare

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// phase is the entrypoint ruleset of one phase of a zone.
type phase struct {
	ID      string    `json:"id"`
	Version int       `json:"version"`
	Rules   []wafRule `json:"rules"`
	Updated time.Time `json:"last_updated"`
}

// wafRule is one rule in the provider's form.
type wafRule struct {
	ID          string         `json:"id"`
	Version     string         `json:"version"`
	Ref         string         `json:"ref"`
	Action      string         `json:"action"`
	Parameters  map[string]any `json:"action_parameters,omitempty"`
	Expression  string         `json:"expression"`
	Description string         `json:"description"`
	Enabled     *bool          `json:"enabled"`
	RateLimit   *rateLimit     `json:"ratelimit,omitempty"`
	Logging     map[string]any `json:"logging,omitempty"`
	Updated     time.Time      `json:"last_updated"`
}

type rateLimit struct {
	Characteristics   []string `json:"characteristics"`
	Period            int      `json:"period"`
	Requests          int      `json:"requests_per_period"`
	MitigationTimeout int      `json:"mitigation_timeout"`
	Counting          string   `json:"counting_expression,omitempty"`
	ToOrigin          bool     `json:"requests_to_origin,omitempty"`
}

// phaseKind is what a phase allows; rules are counted by plan.
type phaseKind struct {
	actions   []string
	free, pro int
}

var phaseKinds = map[string]phaseKind{
	"http_request_firewall_custom":  {[]string{"block", "challenge", "managed_challenge", "js_challenge", "skip"}, 5, 20},
	"http_ratelimit":                {[]string{"block", "challenge", "managed_challenge", "js_challenge"}, 1, 2},
	"http_request_firewall_managed": {[]string{"execute", "skip"}, 20, 20},
}

const maxExpression = 4096

// entrypoint reads, and with PUT replaces, the rules of a phase.
func entrypoint(c *call) (any, error) {
	name := c.r.PathValue("phase")
	kind, known := phaseKinds[name]
	if !known {
		return nil, refuse(20015, "unknown phase %q", name)
	}
	put := c.r.Method == http.MethodPut
	z, err := c.zone()
	if put {
		z, err = c.editZone()
	}
	if err != nil {
		return nil, err
	}
	p, there := z.Phases[name]
	if put {
		if p, err = c.replaceRules(z, p, kind); err != nil {
			return nil, err
		}
		if z.Phases == nil {
			z.Phases = map[string]phase{}
		}
		z.Phases[name] = p
	} else if !there {
		return nil, notFound(10003, "could not find entrypoint ruleset in the %s phase for the zone %s", name, z.ID)
	}
	return map[string]any{
		"id": p.ID, "name": "default", "description": "", "kind": "zone", "phase": name,
		"version": strconv.Itoa(p.Version), "rules": p.Rules, "last_updated": p.Updated,
	}, nil
}

// replaceRules validates the new list; a rule that is sent with the reference
// of an old one keeps its identity.
func (c *call) replaceRules(z *zone, old phase, kind phaseKind) (phase, error) {
	var in struct {
		Name        string    `json:"name"`
		Description string    `json:"description"`
		Rules       []wafRule `json:"rules"`
	}
	if err := c.decode(&in); err != nil {
		return old, err
	}
	quota := kind.free
	if z.Plan != Free {
		quota = kind.pro
	}
	if len(in.Rules) > quota {
		return old, refuse(20217, "exceeded maximum number of rules in this phase: %d out of %d", len(in.Rules), quota)
	}
	p := phase{ID: old.ID, Version: old.Version + 1, Updated: c.s.now(), Rules: []wafRule{}}
	if p.ID == "" {
		p.ID = newID()
	}
	refs := map[string]bool{}
	for i, r := range in.Rules {
		if err := r.check(z, kind); err != nil {
			return old, refuse(20120, "rules[%d]: %v", i, err)
		}
		r.complete(old, c.s.now())
		if refs[r.Ref] {
			return old, refuse(20120, "rules[%d]: ref %q is used twice", i, r.Ref)
		}
		refs[r.Ref] = true
		p.Rules = append(p.Rules, r)
	}
	return p, nil
}

func (r *wafRule) complete(old phase, now time.Time) {
	i := slices.IndexFunc(old.Rules, func(o wafRule) bool { return r.Ref != "" && o.Ref == r.Ref || r.ID != "" && o.ID == r.ID })
	r.Version, r.Updated = "1", now
	if i >= 0 {
		r.ID = old.Rules[i].ID
	} else {
		r.ID = newID()
	}
	if r.Ref == "" {
		r.Ref = r.ID
	}
	if r.Enabled == nil {
		on := true
		r.Enabled = &on
	}
}

// check validates one rule against the phase and the plan.
func (r *wafRule) check(z *zone, kind phaseKind) error {
	switch {
	case !r.Updated.IsZero() || r.Version != "":
		return fmt.Errorf("version and last_updated are read-only")
	case !slices.Contains(kind.actions, r.Action):
		return fmt.Errorf("action %q is not allowed in this phase", r.Action)
	case (r.Action == "skip" || r.Action == "execute") && len(r.Parameters) == 0:
		return fmt.Errorf("action %q needs action_parameters", r.Action)
	case r.Expression == "" || len(r.Expression) > maxExpression:
		return fmt.Errorf("expression must have 1 to %d characters", maxExpression)
	case strings.Count(r.Expression, "(") != strings.Count(r.Expression, ")") || strings.Count(r.Expression, `"`)%2 != 0:
		return fmt.Errorf("filter parsing error: %q is not balanced", r.Expression)
	case strings.Contains(r.Expression, " matches "):
		return fmt.Errorf("the operator matches needs a Business plan")
	}
	limited := kind.free == 1
	if limited != (r.RateLimit != nil) {
		return fmt.Errorf("ratelimit belongs to every rule of the phase http_ratelimit, and to no other")
	}
	if limited {
		return r.RateLimit.check(z, r.Expression)
	}
	return nil
}

func (l *rateLimit) check(z *zone, expression string) error {
	periods := []int{10, 60}
	if z.Plan == Free {
		periods = periods[:1]
	}
	switch {
	case !slices.Contains(l.Characteristics, "cf.colo.id"):
		return fmt.Errorf("characteristics must contain cf.colo.id")
	case !slices.Contains(periods, l.Period):
		return fmt.Errorf("period %d is not one of %v on this plan", l.Period, periods)
	case l.Requests < 1:
		return fmt.Errorf("requests_per_period must be positive")
	case z.Plan == Free && l.MitigationTimeout != 10:
		return fmt.Errorf("mitigation_timeout must be 10 on this plan")
	case z.Plan == Free && strings.Contains(expression, "http.host"):
		return fmt.Errorf("the field http.host can't be used in rate limiting rules on this plan")
	}
	return nil
}
