package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/mailplan/mailplan/compiler"
	"github.com/mailplan/mailplan/compiler/converge"
	"github.com/mailplan/mailplan/compiler/live"
	"github.com/mailplan/mailplan/compiler/model"
	"github.com/mailplan/mailplan/compiler/plan"
	"github.com/mailplan/mailplan/compiler/sandbox"
)

// where says what a site is compared with and brought to: the live planes, or a sandbox.
type where struct {
	sandbox string
	planes  []string // only these
	secrets string   // folder of the secrets, where it is not the site's
}

func (w *where) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&w.sandbox, "sandbox", "", "folder with stand-ins for every outside system")
	cmd.Flags().StringSliceVar(&w.planes, "plane", nil, "only these planes, such as host or edge; the host is read in any case")
}

// opened is a target with what it takes to close it. Dir is a sandbox's folder.
type opened struct {
	*converge.Target
	dir    string
	closer func() error
}

func (o opened) Close() error { return o.closer() }

// open reaches the target. Holder is who is going to change it, and keeps others off until Close; empty only looks.
func open(ctx context.Context, site *compiler.Site, tree model.Tree, w where, holder string) (opened, error) {
	if w.sandbox == "" {
		dir := site.Source.Dir
		if w.secrets != "" {
			dir = w.secrets
		}
		self, err := os.Executable()
		if err != nil {
			return opened{}, err
		}
		t, err := live.Open(ctx, live.Options{Dir: dir, Site: site.Model, Tree: tree, Planes: w.planes, Holder: holder, Env: os.Getenv,
			Programs: filepath.Dir(self)})
		if err != nil {
			return opened{}, err
		}
		return opened{Target: t.Target, closer: t.Close}, nil
	}
	unlock := func() {}
	if holder != "" {
		var err error
		if unlock, err = sandbox.Lock(w.sandbox, holder); err != nil {
			return opened{}, err
		}
	}
	box, err := sandbox.Open(w.sandbox, site.Model, tree)
	if err == nil {
		err = box.Only(w.planes)
	}
	if err != nil {
		unlock()
		return opened{}, err
	}
	return opened{Target: box.Target, dir: box.Dir, closer: func() error { unlock(); return nil }}, nil
}

// plans opens the target and compares it with the site.
func plans(ctx context.Context, site *compiler.Site, w where, holder string) (opened, plan.Plan, error) {
	tree, err := site.Tree()
	if err != nil {
		return opened{}, plan.Plan{}, err
	}
	to, err := open(ctx, site, tree, w, holder)
	if err != nil {
		return to, plan.Plan{}, err
	}
	p, err := to.Plan(ctx, site.Model, head(site), compiler.Digest(tree))
	if err != nil {
		return to, p, errors.Join(err, to.Close())
	}
	p.Locate(func(path string) string { return line(site, path) })
	return to, p, nil
}

// leaves says which planes are not looked at.
func (c *cli) leaves(o opened) {
	for _, why := range o.Left {
		c.say("%s", why)
	}
}

// holder tells others who is at work.
func holder() string {
	name, machine := "somebody", "some machine"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	if h, err := os.Hostname(); err == nil {
		machine = h
	}
	return fmt.Sprintf("%s on %s, process %d, since %s", name, machine, os.Getpid(), time.Now().Format("15:04:05 on 2 January"))
}
