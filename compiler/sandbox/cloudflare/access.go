package cloudflare

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

// serviceToken lets a machine pass Access; of its secret only a digest is kept.
type serviceToken struct {
	ID       string    `json:"id"`
	Name     string    `json:"name"`
	ClientID string    `json:"client_id"`
	Digest   string    `json:"digest"`
	Duration string    `json:"duration"`
	Created  time.Time `json:"created"`
	Expires  time.Time `json:"expires"`
}

// accessPolicy is a reusable policy.
type accessPolicy struct {
	ID              string           `json:"id"`
	Name            string           `json:"name"`
	Decision        string           `json:"decision"`
	Include         []map[string]any `json:"include"`
	Require         []map[string]any `json:"require"`
	Exclude         []map[string]any `json:"exclude"`
	SessionDuration string           `json:"session_duration"`
	Reusable        bool             `json:"reusable"`
	Created         time.Time        `json:"created_at"`
	Updated         time.Time        `json:"updated_at"`
}

const usualDuration = "8760h"

func (t serviceToken) view() map[string]any {
	return map[string]any{
		"id": t.ID, "name": t.Name, "client_id": t.ClientID, "duration": t.Duration,
		"expires_at": t.Expires, "created_at": t.Created, "updated_at": t.Created,
	}
}

// renew gives the token a new secret and returns it, for the only time.
func (t *serviceToken) renew(now time.Time) string {
	secret := "cfast_" + newID() + newID()[:16]
	t.Digest = digest([]byte(secret))
	t.extend(now)
	return secret
}

// extend lets the secret be valid for the token's duration again.
func (t *serviceToken) extend(now time.Time) {
	if d, err := time.ParseDuration(t.Duration); err == nil {
		t.Expires = now.Add(d)
	}
}

// HasServiceToken tells whether a pair of client id and secret is valid.
func (s *Server) HasServiceToken(clientID, secret string) bool {
	found := false
	s.seed(func(c *call) error {
		a, err := c.account()
		if err == nil {
			found = slices.ContainsFunc(a.ServiceTokens, func(t serviceToken) bool {
				return t.ClientID == clientID && t.Digest == digest([]byte(secret))
			})
		}
		return err
	})
	return found
}

func listServiceTokens(c *call) (any, error) {
	a, err := c.ownAccount(false)
	if err != nil {
		return nil, err
	}
	views := []map[string]any{}
	for _, t := range a.ServiceTokens {
		views = append(views, t.view())
	}
	return listed(views, 1, 1000, 25), nil
}

type tokenInput struct {
	Name     string `json:"name"`
	Duration string `json:"duration"`
}

func decodeToken(c *call) (tokenInput, error) {
	var in tokenInput
	if err := c.decode(&in); err != nil {
		return in, err
	}
	if in.Duration == "" {
		in.Duration = usualDuration
	}
	if _, err := time.ParseDuration(in.Duration); err != nil && in.Duration != "forever" || in.Name == "" {
		return in, refuse(12130, "access.api.error.invalid_request: name and duration must be valid")
	}
	return in, nil
}

func createServiceToken(c *call) (any, error) {
	a, err := c.ownAccount(true)
	if err != nil {
		return nil, err
	}
	in, err := decodeToken(c)
	if err != nil {
		return nil, err
	}
	t := serviceToken{ID: newUUID(), Name: in.Name, ClientID: newID() + ".access", Duration: in.Duration, Created: c.s.now()}
	secret := t.renew(c.s.now())
	a.ServiceTokens = append(a.ServiceTokens, t)
	view := t.view()
	view["client_secret"] = secret
	return view, nil
}

func (c *call) pathServiceToken() (*account, int, error) {
	a, err := c.ownAccount(true)
	if err != nil {
		return nil, 0, err
	}
	i := slices.IndexFunc(a.ServiceTokens, func(t serviceToken) bool { return t.ID == c.r.PathValue("id") })
	if i < 0 {
		return nil, 0, notFound(12139, "access.api.error.service_token_not_found")
	}
	return a, i, nil
}

func updateServiceToken(c *call) (any, error) {
	a, i, err := c.pathServiceToken()
	if err != nil {
		return nil, err
	}
	in, err := decodeToken(c)
	if err != nil {
		return nil, err
	}
	a.ServiceTokens[i].Name, a.ServiceTokens[i].Duration = in.Name, in.Duration
	return a.ServiceTokens[i].view(), nil
}

func rotateServiceToken(c *call) (any, error) {
	a, i, err := c.pathServiceToken()
	if err != nil {
		return nil, err
	}
	secret := a.ServiceTokens[i].renew(c.s.now())
	view := a.ServiceTokens[i].view()
	view["client_secret"] = secret
	return view, nil
}

func refreshServiceToken(c *call) (any, error) {
	a, i, err := c.pathServiceToken()
	if err != nil {
		return nil, err
	}
	a.ServiceTokens[i].extend(c.s.now())
	return a.ServiceTokens[i].view(), nil
}

