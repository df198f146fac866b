package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/mailplan/mailplan/compiler"
	"github.com/mailplan/mailplan/compiler/apply"
	"github.com/mailplan/mailplan/compiler/plan"
	"github.com/mailplan/mailplan/compiler/sandbox"
)

func (c *cli) newApply() *cobra.Command {
	var dir, saved string
	var allow []string
	cmd := &cobra.Command{
		Use:   "apply [SITE]",
		Short: "Make what lives match the site",
		Long: `apply carries out what diff shows. A saved plan is refused if the site or anything it looked at has moved since.
Ctrl-C stops at the next step; run apply again to go on.

  mailplan apply --sandbox /tmp/s
  mailplan diff --sandbox /tmp/s --out plan.json; mailplan apply --sandbox /tmp/s --plan plan.json`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if dir == "" {
				return errors.New("apply to what? --sandbox DIR uses stand-ins for every outside system")
			}
			return c.apply(cmd.Context(), args, allow, dir, saved)
		},
	}
	cmd.Flags().StringSliceVar(&allow, "allow", nil, "go on despite these rules of severity error")
	cmd.Flags().StringVar(&dir, "sandbox", "", "folder with stand-ins for every outside system")
	cmd.Flags().StringVar(&saved, "plan", "", "apply this plan of diff --out and nothing else")
	return cmd
}

func (c *cli) apply(ctx context.Context, args, allow []string, dir, saved string) error {
	site, err := c.load(args, allow)
	if err != nil {
		return err
	}
	box, p, err := planSandbox(ctx, site, dir)
	if err != nil {
		return err
	}
	if saved != "" {
		if err := same(p, saved); err != nil {
			c.say("%v", err)
			return quit{exitRefused}
		}
	}
	return c.carryOut(ctx, site, box, p)
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

func (c *cli) carryOut(ctx context.Context, site *compiler.Site, box *sandbox.Sandbox, p plan.Plan) error {
	cut, err := box.Journal.CutOff()
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
	if len(p.Conflicts) > 0 {
		c.say("nothing was changed: take the objects away, or declare them")
		return quit{exitRefused}
	}
	start := time.Now()
	err = apply.Run(ctx, p, box.Planes, box.Journal, c.progress())
	c.clear()
	if err != nil {
		return err
	}
	c.say("%s in %.1fs", count(len(p.Changes), "change"), time.Since(start).Seconds())
	c.tour(site, box)
	return nil
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
