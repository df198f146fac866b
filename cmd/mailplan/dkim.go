package main

import (
	"github.com/spf13/cobra"

	"github.com/mailplan/mailplan/compiler/draft"
	"github.com/mailplan/mailplan/compiler/model"
)

func (c *cli) newDKIM() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "dkim",
		Short: "Add and change the keys that sign a domain's mail",
		Long: `A selector is published first, signs next (active), is kept in DNS for old mail (retired), then goes.
mailplan secret rotate does all of that by itself, and goes on with what is published by hand too: a published key signs
as soon as every resolver has it. These commands are the single steps.

  mailplan dkim add example.com s2027a --algorithm ed25519
  mailplan dkim set example.com s2027a --state active
  mailplan dkim remove example.com s2024`,
	}
	cmd.AddCommand(c.newDKIMAdd(), c.newDKIMSet(), c.newDKIMRemove())
	return cmd
}

type selectorFlags struct {
	state, algorithm string
	bits             int
}

func (f *selectorFlags) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.state, "state", string(model.Published), "published, active, retired or revoked")
	cmd.Flags().StringVar(&f.algorithm, "algorithm", "rsa", "rsa or ed25519")
	cmd.Flags().IntVar(&f.bits, "bits", 2048, "bits of an RSA key")
}

func (f *selectorFlags) selector(cmd *cobra.Command) draft.Selector {
	day := today()
	s := draft.Selector{Algorithm: pick(cmd, "algorithm", &f.algorithm), Bits: pick(cmd, "bits", &f.bits)}
	if state := pick(cmd, "state", &f.state); state != nil {
		s.State, s.Since = new(model.State(*state)), &day
	}
	return s
}

func (c *cli) newDKIMAdd() *cobra.Command {
	var e editing
	var f selectorFlags
	cmd := &cobra.Command{
		Use:               "add DOMAIN SELECTOR",
		Short:             "Declare a further key, published and not yet used; mailplan secret generate makes it",
		Args:              cobra.ExactArgs(2),
		ValidArgsFunction: complete(domainNames),
		RunE: func(cmd *cobra.Command, args []string) error {
			s := f.selector(cmd)
			s.State, s.Since = new(model.State(f.state)), new(today())
			return c.edit(&e, "Add the DKIM selector "+args[1]+" of "+args[0], func(d *draft.Draft) error {
				return d.AddSelector(args[0], args[1], s)
			})
		},
	}
	e.flags(cmd)
	f.flags(cmd)
	return cmd
}

func (c *cli) newDKIMSet() *cobra.Command {
	var e editing
	var f selectorFlags
	cmd := &cobra.Command{
		Use:               "set DOMAIN SELECTOR",
		Short:             "Change a key's state; what is made active retires the one that was",
		Args:              cobra.ExactArgs(2),
		ValidArgsFunction: completeSelector,
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.edit(&e, "Change the DKIM selector "+args[1]+" of "+args[0], func(d *draft.Draft) error {
				if cmd.Flags().Changed("state") && f.state == string(model.Active) {
					return d.Activate(args[0], args[1], today())
				}
				return d.SetSelector(args[0], args[1], f.selector(cmd))
			})
		},
	}
	e.flags(cmd)
	f.flags(cmd)
	return cmd
}

func (c *cli) newDKIMRemove() *cobra.Command {
	var e editing
	cmd := &cobra.Command{
		Use:               "remove DOMAIN SELECTOR",
		Short:             "Take a key that does not sign out of the site",
		Args:              cobra.ExactArgs(2),
		ValidArgsFunction: completeSelector,
		RunE: func(_ *cobra.Command, args []string) error {
			return c.edit(&e, "Remove the DKIM selector "+args[1]+" of "+args[0], func(d *draft.Draft) error {
				return d.RemoveSelector(args[0], args[1])
			})
		},
	}
	e.flags(cmd)
	return cmd
}

func completeSelector(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
	if len(args) == 0 {
		return complete(domainNames)(cmd, args, begun)
	}
	return complete(func(s *model.Site) (names []string) {
		for _, d := range s.Domains {
			if d.Unicode != args[0] && d.Name != args[0] {
				continue
			}
			for _, sel := range d.Selectors {
				names = append(names, sel.Name)
			}
		}
		return names
	})(cmd, args[1:], begun)
}