func deleteServiceToken(c *call) (any, error) {
	a, i, err := c.pathServiceToken()
	if err != nil {
		return nil, err
	}
	old := a.ServiceTokens[i]
	for _, p := range a.Policies {
		if slices.ContainsFunc(p.Include, func(r map[string]any) bool { return ruleValue(r, "service_token", "token_id") == old.ID }) {
			return nil, conflict(12140, "access.api.error.conflict: the service token is used by the policy %s", p.Name)
		}
	}
	a.ServiceTokens = slices.Delete(a.ServiceTokens, i, i+1)
	return old.view(), nil
}

// ruleValue returns a field of an Access rule such as {"email":{"email":"a@b"}}.
func ruleValue(rule map[string]any, kind, field string) string {
	inner, _ := rule[kind].(map[string]any)
	s, _ := inner[field].(string)
	return s
}

// ruleFields names the field that each kind of rule must carry.
var ruleFields = map[string]string{
	"email": "email", "email_domain": "domain", "ip": "ip", "everyone": "", "group": "id",
	"service_token": "token_id", "any_valid_service_token": "", "login_method": "id", "geo": "country_code",
}

func (a *account) checkAccessRules(rules []map[string]any) error {
	for _, rule := range rules {
		if len(rule) != 1 {
			return refuse(12130, "access.api.error.invalid_request: a rule has exactly one kind")
		}
		for kind := range rule {
			field, known := ruleFields[kind]
			if !known || field != "" && ruleValue(rule, kind, field) == "" {
				return refuse(12130, "access.api.error.invalid_request: rule %q is not valid", kind)
			}
		}
		id := ruleValue(rule, "service_token", "token_id")
		if id != "" && !slices.ContainsFunc(a.ServiceTokens, func(t serviceToken) bool { return t.ID == id }) {
			return refuse(12130, "access.api.error.invalid_request: service token %s does not exist", id)
		}
	}
	return nil
}

func listPolicies(c *call) (any, error) {
	a, err := c.ownAccount(false)
	if err != nil {
		return nil, err
	}
	return listed(a.Policies, 1, 1000, 25), nil
}

// decodePolicy reads and validates a policy.
func decodePolicy(c *call, a *account) (accessPolicy, error) {
	var in struct {
		Name            string           `json:"name"`
		Decision        string           `json:"decision"`
		Include         []map[string]any `json:"include"`
		Require         []map[string]any `json:"require"`
		Exclude         []map[string]any `json:"exclude"`
		SessionDuration string           `json:"session_duration"`
	}
	if err := c.decode(&in); err != nil {
		return accessPolicy{}, err
	}
	switch {
	case in.Name == "":
		return accessPolicy{}, refuse(12130, "access.api.error.invalid_request: name is required")
	case !slices.Contains([]string{"allow", "deny", "non_identity", "bypass"}, in.Decision):
		return accessPolicy{}, refuse(12130, "access.api.error.invalid_request: decision %q is unknown", in.Decision)
	case len(in.Include) == 0:
		return accessPolicy{}, refuse(12130, "access.api.error.invalid_request: include must not be empty")
	}
	if err := a.checkAccessRules(slices.Concat(in.Include, in.Require, in.Exclude)); err != nil {
		return accessPolicy{}, err
	}
	empty := func(r []map[string]any) []map[string]any { return append([]map[string]any{}, r...) }
	return accessPolicy{
		Name: in.Name, Decision: in.Decision, Include: in.Include, Require: empty(in.Require), Exclude: empty(in.Exclude),
		SessionDuration: in.SessionDuration, Reusable: true, Updated: c.s.now(),
	}, nil
}

func createPolicy(c *call) (any, error) {
	a, err := c.ownAccount(true)
	if err != nil {
		return nil, err
	}
	p, err := decodePolicy(c, a)
	if err != nil {
		return nil, err
	}
	p.ID, p.Created = newUUID(), p.Updated
	a.Policies = append(a.Policies, p)
	return p, nil
}

// changePolicy replaces (PUT) or deletes a policy.
func changePolicy(c *call) (any, error) {
	a, err := c.ownAccount(true)
	if err != nil {
		return nil, err
	}
	id := c.r.PathValue("id")
	i := slices.IndexFunc(a.Policies, func(p accessPolicy) bool { return p.ID == id })
	if i < 0 {
		return nil, notFound(12139, "access.api.error.policy_not_found")
	}
	if c.r.Method == http.MethodDelete {
		for _, app := range a.Apps {
			if slices.ContainsFunc(app.Policies, func(l policyLink) bool { return l.ID == id }) {
				return nil, conflict(12140, "access.api.error.conflict: the policy is used by the application %s", app.Name)
			}
		}
		a.Policies = slices.Delete(a.Policies, i, i+1)
		return deleted{id}, nil
	}
	p, err := decodePolicy(c, a)
	if err != nil {
		return nil, err
	}
	p.ID, p.Created = id, a.Policies[i].Created
	a.Policies[i] = p
	return p, nil
}

// insideZones tells whether a host name, with or without a path, is one of the account's.
func (a *account) insideZones(domain string) bool {
	host, _, _ := strings.Cut(strings.ToLower(domain), "/")
	return validName(host, true) && slices.ContainsFunc(a.Zones, func(z zoneHead) bool {
		return host == z.Name || strings.HasSuffix(host, "."+z.Name)
	})
}
