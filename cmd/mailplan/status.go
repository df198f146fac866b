package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/mailplan/mailplan/compiler/plan"
)

func (c *cli) newStatus() *cobra.Command {
	var dir string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "status [SITE]",
		Short: "Say whether everything is as declared, and only what is not",
		Long: `status is for cron: it is silent and ends with 0 when all planes are as declared, and names drift with exit code 2.

  mailplan status --sandbox /tmp/s`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if dir == "" {
				return errors.New("status of what? --sandbox DIR uses stand-ins for every outside system")
			}
			p, err := c.plan(cmd.Context(), args, target{sandbox: dir})
			if err != nil {
				return err
			}
			return c.drift(p, asJSON)
		},
	}
	cmd.Flags().StringVar(&dir, "sandbox", "", "folder with stand-ins for every outside system")
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
