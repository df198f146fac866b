package main

import (
	"context"
	"fmt"

	"github.com/mailplan/mailplan/compiler"
	"github.com/mailplan/mailplan/compiler/apply/dns"
	"github.com/mailplan/mailplan/compiler/apply/host"
	"github.com/mailplan/mailplan/compiler/check"
	"github.com/mailplan/mailplan/compiler/model"
	"github.com/mailplan/mailplan/compiler/plan"
	"github.com/mailplan/mailplan/compiler/revision"
)

// side is one of two compared revisions.
type side struct {
	site    *compiler.Site
	digest  string
	objects []plan.Object
}

// planRevisions compares what two revisions declare. It needs no credentials: secrets and ids stay marks.
func (c *cli) planRevisions(ctx context.Context, args []string, t target) (plan.Plan, error) {
	dir, err := siteDir(args)
	if err != nil {
		return plan.Plan{}, err
	}
	before, _, err := declaredAt(ctx, dir, t.from)
	if err != nil {
		return plan.Plan{}, err
	}
	after, rev, err := declaredAt(ctx, dir, t.to)
	if err != nil {
		return plan.Plan{}, err
	}
	if check.Failed(after.site.Findings) {
		c.tellFindings(c.err, after.site, onlyErrors(after.site.Findings))
	}
	p := plan.New(after.site.Model.Name, rev, after.digest, before.objects, after.objects)
	p.Headline = plan.NewHeadline(before.site.Model.Accounts(), after.site.Model.Accounts())
	p.LocateBoth(func(path string) string { return line(before.site, path) }, func(path string) string { return line(after.site, path) })
	return p, nil
}

// declaredAt loads the site at a revision; an empty one means the files as they are.
func declaredAt(ctx context.Context, dir, name string) (side, string, error) {
	if name == "" {
		site, err := compiler.Load(dir)
		if err != nil {
			return side{}, "", err
		}
		s, err := declared(ctx, site)
		return s, "", err
	}
	fsys, hash, err := revision.Open(dir, name)
	if err != nil {
		return side{}, "", err
	}
	site, err := compiler.LoadFS(fsys, name+":"+dir)
	if err != nil {
		return side{}, "", fmt.Errorf("the site at %s:\n%w", name, err)
	}
	s, err := declared(ctx, site)
	return s, hash, err
}

// declared lists what the site wants on every plane.
func declared(ctx context.Context, site *compiler.Site) (side, error) {
	tree, err := site.Tree()
	if err != nil {
		return side{}, err
	}
	h := &host.Host{Root: site.Model.Host.Root, Secrets: func(name string) (string, error) { return model.SecretMark(name), nil }}
	files, err := h.Desired(tree, nil)
	if err != nil {
		return side{}, err
	}
	records := &dns.Plane{
		Site:      site.Model,
		TunnelID:  func(context.Context, string) (string, error) { return "", nil },
		PublicKey: func(name string) (string, error) { return "<public key of " + name + ">", nil },
	}
	objects, err := records.Desired(ctx)
	return side{site: site, digest: compiler.Digest(tree), objects: append(objects, files...)}, err
}

// head is the commit of the site's folder.
func head(site *compiler.Site) string { return revision.Head(site.Source.Dir) }
