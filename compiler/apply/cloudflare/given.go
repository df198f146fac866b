package cloudflare

import (
	"context"
	"fmt"

	"github.com/mailplan/mailplan/compiler/apply"
	"github.com/mailplan/mailplan/compiler/apply/access"
	"github.com/mailplan/mailplan/compiler/apply/edge"
	"github.com/mailplan/mailplan/compiler/apply/host"
	"github.com/mailplan/mailplan/compiler/apply/tunnel"
	"github.com/mailplan/mailplan/compiler/emit/cloudflare"
	"github.com/mailplan/mailplan/compiler/model"
)

// given is a value that only the account knows, of something that the site makes there.
type given struct {
	what, of string // what it is in words, and the reference of what has it
	read     func(ctx context.Context) (value string, ok bool, err error)
}

// WithGiven is value, and where value does not have the token of the site's tunnel or the AUD tag of its console, what the
// account says of them. Planes are those that make the two; without them, for a run that leaves the edge alone, both must be
// there already.
func WithGiven(ctx context.Context, s *model.Site, e *edge.Edge, planes []apply.Plane, value func(name string) (string, error)) (func(name string) (string, error), error) {
	want, err := cloudflare.State(s)
	if err != nil {
		return nil, err
	}
	pipe, guard := &tunnel.Plane{Want: want.Tunnel, Edge: e}, &access.Plane{Site: s.Name, Want: want.Access, Edge: e}
	for _, p := range planes {
		switch p := p.(type) {
		case *tunnel.Plane:
			pipe = p
		case *access.Plane:
			guard = p
		}
	}
	console := s.Edge.Tunnel.Hostnames.Console
	values := map[string]given{
		s.Edge.Tunnel.Token.Secret: {"the token of tunnel " + want.Tunnel.Name, tunnel.Ref(want.Tunnel.Name), pipe.Token},
		model.GivenAudience: {"the AUD tag of " + console, access.AppRef(console),
			func(ctx context.Context) (string, bool, error) { return guard.Audience(ctx, console) }},
	}
	return func(name string) (string, error) {
		v, err := value(name)
		if g, ok := values[name]; ok && err != nil && e != nil {
			return g.value(ctx, len(planes) > 0)
		}
		return v, err
	}, nil
}

// value is what the account says now, or, where a step of the plan makes it, that it is there later.
func (g given) value(ctx context.Context, made bool) (string, error) {
	v, ok, err := g.read(ctx)
	switch {
	case err != nil:
		return "", fmt.Errorf("%s: %w", g.what, err)
	case ok:
		return v, nil
	case made:
		return "", host.Later{What: g.what, Of: g.of}
	}
	return "", fmt.Errorf("%s, which is still to be made: apply the edge with it", g.what)
}
