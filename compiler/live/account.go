package live

import (
	"github.com/mailplan/mailplan/compiler/apply/edge"
	"github.com/mailplan/mailplan/compiler/secrets"
)

// Account is the site's account at the edge alone, for what is no plane. It makes no request.
func Account(o Options) (*edge.Edge, error) {
	store, err := secrets.Open(o.Dir, o.Site, o.Env)
	if err != nil {
		return nil, err
	}
	token, err := store.Value(o.Site.Edge.Token.Secret)
	if err != nil {
		return nil, err
	}
	return edge.New(edge.Config{Token: token, AccountID: o.Site.Edge.AccountID, BaseURL: o.Env("MAILPLAN_CLOUDFLARE_URL")}), nil
}
