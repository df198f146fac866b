package edge

import (
	"context"
	"encoding/json"
	"fmt"
)

// Phase is where in a request's way a rule is run.
type Phase string

// Phases, in the order in which the provider runs them.
const (
	CustomPhase    Phase = "http_request_firewall_custom"
	RateLimitPhase Phase = "http_ratelimit"
	ManagedPhase   Phase = "http_request_firewall_managed"
)

// WAFRule is one rule of a zone's phase.
type WAFRule struct {
	// Ref is a stable name within the phase.
	Ref string `json:"ref"`
	// Description carries the ownership mark.
	Description string `json:"description"`
	Expression  string `json:"expression"`
	// Action is block, managed_challenge, skip or execute.
	Action  string `json:"action"`
	Enabled bool   `json:"enabled"`
	// Parameters are those of skip and execute, as the API spells them.
	Parameters map[string]any `json:"action_parameters,omitempty"`
	RateLimit  *RateLimit     `json:"ratelimit,omitempty"`
}

// RateLimit says when a rule of RateLimitPhase acts.
type RateLimit struct {
	// Characteristics must contain cf.colo.id.
	Characteristics []string `json:"characteristics"`
	// Period and MitigationTimeout are in seconds.
	Period            int `json:"period"`
	Requests          int `json:"requests_per_period"`
	MitigationTimeout int `json:"mitigation_timeout"`
}

// rawRule is a rule with every field that the API shows.
type rawRule map[string]any

func (r rawRule) owner() string {
	description, _ := r["description"].(string)
	return Owner(description)
}

func entrypoint(z Zone, phase Phase) string {
	return fmt.Sprintf("zones/%s/rulesets/phases/%s/entrypoint", z.ID, phase)
}

// WAFRules reads the rules of a phase in their order, foreign ones included.
func (e *Edge) WAFRules(ctx context.Context, z Zone, phase Phase) ([]WAFRule, error) {
	raw, err := e.rawRules(ctx, z, phase)
	if err != nil {
		return nil, err
	}
	var rules []WAFRule
	b, err := json.Marshal(raw)
	if err == nil {
		err = json.Unmarshal(b, &rules)
	}
	return rules, naming(err, "read the rules of phase %s of %s", phase, z.Name)
}

// rawRules reads a phase; a zone that never had a rule there has no list.
func (e *Edge) rawRules(ctx context.Context, z Zone, phase Phase) ([]rawRule, error) {
	type answer struct{ Rules []rawRule }
	a, err := direct[answer](ctx, e, "GET", entrypoint(z, phase), nil)
	return a.Rules, naming(removed(err), "read the rules of phase %s of %s", phase, z.Name)
}

// SetWAFRules makes the rules of a phase that site owns exactly want, in that
// order after the foreign ones, which are read and sent back as they are: the
// API replaces the whole list.
func (e *Edge) SetWAFRules(ctx context.Context, z Zone, phase Phase, site string, want []WAFRule) error {
	live, err := e.rawRules(ctx, z, phase)
	if err != nil {
		return err
	}
	rules := []any{}
	for _, r := range live {
		if r.owner() == site {
			continue
		}
		// Read-only fields are refused in a request.
		delete(r, "version")
		delete(r, "last_updated")
		rules = append(rules, r)
	}
	for _, r := range want {
		if Owner(r.Description) != site {
			return fmt.Errorf("rule %s of phase %s of %s does not carry the mark of site %s", r.Ref, phase, z.Name, site)
		}
		rules = append(rules, r)
	}
	_, err = e.wire.send(ctx, "PUT", entrypoint(z, phase), map[string]any{"rules": rules})
	return naming(err, "set the rules of phase %s of %s", phase, z.Name)
}
