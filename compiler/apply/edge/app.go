package edge

import "context"

// App is a self-hosted web application behind Access.
type App struct {
	ID   string
	Name string
	// Domain is the host name, with a path if only that is guarded.
	Domain string
	// Type is self_hosted for those that mailplan makes; others are shown only.
	Type string
	// SessionDuration is a Go duration such as 24h.
	SessionDuration string
	// Policies are the identifiers of reusable policies, in order.
	Policies []string
	// Unauthorized401 answers machines with 401 where people are redirected.
	Unauthorized401 bool
	// Launcher shows the application in the account's app launcher.
	Launcher bool
	// AUD is the audience of the tokens that Access adds. It is read only.
	AUD string
}

type wireApp struct {
	ID              string           `json:"id,omitempty"`
	AUD             string           `json:"aud,omitempty"`
	Name            string           `json:"name"`
	Domain          string           `json:"domain"`
	Type            string           `json:"type"`
	SessionDuration string           `json:"session_duration"`
	Policies        []wirePolicyLink `json:"policies"`
	Unauthorized401 bool             `json:"service_auth_401_redirect"`
	Launcher        bool             `json:"app_launcher_visible"`
	HTTPOnly        bool             `json:"http_only_cookie_attribute"`
}

type wirePolicyLink struct {
	ID         string `json:"id"`
	Precedence int    `json:"precedence"`
}

func (w wireApp) app() App {
	a := App{
		ID: w.ID, Name: w.Name, Domain: w.Domain, Type: w.Type, SessionDuration: w.SessionDuration,
		Unauthorized401: w.Unauthorized401, Launcher: w.Launcher, AUD: w.AUD,
	}
	for _, l := range w.Policies {
		a.Policies = append(a.Policies, l.ID)
	}
	return a
}

func (a App) body() wireApp {
	w := wireApp{
		Name: a.Name, Domain: a.Domain, Type: "self_hosted", SessionDuration: orDefault(a.SessionDuration, "24h"),
		Unauthorized401: a.Unauthorized401, Launcher: a.Launcher, HTTPOnly: true, Policies: []wirePolicyLink{},
	}
	for i, id := range a.Policies {
		w.Policies = append(w.Policies, wirePolicyLink{id, i + 1})
	}
	return w
}

// Apps lists the account's Access applications.
func (e *Edge) Apps(ctx context.Context) ([]App, error) {
	items, err := directList[wireApp](ctx, e, accessPerPage, e.below("access/apps?"))
	all := make([]App, len(items))
	for i, item := range items {
		all[i] = item.app()
	}
	return all, naming(err, "list access applications")
}

// CreateApp puts a host name behind Access.
func (e *Edge) CreateApp(ctx context.Context, want App) (App, error) {
	made, err := create(ctx, e, creation[App]{unique: true,
		post: func() (App, error) {
			w, err := direct[wireApp](ctx, e, "POST", e.below("access/apps"), want.body())
			return w.app(), err
		},
		find: func() (App, bool, error) {
			return findIn(e.Apps(ctx))(func(a App) bool { return a.Domain == want.Domain })
		},
	})
	return made, naming(err, "create access application %s", want.Domain)
}

// UpdateApp replaces an application's settings and policies.
func (e *Edge) UpdateApp(ctx context.Context, want App) error {
	_, err := e.wire.send(ctx, "PUT", e.below("access/apps/%s", want.ID), want.body())
	return naming(err, "update access application %s", want.Domain)
}

// DeleteApp takes a host name out of Access: it is then open to everyone.
func (e *Edge) DeleteApp(ctx context.Context, a App) error {
	_, err := e.wire.send(ctx, "DELETE", e.below("access/apps/%s", a.ID), nil)
	return naming(removed(err), "delete access application %s", a.Domain)
}
