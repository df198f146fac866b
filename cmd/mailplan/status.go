package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/mailplan/mailplan/compiler/plan"
)

func (c *cli) newStatus() *cobra.Command {
	var w where
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "status [SITE]",
		Short: "Say whether everything is as declared, and only what is not",
		Long: `status is for cron: it is silent and ends with 0 when all planes are as declared, and names drift with exit code 2.

  mailplan status
  mailplan status --sandbox /tmp/s`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := c.plan(cmd.Context(), args, target{where: w})
			if err != nil {
				return err
			}
			return c.drift(p, asJSON)
		},
	}
	w.flags(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print drift as JSON")
	return cmd
}

func (c *cli) drift(p plan.Plan, asJSON bool) error {
	if asJSON {
		if err := c.json(p); err != nil {
			return err
		}
	} else {
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
