package cloudflare

import (
	"math"
	"slices"
	"strings"
	"time"
)

// routingRule is one Email Routing rule in the provider's form.
type routingRule struct {
	ID       string        `json:"id"`
	Tag      string        `json:"tag"`
	Name     string        `json:"name"`
	Priority int           `json:"priority"`
	Enabled  bool          `json:"enabled"`
	Matchers []ruleMatcher `json:"matchers"`
	Actions  []ruleAction  `json:"actions"`
	Source   string        `json:"source"`
}

type ruleMatcher struct {
	Type  string `json:"type"`
	Field string `json:"field,omitempty"`
	Value string `json:"value,omitempty"`
}

type ruleAction struct {
	Type  string   `json:"type"`
	Value []string `json:"value,omitempty"`
}

type ruleInput struct {
	Name     *string       `json:"name"`
	Priority *float64      `json:"priority"`
	Enabled  *bool         `json:"enabled"`
	Matchers []ruleMatcher `json:"matchers"`
	Actions  []ruleAction  `json:"actions"`
	Source   *string       `json:"source"`
	Owner    *string       `json:"owner_worker_tag"`
}

const (
	maxRules        = 200
	maxAddresses    = 200
	lastPriority    = math.MaxInt32 // of the catch-all in a list
	maxMatcherValue = 90
)

// address is a verified or pending destination of forward rules.
type address struct {
	ID       string     `json:"id"`
	Tag      string     `json:"tag"`
	Email    string     `json:"email"`
	Verified *time.Time `json:"verified"`
	Created  time.Time  `json:"created"`
	Modified time.Time  `json:"modified"`
}

// rule validates an input and completes it.
func (c *call) rule(z *zone, in ruleInput, catchAll bool) (routingRule, error) {
	r := routingRule{Enabled: true, Source: "api", Matchers: in.Matchers, Actions: in.Actions}
	set(&r.Name, in.Name)
	set(&r.Enabled, in.Enabled)
	set(&r.Source, in.Source)
	if in.Priority != nil {
		if *in.Priority < 0 || *in.Priority != math.Trunc(*in.Priority) || *in.Priority > lastPriority {
			return r, refuse(2020, "Invalid priority: must be a whole number from 0")
		}
		r.Priority = int(*in.Priority)
	}
	if len(r.Name) > 256 {
		return r, refuse(2021, "Invalid name: at most 256 characters")
	}
	if err := checkMatchers(z, r.Matchers, catchAll); err != nil {
		return r, err
	}
	return r, c.checkActions(r.Actions)
}

func checkMatchers(z *zone, matchers []ruleMatcher, catchAll bool) error {
	if len(matchers) != 1 {
		return refuse(2022, "Invalid matchers: exactly one is allowed")
	}
	m := matchers[0]
	if catchAll {
		if m.Type != "all" || m.Field != "" || m.Value != "" {
			return refuse(2022, "Invalid matchers: the catch-all matches all")
		}
		return nil
	}
	if m.Type != "literal" || m.Field != "to" {
		return refuse(2062, "Invalid matchers: only literal matchers of the field to are allowed")
	}
	local, domain, ok := cutAddress(m.Value)
	if !ok || len(m.Value) > maxMatcherValue || strings.ContainsFunc(local, func(r rune) bool { return r > '~' || r <= ' ' }) {
		return refuse(2023, "Invalid matcher value: %s is not an address", m.Value)
	}
	if domain != z.Name && !slices.Contains(z.Email.Subdomains, domain) {
		return refuse(2024, "Invalid matcher value: %s does not route mail in the zone %s", domain, z.Name)
	}
	return nil
}

func cutAddress(s string) (local, domain string, ok bool) {
	i := strings.LastIndexByte(s, '@')
	if i <= 0 || !validName(strings.ToLower(s[i+1:]), false) {
		return "", "", false
	}
	return s[:i], strings.ToLower(s[i+1:]), true
}

