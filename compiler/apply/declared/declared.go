// Package declared lists what a site wants on every plane without asking any: the same objects that an apply would
// compare with what lives, with marks where a secret or a provider's id belongs. Two revisions of a site are compared
// by it, without credentials.
package declared

import (
	"context"
	"slices"

	"github.com/mailplan/mailplan/compiler/apply/accounts"
	"github.com/mailplan/mailplan/compiler/apply/cloud"
	"github.com/mailplan/mailplan/compiler/apply/cloudflare"
	"github.com/mailplan/mailplan/compiler/apply/containers"
	"github.com/mailplan/mailplan/compiler/apply/host"
	"github.com/mailplan/mailplan/compiler/apply/relay"
	"github.com/mailplan/mailplan/compiler/apply/tailnet"
	"github.com/mailplan/mailplan/compiler/model"
	"github.com/mailplan/mailplan/compiler/plan"
)

// Objects are the wanted ones, ordered by plane.
func Objects(ctx context.Context, s *model.Site, tree model.Tree) ([]plan.Object, error) {
	secret := func(name string) (string, error) { return model.SecretMark(name), nil }
	key := func(name string) (string, error) { return "<public key of " + name + ">", nil }
	objects, err := cloudflare.Declared(ctx, s, cloudflare.Secrets{Value: secret, PublicKey: key})
	if err != nil {
		return nil, err
	}
	h := &host.Host{Root: s.Host.Root, Secrets: secret}
	files, err := h.Desired(tree, s.HostDirectories())
	if err != nil {
		return nil, err
	}
	services, err := (&containers.Plane{Host: h, Tree: tree}).Desired(ctx)
	if err != nil {
		return nil, err
	}
	rows := &accounts.Plane{Site: s, Keys: [][]byte{nil}, Secrets: func(name string) (string, error) { return name, nil }}
	people, err := rows.Desired(ctx)
	if err != nil {
		return nil, err
	}
	domains, err := (&relay.Plane{Site: s}).Desired(ctx)
	if err != nil {
		return nil, err
	}
	offsite, err := cloud.Declared(s)
	if err != nil {
		return nil, err
	}
	network, err := (&tailnet.Plane{Site: s}).Desired(ctx)
	return slices.Concat(objects, files, services, people, domains, offsite, network), err
}
