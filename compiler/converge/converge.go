// Package converge is what a site is brought to, live or in a sandbox: the planes, the host on which the last apply left
// its word, and the journal. Package live and package sandbox assemble one each; from here on nobody asks which it is.
package converge

import (
	"context"
	"fmt"
	"slices"

	"github.com/mailplan/mailplan/compiler/apply"
	"github.com/mailplan/mailplan/compiler/apply/host"
	"github.com/mailplan/mailplan/compiler/emit/accounts"
	"github.com/mailplan/mailplan/compiler/model"
	"github.com/mailplan/mailplan/compiler/plan"
)

// Target is an open one, for one site.
type Target struct {
	Host    *host.Host
	Planes  []apply.Plane
	Journal *apply.Journal
	Left    []string // planes that are not here, and why
	// Backup says, as an error, why a backup of the live data is not known to work; nil is good.
	Backup func(ctx context.Context) error
	// Signers are the public keys, in base64, that signed the backups which the host keeps.
	Signers func(ctx context.Context) ([]string, error)
	// Run runs a program on the host and returns what it prints; nil where there is no host.
	Run host.Runner
}

// Plan compares it with the site.
func (t *Target) Plan(ctx context.Context, s *model.Site, revision, tree string) (plan.Plan, error) {
	r, err := t.request(s, revision, tree)
	if err != nil {
		return plan.Plan{}, err
	}
	return apply.Plan(ctx, r, t.Planes)
}

// Compare is Plan with what the planes have said already.
func (t *Target) Compare(s *model.Site, revision, tree string, said apply.State) (plan.Plan, error) {
	r, err := t.request(s, revision, tree)
	if err != nil {
		return plan.Plan{}, err
	}
	return apply.Compare(r, t.Planes, said)
}

func (t *Target) request(s *model.Site, revision, tree string) (apply.Request, error) {
	before, err := t.Accounts()
	return apply.Request{Site: s.Name, Revision: revision, Tree: tree, Before: before, After: s.Accounts()}, err
}

// Accounts are those of the last apply, as it left them on the host: none before the first.
func (t *Target) Accounts() (model.Accounts, error) {
	content, err := t.Host.Read(accounts.Path)
	if err != nil {
		return model.Accounts{}, fmt.Errorf("read what was applied last: %w", err)
	}
	return accounts.Parse(content)
}

// Only leaves out all planes but those that are named; no name leaves out none.
func (t *Target) Only(names []string) error {
	for _, n := range names {
		if !slices.ContainsFunc(t.Planes, func(p apply.Plane) bool { return string(p.Name()) == n }) {
			return fmt.Errorf("the site has no plane %q", n)
		}
	}
	t.Planes = slices.DeleteFunc(t.Planes, func(p apply.Plane) bool {
		return len(names) > 0 && !slices.Contains(names, string(p.Name()))
	})
	return nil
}
