package cloudflare

import (
	"context"
	"errors"
	"fmt"

	"github.com/mailplan/mailplan/compiler/apply"
	"github.com/mailplan/mailplan/compiler/apply/edge"
	"github.com/mailplan/mailplan/compiler/apply/host"
	"github.com/mailplan/mailplan/compiler/apply/tunnel"
	"github.com/mailplan/mailplan/compiler/emit/cloudflare"
	"github.com/mailplan/mailplan/compiler/model"
)

// WithToken is value, and where value does not have the token of the site's tunnel, what the account says of it. Planes
// are those that make the tunnel; without them, for a run that leaves the edge alone, the tunnel must be there already.
func WithToken(ctx context.Context, s *model.Site, e *edge.Edge, planes []apply.Plane, value func(name string) (string, error)) (func(name string) (string, error), error) {
	want, err := cloudflare.State(s)
	if err != nil {
		return nil, err
	}
	pipe, makes := &tunnel.Plane{Want: want.Tunnel, Edge: e}, false
	for _, p := range planes {
		if t, ok := p.(*tunnel.Plane); ok {
			pipe, makes = t, true
		}
	}
	return func(name string) (string, error) {
		v, err := value(name)
		if err == nil || name != s.Edge.Tunnel.Token.Secret {
			return v, err
		}
		if e == nil {
			return "", err
		}
		token, ok, err := pipe.Token(ctx)
		switch {
		case err != nil:
			return "", fmt.Errorf("the token of the tunnel: %w", err)
		case ok:
			return token, nil
		case makes:
			return "", host.Later{What: "the token of tunnel " + want.Tunnel.Name, Of: tunnel.Ref(want.Tunnel.Name)}
		}
		return "", errors.New("the token of a tunnel that is still to be made: apply the edge with it")
	}, nil
}
