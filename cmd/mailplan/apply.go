package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mailplan/mailplan/compiler"
	"github.com/mailplan/mailplan/compiler/apply"
	"github.com/mailplan/mailplan/compiler/plan"
	"github.com/mailplan/mailplan/compiler/revision"
)

func (c *cli) newApply() *cobra.Command {
	var o applying
	cmd := &cobra.Command{
		Use:   "apply [SITE]",
		Short: "Make what lives match the site",
		Long: `apply carries out what diff shows. A saved plan is refused if the site or anything it looked at has moved since.
Ctrl-C stops at the next step; run apply again to go on. Which secrets are due it tells at the end; one that is overdue does
not keep it from its work, but ends it with exit code 3 where the site says secrets: overdue: "fail".

  mailplan apply                    to the live planes, with the secrets beside the site
  mailplan apply --plane edge       one of them
  mailplan apply --sandbox /tmp/s   to stand-ins
  mailplan diff --sandbox /tmp/s --out plan.json; mailplan apply --sandbox /tmp/s --plan plan.json`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.apply(cmd.Context(), args, o)
		},
	}
	o.flags(cmd)
	cmd.Flags().StringVar(&o.saved, "plan", "", "apply this plan of diff --out and nothing else")
	return cmd
}

// applying is what an apply is told.
type applying struct {
	where
	allow   []string // rules and guards that do not stop it
	saved   string   // file of a saved plan
	confirm string   // the site's name, typed, for steps that can't be undone
}

func (o *applying) flags(cmd *cobra.Command) {
	o.where.flags(cmd)
	cmd.Flags().StringSliceVar(&o.allow, "allow", nil, "go on despite these rules and guards, each by its name")
	cmd.Flags().StringVar(&o.confirm, "confirm", "", "the site's name, when the plan has steps that can't be undone")
}

func (c *cli) apply(ctx context.Context, args []string, o applying) error {
	site, err := c.load(args, o.allow)
	if err != nil {
		return err
	}
	return c.ages(site.Model, c.converge(ctx, site, o))
}

// converge plans, guards and carries out, alone: another run at the same time is refused.
func (c *cli) converge(ctx context.Context, site *compiler.Site, o applying) (err error) {
	to, p, err := plans(ctx, site, o.where, holder())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	c.leaves(to)
	if o.saved != "" {
		if err := same(p, o.saved); err != nil {
			c.say("%v", err)
			return quit{exitRefused}
		}
	}
	if err := c.carryOut(ctx, site, to, p, o); err != nil {
		return err
	}
	c.history(site, to, o)
	return nil
}

// history lays the site's Git history on the host, for the backups. What was applied stays applied without it.
func (c *cli) history(site *compiler.Site, to opened, o applying) {
	if to.Run == nil {
		return // a sandbox
	}
	dir := cmp.Or(o.secrets, site.Source.Dir)
	if err := to.KeepHistory(revision.Head(dir), func() ([]byte, error) { return revision.Bundle(dir) }); err != nil {
		c.say("warning: the host has no history of the site for its backups: %v", err)
	}
}

// same refuses a saved plan that is not what would be planned now.
func same(now plan.Plan, file string) error {
	f, err := os.Open(file)
	if err != nil {
		return fmt.Errorf("open the plan: %w", err)
	}
	defer f.Close()
	saved, err := plan.Load(f)
	if err != nil {
		return err
	}
	return saved.Moved(now)
}

func (c *cli) carryOut(ctx context.Context, site *compiler.Site, to opened, p plan.Plan, o applying) error {
	cut, err := to.Journal.CutOff()
	if err != nil {
		return err
	}
	if cut != "" {
		c.say("%s; going on", cut)
	}
	if p.Empty() {
		c.say("nothing to do, %d objects are as declared", p.Unchanged)
		return nil
	}
	if err := p.Text(c.out, c.style(c.out)); err != nil {
		return err
	}
	if err := c.guard(ctx, to, p, o); err != nil {
		return err
	}
	start := time.Now()
	err = apply.Run(ctx, p, to.Planes, to.Journal, c.progress())
	c.clear()
	if err != nil {
		return err
	}
	c.say("%s in %.1fs", count(len(p.Changes), "change"), time.Since(start).Seconds())
	c.tour(site, to)
	return nil
}

// guard refuses what needs to be named, or typed, and was not.
func (c *cli) guard(ctx context.Context, to opened, p plan.Plan, o applying) error {
	refused := !c.backedUp(ctx, to, p, o)
	for _, r := range p.Refusals {
		if !slices.Contains(o.allow, r.Guard) {
			c.say("refused: %s", r)
			refused = true
		}
	}
	if len(p.Conflicts) > 0 {
		c.say("refused: %s in the way that mailplan did not make; take them away, or declare them", count(len(p.Conflicts), "object"))
		refused = true
	}
	if steps := p.Irreversible(); steps > 0 && !c.confirmed(p.Site, steps, o.confirm) {
		c.say("refused: %s can't be undone; --confirm %s says that you mean it", count(steps, "step"), p.Site)
		refused = true
	}
	if refused {
		c.say("nothing was changed")
		return quit{exitRefused}
	}
	return nil
}

// backedUp says whether a backup is known to work, where the plan puts data at risk that only a backup brings back.
func (c *cli) backedUp(ctx context.Context, to opened, p plan.Plan, o applying) bool {
	risks := p.Risks()
	if risks == nil || slices.Contains(o.allow, plan.GuardBackup) {
		return true
	}
	err := to.Backup(ctx)
	if err != nil {
		c.say("refused: %s, and no backup is known to work: %v; run mailpland drill on the host, or go on with --allow %s",
			strings.Join(risks, ", "), err, plan.GuardBackup)
	}
	return err == nil
}

// confirmed asks on a terminal; elsewhere --confirm must be given.
func (c *cli) confirmed(site string, steps int, given string) bool {
	if in, ok := c.in.(*os.File); given == "" && ok && terminal(in) && terminal(c.err) {
		fmt.Fprintf(c.err, "%s can't be undone. Type the site's name (%s) to go on: ", count(steps, "step"), site)
		given, _ = bufio.NewReader(in).ReadString('\n')
	}
	return strings.TrimSpace(given) == site
}

// progress shows the step under way, on a terminal only.
func (c *cli) progress() apply.Progress {
	if !terminal(c.err) {
		return func(int, int, plan.Change) {}
	}
	return func(done, total int, next plan.Change) {
		fmt.Fprintf(c.err, "\r\x1b[K%d/%d %s %s", done, total, next.Plane, next.ID)
	}
}

func (c *cli) clear() {
	if terminal(c.err) {
		fmt.Fprint(c.err, "\r\x1b[K")
	}
}
