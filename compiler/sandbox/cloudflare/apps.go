package cloudflare

import (
	"net/http"
	"slices"
	"time"
)

// accessApp is a self-hosted application behind Access.
type accessApp struct {
	ID              string         `json:"id"`
	AUD             string         `json:"aud"`
	Name            string         `json:"name"`
	Type            string         `json:"type"`
	Domain          string         `json:"domain"`
	Destinations    []destination  `json:"destinations"`
	SessionDuration string         `json:"session_duration"`
	Policies        []policyLink   `json:"policies"`
	Settings        map[string]any `json:"settings"`
	Created         time.Time      `json:"created_at"`
	Updated         time.Time      `json:"updated_at"`
}

type destination struct {
	Type string `json:"type"`
	URI  string `json:"uri"`
}

// policyLink puts a reusable policy into an application.
type policyLink struct {
	ID         string `json:"id"`
	Precedence int    `json:"precedence"`
}

// appFlags are the settings that are only kept, with the provider's defaults.
var appFlags = map[string]bool{
	"app_launcher_visible": true, "service_auth_401_redirect": false, "skip_interstitial": false,
	"http_only_cookie_attribute": true, "enable_binding_cookie": false, "auto_redirect_to_identity": false,
	"path_cookie_attribute": false, "options_preflight_bypass": false,
}

func (p accessApp) view(a *account) map[string]any {
	policies := []map[string]any{}
	for _, l := range p.Policies {
		i := slices.IndexFunc(a.Policies, func(o accessPolicy) bool { return o.ID == l.ID })
		if i >= 0 {
			o := a.Policies[i]
			policies = append(policies, map[string]any{
				"id": o.ID, "name": o.Name, "decision": o.Decision, "include": o.Include, "require": o.Require,
				"exclude": o.Exclude, "reusable": true, "precedence": l.Precedence,
			})
		}
	}
	v := map[string]any{
		"id": p.ID, "uid": p.ID, "aud": p.AUD, "name": p.Name, "type": p.Type, "domain": p.Domain,
		"destinations": p.Destinations, "session_duration": p.SessionDuration, "policies": policies,
		"allowed_idps": []string{}, "tags": []string{}, "created_at": p.Created, "updated_at": p.Updated,
	}
	for name, value := range p.Settings {
		v[name] = value
	}
	return v
}

// decodeApp reads and validates an application; PUT replaces every field.
func decodeApp(c *call, a *account) (accessApp, error) {
	var in map[string]any
	if err := c.decode(&in); err != nil {
		return accessApp{}, err
	}
	app := accessApp{SessionDuration: "24h", Settings: map[string]any{}, Destinations: []destination{}, Policies: []policyLink{}, Updated: c.s.now()}
	for name, usual := range appFlags {
		app.Settings[name] = usual
	}
	for name, v := range in {
		if err := app.take(name, v); err != nil {
			return app, err
		}
	}
	return app, app.check(a)
}

// take stores one field of the input.
func (p *accessApp) take(name string, v any) error {
	s, isText := v.(string)
	flag, isFlag := v.(bool)
	_, known := appFlags[name]
	items, isList := v.([]any)
	switch {
	case name == "name" && isText:
		p.Name = s
	case name == "type" && isText:
		p.Type = s
	case name == "domain" && isText:
		p.Domain = s
	case name == "session_duration" && isText:
		p.SessionDuration = s
	case known && isFlag:
		p.Settings[name] = flag
	case name == "policies" && isList:
		return p.link(items)
	case name == "destinations" && isList:
		for _, item := range items {
			m, _ := item.(map[string]any)
			kind, _ := m["type"].(string)
			uri, _ := m["uri"].(string)
			p.Destinations = append(p.Destinations, destination{kind, uri})
		}
	case name == "allowed_idps" && isList, name == "tags" && isList:
	default:
		return refuse(12130, "access.api.error.invalid_request: field %q is not valid", name)
	}
	return nil
}

// link reads policies given as ids or as {id, precedence}.
func (p *accessApp) link(items []any) error {
	for i, item := range items {
		l := policyLink{Precedence: i + 1}
		switch item := item.(type) {
		case string:
			l.ID = item
		case map[string]any:
			l.ID, _ = item["id"].(string)
			if n, ok := item["precedence"].(float64); ok {
				l.Precedence = int(n)
			}
		}
		if l.ID == "" {
			return refuse(12130, "access.api.error.invalid_request: a policy link needs an id")
		}
		p.Policies = append(p.Policies, l)
	}
	return nil
}

func (p *accessApp) check(a *account) error {
	if p.Type != "self_hosted" {
		return refuse(12130, "access.api.error.invalid_request: type %q is not supported here", p.Type)
	}
	if _, err := time.ParseDuration(p.SessionDuration); err != nil {
		return refuse(12130, "access.api.error.invalid_request: session_duration %q is not valid", p.SessionDuration)
	}
	for _, d := range append([]destination{{"public", p.Domain}}, p.Destinations...) {
		if d.Type != "public" || !a.insideZones(d.URI) {
			return refuse(12130, "access.api.error.invalid_request: domain %q does not belong to a zone of the account", d.URI)
		}
	}
	for _, l := range p.Policies {
		if !slices.ContainsFunc(a.Policies, func(o accessPolicy) bool { return o.ID == l.ID }) {
			return refuse(12130, "access.api.error.invalid_request: policy %s does not exist", l.ID)
		}
	}
	if len(p.Destinations) == 0 {
		p.Destinations = []destination{{"public", p.Domain}}
	}
	return nil
}

func listApps(c *call) (any, error) {
	a, err := c.ownAccount(false)
	if err != nil {
		return nil, err
	}
	views := []map[string]any{}
	for _, app := range a.Apps {
		views = append(views, app.view(a))
	}
	return listed(views, 1, 1000, 25), nil
}

func createApp(c *call) (any, error) {
	a, err := c.ownAccount(true)
	if err != nil {
		return nil, err
	}
	app, err := decodeApp(c, a)
	if err != nil {
		return nil, err
	}
	if slices.ContainsFunc(a.Apps, func(o accessApp) bool { return o.Domain == app.Domain }) {
		return nil, conflict(11010, "access.api.error.application_already_exists")
	}
	app.ID, app.AUD, app.Created = newUUID(), newID()+newID(), app.Updated
	a.Apps = append(a.Apps, app)
	return app.view(a), nil
}

// changeApp reads, replaces (PUT) or deletes an application.
func changeApp(c *call) (any, error) {
	a, err := c.ownAccount(c.r.Method != http.MethodGet)
	if err != nil {
		return nil, err
	}
	id := c.r.PathValue("id")
	i := slices.IndexFunc(a.Apps, func(o accessApp) bool { return o.ID == id })
	if i < 0 {
		return nil, notFound(11021, "access.api.error.application_not_found")
	}
	switch c.r.Method {
	case http.MethodGet:
		return a.Apps[i].view(a), nil
	case http.MethodDelete:
		a.Apps = slices.Delete(a.Apps, i, i+1)
		return deleted{id}, nil
	}
	app, err := decodeApp(c, a)
	if err != nil {
		return nil, err
	}
	app.ID, app.AUD, app.Created = id, a.Apps[i].AUD, a.Apps[i].Created
	a.Apps[i] = app
	return app.view(a), nil
}
