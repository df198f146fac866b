package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/mailplan/mailplan/compiler"
	"github.com/mailplan/mailplan/compiler/revision"
)

func (c *cli) newRollback() *cobra.Command {
	var o applying
	cmd := &cobra.Command{
		Use:   "rollback [SITE] REV",
		Short: "Go back to an older revision, by a plan forward",
		Long: `rollback applies the site as it was at a Git revision: a plan like any other, with the same guards. Nothing is
taken down first, and the files of the site stay as they are; revert the commit too, or the next apply goes forward again.

  mailplan rollback HEAD~1 --sandbox /tmp/s`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			rev := args[len(args)-1]
			dir, err := siteDir(args[:len(args)-1])
			if err != nil {
				return err
			}
			fsys, _, err := revision.Open(dir, rev)
			if err != nil {
				return err
			}
			site, err := compiler.LoadFS(fsys, rev+":"+dir)
			if err != nil {
				return fmt.Errorf("the site at %s:\n%w", rev, err)
			}
			o.secrets = dir // an older revision's values may have been rotated since
			return c.converge(cmd.Context(), site, o)
		},
	}
	o.flags(cmd)
	return cmd
}
