package live

import (
	"slices"

	"github.com/mailplan/mailplan/compiler/apply"
	"github.com/mailplan/mailplan/compiler/apply/cloudflare"
	"github.com/mailplan/mailplan/compiler/apply/edge"
	"github.com/mailplan/mailplan/compiler/apply/host"
	"github.com/mailplan/mailplan/compiler/apply/relay"
	"github.com/mailplan/mailplan/compiler/apply/tailnet"
	"github.com/mailplan/mailplan/compiler/plan"
	"github.com/mailplan/mailplan/compiler/secrets"
)

// planes makes all of the site's, in the order in which they are read: first the edge, last those that wait for the
// world outside. A plane that is not chosen needs no token.
func planes(o Options, store *secrets.Store, h *host.Host) ([]apply.Plane, error) {
	list, err := edgePlanes(o, store, h)
	if err != nil {
		return nil, err
	}
	list = append(list, &host.Plane{Host: h, Tree: o.Tree, Directories: o.Site.HostDirectories()})
	smarthost := &relay.Plane{Site: o.Site}
	if o.Site.Relay.Provider == "sendgrid" && o.chose(plan.Relay) {
		key, err := store.Value(o.Site.Relay.Password.Secret)
		if err != nil {
			return nil, err
		}
		smarthost.Client = &relay.Client{BaseURL: o.Env("MAILPLAN_SENDGRID_URL"), Key: key}
	}
	network, err := tailnetPlane(o, store)
	return append(list, smarthost, network), err
}

func edgePlanes(o Options, store *secrets.Store, h *host.Host) ([]apply.Plane, error) {
	if !o.chose(plan.Edge) {
		return nil, nil
	}
	token, err := store.Value(o.Site.Edge.Token.Secret)
	if err != nil {
		return nil, err
	}
	account := edge.New(edge.Config{Token: token, AccountID: o.Site.Edge.AccountID, BaseURL: o.Env("MAILPLAN_CLOUDFLARE_URL")})
	return cloudflare.Planes(o.Site, account, cloudflare.Secrets{Value: store.Value, PublicKey: store.PublicKey}, h.RoutesRef())
}

func tailnetPlane(o Options, store *secrets.Store) (*tailnet.Plane, error) {
	p := &tailnet.Plane{Site: o.Site}
	if o.Site.Tailnet == nil || !o.chose(plan.Tailnet) {
		return p, nil
	}
	secret, err := store.Value(o.Site.Tailnet.OAuth.Secret)
	if err != nil {
		return nil, err
	}
	p.Client, err = tailnet.NewClient(tailnet.Config{BaseURL: o.Env("MAILPLAN_TAILSCALE_URL"), Tailnet: o.Site.Tailnet.Name, Secret: secret})
	return p, err
}

// chose says whether a plane is among those to work on.
func (o Options) chose(p plan.Plane) bool {
	return len(o.Planes) == 0 || slices.Contains(o.Planes, string(p))
}
