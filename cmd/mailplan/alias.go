package main

import (
	"github.com/spf13/cobra"

	"github.com/mailplan/mailplan/compiler/draft"
)

func (c *cli) newAlias() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "alias",
		Short: "Add and change aliases in the site's own files",
		Long: `alias edits where mail for an address goes. Targets are localparts of the same domain or full addresses anywhere.

  mailplan alias add sales@example.com alice bob      declares it, or adds targets
  mailplan alias set sales@example.com carol          leads to exactly these
  mailplan alias remove sales@example.com bob         takes a target out
  mailplan alias remove sales@example.com             takes the alias out`,
	}
	cmd.AddCommand(
		c.newAliasVerb("add", "ADDRESS TARGET…", "Declare an alias, or add targets to it", cobra.MinimumNArgs(2), (*draft.Draft).AddAlias),
		c.newAliasVerb("set", "ADDRESS TARGET…", "Let an alias lead to exactly these targets", cobra.MinimumNArgs(2), (*draft.Draft).SetAlias),
		c.newAliasVerb("remove", "ADDRESS [TARGET…]", "Take targets out of an alias, or the alias itself", cobra.MinimumNArgs(1), (*draft.Draft).RemoveAlias))
	return cmd
}

func (c *cli) newAliasVerb(verb, args, short string, want cobra.PositionalArgs, change func(*draft.Draft, string, []string) error) *cobra.Command {
	var e editing
	cmd := &cobra.Command{
		Use:   verb + " " + args,
		Short: short,
		Args:  want,
		ValidArgsFunction: func(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
			if len(args) == 0 {
				return complete(aliasNames)(cmd, args, begun)
			}
			return complete(addressNames)(cmd, args, begun)
		},
		RunE: func(_ *cobra.Command, args []string) error {
			return c.edit(&e, capital(verb)+" the alias "+args[0], func(d *draft.Draft) error { return change(d, args[0], args[1:]) })
		},
	}
	e.flags(cmd)
	return cmd
}