func (c *call) checkActions(actions []ruleAction) error {
	if len(actions) != 1 {
		return refuse(2025, "Invalid actions: exactly one is allowed")
	}
	a, err := c.account()
	if err != nil {
		return err
	}
	switch act := actions[0]; act.Type {
	case "drop":
		if len(act.Value) > 0 {
			return refuse(2025, "Invalid actions: drop takes no value")
		}
	case "forward":
		if len(act.Value) != 1 || !a.verified(act.Value[0]) {
			return refuse(2026, "Invalid actions: forward needs a verified destination address")
		}
	case "worker":
		if len(act.Value) != 1 || !a.hasScript(act.Value[0]) {
			return refuse(2027, "Invalid actions: worker needs the name of an existing Worker")
		}
	default:
		return refuse(2025, "Invalid actions: type %q is unknown", act.Type)
	}
	return nil
}

func (a *account) verified(email string) bool {
	return slices.ContainsFunc(a.Addresses, func(d address) bool { return d.Email == email && d.Verified != nil })
}

func (z *zone) catchAll() routingRule {
	if z.Email.CatchAll != nil {
		return *z.Email.CatchAll
	}
	return routingRule{
		ID: "catch-all-" + z.ID, Tag: "catch-all-" + z.ID, Priority: lastPriority, Source: "api",
		Matchers: []ruleMatcher{{Type: "all"}}, Actions: []ruleAction{{Type: "drop"}},
	}
}

func listRules(c *call) (any, error) {
	z, err := c.zone()
	if err != nil {
		return nil, err
	}
	rules := append(slices.Clone(z.Email.Rules), z.catchAll())
	slices.SortStableFunc(rules, func(a, b routingRule) int { return a.Priority - b.Priority })
	return listed(rules, 5, 50, 20), nil
}

func (z *zone) findRule(id string) (int, error) {
	i := slices.IndexFunc(z.Email.Rules, func(r routingRule) bool { return r.ID == id })
	if i < 0 {
		return 0, notFound(2028, "Rule not found")
	}
	return i, nil
}

func getRule(c *call) (any, error) {
	z, err := c.zone()
	if err != nil {
		return nil, err
	}
	i, err := z.findRule(c.r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	return z.Email.Rules[i], nil
}

// editRule decodes and validates a rule for a zone that is then changed.
func editRule(c *call, catchAll bool) (*zone, routingRule, error) {
	z, err := c.editZone()
	if err != nil {
		return nil, routingRule{}, err
	}
	var in ruleInput
	if err := c.decode(&in); err != nil {
		return nil, routingRule{}, err
	}
	r, err := c.rule(z, in, catchAll)
	return z, r, err
}

func createRule(c *call) (any, error) {
	z, r, err := editRule(c, false)
	if err != nil {
		return nil, err
	}
	if len(z.Email.Rules) >= maxRules {
		return nil, refuse(2029, "At most %d rules are allowed", maxRules)
	}
	r.ID = newID()
	r.Tag = r.ID
	z.Email.Rules = append(z.Email.Rules, r)
	return r, nil
}

func putRule(c *call) (any, error) {
	z, r, err := editRule(c, false)
	if err != nil {
		return nil, err
	}
	i, err := z.findRule(c.r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	r.ID, r.Tag = z.Email.Rules[i].ID, z.Email.Rules[i].Tag
	z.Email.Rules[i] = r
	return r, nil
}

func deleteRule(c *call) (any, error) {
	z, err := c.editZone()
	if err != nil {
		return nil, err
	}
	i, err := z.findRule(c.r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	old := z.Email.Rules[i]
	z.Email.Rules = slices.Delete(z.Email.Rules, i, i+1)
	return old, nil
}

func getCatchAll(c *call) (any, error) {
	z, err := c.zone()
	if err != nil {
		return nil, err
	}
	return z.catchAll(), nil
}

func putCatchAll(c *call) (any, error) {
	z, r, err := editRule(c, true)
	if err != nil {
		return nil, err
	}
	r.ID, r.Tag, r.Priority = z.catchAll().ID, z.catchAll().Tag, lastPriority
	z.Email.CatchAll = &r
	return r, nil
}
