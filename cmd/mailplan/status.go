package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/mailplan/mailplan/compiler"
	"github.com/mailplan/mailplan/compiler/apply"
	"github.com/mailplan/mailplan/compiler/plan"
)

func (c *cli) newStatus() *cobra.Command {
	var w where
	var asJSON, tell bool
	cmd := &cobra.Command{
		Use:   "status [SITE]",
		Short: "Say whether everything is as declared, and only what is not",
		Long: `status is for cron: it is silent and ends with 0 when all planes are as declared, and names drift with exit code 2.
What no plan mends, such as a key of the tailnet that runs out or a secret that is due, it tells as a warning on stderr. A
secret that is overdue ends it with exit code 3 where the site says secrets: overdue: "fail".

With --tell the host keeps what was found, and what waits in the spool, for administrators to see in the console.

  mailplan status
  mailplan status --tell
  mailplan status --sandbox /tmp/s`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			site, p, found, err := c.look(cmd.Context(), args, w, tell)
			if err != nil {
				return err
			}
			return c.ages(site.Model, c.drift(p, found, asJSON))
		},
	}
	w.flags(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print drift as JSON")
	cmd.Flags().BoolVar(&tell, "tell", false, "tell the console")
	return cmd
}

// look compares the site with what lives, and asks the planes for what no plan mends.
func (c *cli) look(ctx context.Context, args []string, w where, tell bool) (site *compiler.Site, p plan.Plan, found []apply.Finding, err error) {
	if site, err = c.load(args, nil); err != nil {
		return site, p, nil, err
	}
	to, p, err := plans(ctx, site, w, "")
	if err != nil {
		return site, p, nil, err
	}
	if found, err = apply.Watch(ctx, to.Planes); err == nil && tell {
		err = c.tell(ctx, site, to, w, p, found)
	}
	return site, p, found, errors.Join(err, to.Close())
}

func (c *cli) drift(p plan.Plan, found []apply.Finding, asJSON bool) error {
	if asJSON {
		both := struct {
			plan.Plan
			Findings []apply.Finding `json:"findings,omitempty"`
		}{p, found}
		if err := c.json(both); err != nil {
			return err
		}
	} else {
		for _, f := range found {
			c.say("warning: %s", f)
		}
		for _, change := range p.Changes {
			fmt.Fprintf(c.out, "drift: %s\n", change)
		}
		for _, conflict := range p.Conflicts {
			fmt.Fprintf(c.out, "conflict: %s %s: live %s, declared %s\n", conflict.Plane, conflict.ID, conflict.Live, conflict.Desired)
		}
	}
	if !p.Empty() {
		return quit{exitChanges}
	}
	return nil
}
