package edge

import (
	"context"
	"encoding/json"
	"time"
)

// accessPerPage is within the bound of every list of Access.
const accessPerPage = 100

// ServiceToken lets a machine pass Access.
type ServiceToken struct {
	ID       string `json:"id"`
	Name     string `json:"name"`
	ClientID string `json:"client_id"`
	// Duration is a Go duration such as 8760h.
	Duration string    `json:"duration"`
	Expires  time.Time `json:"expires_at"`
}

// wireSecret is the answer of the calls that show a secret, once.
type wireSecret struct {
	ServiceToken
	Secret string `json:"client_secret"`
}

// ServiceTokens lists the account's service tokens.
func (e *Edge) ServiceTokens(ctx context.Context) ([]ServiceToken, error) {
	all, err := directList[ServiceToken](ctx, e, accessPerPage, e.below("access/service_tokens?"))
	return all, naming(err, "list service tokens")
}

// CreateServiceToken makes a token and returns its secret, which can't be read
// again. When the answer was lost it finds the token and rotates its secret.
func (e *Edge) CreateServiceToken(ctx context.Context, name, duration string) (ServiceToken, string, error) {
	body := map[string]string{"name": name}
	if duration != "" {
		body["duration"] = duration
	}
	made, err := create(ctx, e, creation[wireSecret]{
		post: func() (wireSecret, error) {
			return direct[wireSecret](ctx, e, "POST", e.below("access/service_tokens"), body)
		},
		find: func() (wireSecret, bool, error) {
			t, ok, err := findIn(e.ServiceTokens(ctx))(func(t ServiceToken) bool { return t.Name == name })
			return wireSecret{ServiceToken: t}, ok, err
		},
	})
	if err == nil && made.Secret == "" {
		made.Secret, err = e.RotateServiceToken(ctx, made.ServiceToken, time.Time{})
	}
	return made.ServiceToken, made.Secret, naming(err, "create service token %s", name)
}

// RotateServiceToken gives a token a new secret and returns it. The old one
// stays valid until then, or ends at once when until is zero.
func (e *Edge) RotateServiceToken(ctx context.Context, t ServiceToken, until time.Time) (secret string, err error) {
	body := struct {
		Until time.Time `json:"previous_client_secret_expires_at,omitzero"`
	}{until}
	// Rotating twice is harmless as long as the last answer arrives.
	err = again(ctx, e, func() error {
		w, err := direct[wireSecret](ctx, e, "POST", e.below("access/service_tokens/%s/rotate", t.ID), body)
		secret = w.Secret
		return err
	})
	return secret, naming(err, "rotate service token %s", t.Name)
}

// SetServiceTokenDuration changes for how long a token's secret is valid.
func (e *Edge) SetServiceTokenDuration(ctx context.Context, t ServiceToken, duration string) error {
	body := map[string]string{"name": t.Name, "duration": duration}
	_, err := e.wire.send(ctx, "PUT", e.below("access/service_tokens/%s", t.ID), body)
	return naming(err, "update service token %s", t.Name)
}

// DeleteServiceToken removes a token; the provider refuses while a policy
// names it.
func (e *Edge) DeleteServiceToken(ctx context.Context, t ServiceToken) error {
	_, err := e.wire.send(ctx, "DELETE", e.below("access/service_tokens/%s", t.ID), nil)
	return naming(removed(err), "delete service token %s", t.Name)
}

// AccessPolicy is a reusable policy.
type AccessPolicy struct {
	ID   string `json:"id,omitempty"`
	Name string `json:"name"`
	// Decision is allow, deny, non_identity (for machines) or bypass.
	Decision string       `json:"decision"`
	Include  []AccessRule `json:"include"`
	Require  []AccessRule `json:"require"`
	Exclude  []AccessRule `json:"exclude"`
}

// AccessRule is one condition. Kinds that mailplan does not know are kept with
// their value as JSON.
type AccessRule struct {
	// Kind is email, email_domain, ip, everyone, group, service_token or
	// any_valid_service_token.
	Kind string
	// Value is the address, domain, network or identifier; empty for the kinds
	// that need none.
	Value string
}

// accessField names the field of each kind's value.
var accessField = map[string]string{
	"email": "email", "email_domain": "domain", "ip": "ip", "group": "id", "service_token": "token_id",
	"everyone": "", "any_valid_service_token": "",
}

// MarshalJSON spells a rule as {"email":{"email":"ann@example.com"}}.
func (r AccessRule) MarshalJSON() ([]byte, error) {
	field, known := accessField[r.Kind]
	switch {
	case !known:
		return json.Marshal(map[string]json.RawMessage{r.Kind: json.RawMessage(r.Value)})
	case field == "":
		return json.Marshal(map[string]any{r.Kind: map[string]string{}})
	}
	return json.Marshal(map[string]any{r.Kind: map[string]string{field: r.Value}})
}

// UnmarshalJSON reads what MarshalJSON writes.
func (r *AccessRule) UnmarshalJSON(b []byte) error {
	var kinds map[string]json.RawMessage
	if err := json.Unmarshal(b, &kinds); err != nil {
		return err
	}
	for kind, raw := range kinds {
		*r = AccessRule{Kind: kind, Value: string(raw)}
		field, known := accessField[kind]
		if !known {
			return nil
		}
		var value map[string]any
		if err := json.Unmarshal(raw, &value); err != nil {
			return err
		}
		r.Value, _ = value[field].(string)
	}
	return nil
}

// AccessPolicies lists the account's reusable policies.
func (e *Edge) AccessPolicies(ctx context.Context) ([]AccessPolicy, error) {
	all, err := directList[AccessPolicy](ctx, e, accessPerPage, e.below("access/policies?"))
	return all, naming(err, "list access policies")
}

// CreateAccessPolicy makes a reusable policy.
func (e *Edge) CreateAccessPolicy(ctx context.Context, want AccessPolicy) (AccessPolicy, error) {
	made, err := create(ctx, e, creation[AccessPolicy]{
		post: func() (AccessPolicy, error) {
			return direct[AccessPolicy](ctx, e, "POST", e.below("access/policies"), want.body())
		},
		find: func() (AccessPolicy, bool, error) {
			return findIn(e.AccessPolicies(ctx))(func(o AccessPolicy) bool { return o.Name == want.Name })
		},
	})
	return made, naming(err, "create access policy %s", want.Name)
}

// body spells the policy with its empty lists, for an update replaces all.
func (p AccessPolicy) body() AccessPolicy {
	p.ID = ""
	p.Require = append([]AccessRule{}, p.Require...)
	p.Exclude = append([]AccessRule{}, p.Exclude...)
	return p
}

// UpdateAccessPolicy replaces a policy.
func (e *Edge) UpdateAccessPolicy(ctx context.Context, want AccessPolicy) error {
	_, err := e.wire.send(ctx, "PUT", e.below("access/policies/%s", want.ID), want.body())
	return naming(err, "update access policy %s", want.Name)
}

// DeleteAccessPolicy removes a policy; the provider refuses while an
// application uses it.
func (e *Edge) DeleteAccessPolicy(ctx context.Context, policy AccessPolicy) error {
	_, err := e.wire.send(ctx, "DELETE", e.below("access/policies/%s", policy.ID), nil)
	return naming(removed(err), "delete access policy %s", policy.Name)
}
