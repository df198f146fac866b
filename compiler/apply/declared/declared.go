// Package declared lists what a site wants on every plane without asking any: the same objects that an apply would
// compare with what lives, with marks where a secret or a provider's id belongs. Two revisions of a site are compared
// by it, without credentials.
package declared

import (
	"context"
	"slices"

	"github.com/mailplan/mailplan/compiler/apply/accounts"
	"github.com/mailplan/mailplan/compiler/apply/dns"
	"github.com/mailplan/mailplan/compiler/apply/host"
	"github.com/mailplan/mailplan/compiler/model"
	"github.com/mailplan/mailplan/compiler/plan"
)

// Objects are the wanted ones, ordered by plane.
func Objects(ctx context.Context, s *model.Site, tree model.Tree) ([]plan.Object, error) {
	records := &dns.Plane{
		Site:      s,
		TunnelID:  func(context.Context, string) (string, error) { return "", nil },
		PublicKey: func(name string) (string, error) { return "<public key of " + name + ">", nil },
	}
	objects, err := records.Desired(ctx)
	if err != nil {
		return nil, err
	}
	h := &host.Host{Root: s.Host.Root, Secrets: func(name string) (string, error) { return model.SecretMark(name), nil }}
	files, err := h.Desired(tree, nil)
	if err != nil {
		return nil, err
	}
	rows := &accounts.Plane{Site: s, Secrets: func(name string) (string, error) { return name, nil }}
	people, err := rows.Desired(ctx)
	return slices.Concat(objects, files, people), err
}
