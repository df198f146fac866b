package main

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/mailplan/mailplan/compiler"
	"github.com/mailplan/mailplan/compiler/apply/containers"
	"github.com/mailplan/mailplan/compiler/apply/declared"
	"github.com/mailplan/mailplan/compiler/apply/host"
	"github.com/mailplan/mailplan/compiler/model"
	"github.com/mailplan/mailplan/compiler/plan"
	"github.com/mailplan/mailplan/compiler/revision"
)

// side is one of two compared revisions.
type side struct {
	site    *compiler.Site
	tree    model.Tree
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
	p, err := plan.New(after.site.Model.Name, rev, compiler.Digest(after.tree), before.objects, after.objects)
	if err != nil {
		return p, err
	}
	if err := notes(p.Changes, after); err != nil {
		return p, err
	}
	p.Headline = plan.NewHeadline(before.site.Model.Accounts(), after.site.Model.Accounts(), p.Changes...)
	p.LocateBoth(func(path string) string { return line(before.site, path) }, func(path string) string { return line(after.site, path) })
	return p, nil
}

// notes says what changes come to for the services, as an apply would.
func notes(changes []plan.Change, to side) error {
	services := &containers.Plane{Host: &host.Host{Root: to.site.Model.Host.Root}, Tree: to.tree}
	if err := services.Read(); err != nil {
		return err
	}
	for i, c := range changes {
		if c.Plane == plan.Containers {
			services.Note(&changes[i])
		}
	}
	return nil
}

// declaredAt loads the site at a revision; an empty one means the files as they are.
func declaredAt(ctx context.Context, dir, name string) (side, string, error) {
	if name == "" {
		site, err := compiler.Load(dir)
		if err != nil {
			return side{}, "", err
		}
		s, err := wanted(ctx, site)
		return s, "", err
	}
	fsys, hash, err := revision.Open(dir, name)
	if err != nil {
		return side{}, "", err
	}
	site, err := compiler.LoadFS(fsys, name+":"+filepath.Clean(dir))
	if err != nil {
		return side{}, "", fmt.Errorf("the site at %s:\n%w", name, err)
	}
	s, err := wanted(ctx, site)
	return s, hash, err
}

// wanted lists what the site wants on every plane.
func wanted(ctx context.Context, site *compiler.Site) (side, error) {
	tree, err := site.Tree()
	if err != nil {
		return side{}, err
	}
	objects, err := declared.Objects(ctx, site.Model, tree)
	return side{site: site, tree: tree, objects: objects}, err
}

// head is the commit of the site's folder.
func head(site *compiler.Site) string { return revision.Head(site.Source.Dir) }
