package main

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/mailplan/mailplan/compiler/draft"
	"github.com/mailplan/mailplan/compiler/model"
)

func (c *cli) newDomain() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "domain",
		Short: "Add, change and retire mail domains in the site's own files",
		Long: `  mailplan domain add example.org --postmaster alice@example.com
  mailplan domain set example.org --catch-all alice@example.com --dmarc quarantine
  mailplan domain retire example.org      takes no mail any more, keeps the mailboxes`,
	}
	cmd.AddCommand(c.newDomainAdd(), c.newDomainSet(), c.newDomainRetire())
	return cmd
}

// domainFlags are the fields of a domain as flags.
type domainFlags struct {
	zone, catchAll, dmarc, mtaSTS string
	quotaMB                       int
}

func (f *domainFlags) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.zone, "zone", "", "zone in which its records live (default: the domain itself)")
	cmd.Flags().StringVar(&f.catchAll, "catch-all", "", "who gets mail for unknown addresses; empty: it is refused")
	cmd.Flags().StringVar(&f.dmarc, "dmarc", "", "DMARC policy: none, quarantine or reject")
	cmd.Flags().StringVar(&f.mtaSTS, "mta-sts", "", "MTA-STS mode: none, testing or enforce")
	cmd.Flags().IntVar(&f.quotaMB, "quota-mb", 0, "mailbox size of its users in mebibytes")
}

func (f *domainFlags) domain(cmd *cobra.Command) draft.Domain {
	return draft.Domain{Zone: pick(cmd, "zone", &f.zone), CatchAll: pick(cmd, "catch-all", &f.catchAll), DMARC: pick(cmd, "dmarc", &f.dmarc),
		MTASTS: pick(cmd, "mta-sts", &f.mtaSTS), QuotaMB: pick(cmd, "quota-mb", &f.quotaMB)}
}

func (c *cli) newDomainAdd() *cobra.Command {
	var e editing
	var f domainFlags
	var selector, postmaster string
	cmd := &cobra.Command{
		Use:   "add DOMAIN",
		Short: "Declare a domain that signs its mail",
		Long: `add declares a domain with a DKIM selector of its own; mailplan secret generate makes its key. The role addresses
postmaster and abuse lead to --postmaster: an address of the site, or a localpart that becomes the domain's first user.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.edit(&e, "Add the domain "+args[0], func(d *draft.Draft) error {
				return d.AddDomain(args[0], selector, postmaster, f.domain(cmd))
			})
		},
	}
	e.flags(cmd)
	f.flags(cmd)
	cmd.Flags().StringVar(&selector, "selector", "mail"+time.Now().Format("2006"), "name of its first DKIM selector")
	cmd.Flags().StringVar(&postmaster, "postmaster", "", "who gets mail for postmaster and abuse")
	_ = cmd.MarkFlagRequired("postmaster")
	return cmd
}

func (c *cli) newDomainSet() *cobra.Command {
	var e editing
	var f domainFlags
	cmd := &cobra.Command{
		Use:               "set DOMAIN",
		Short:             "Change the fields of a domain that are given as flags",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: complete(domainNames),
		RunE: func(cmd *cobra.Command, args []string) error {
			fields := f.domain(cmd)
			if fields == (draft.Domain{}) {
				return errNothingToSet
			}
			return c.edit(&e, "Change the domain "+args[0], func(d *draft.Draft) error { return d.SetDomain(args[0], fields) })
		},
	}
	e.flags(cmd)
	f.flags(cmd)
	return cmd
}

func (c *cli) newDomainRetire() *cobra.Command {
	var e editing
	cmd := &cobra.Command{
		Use:               "retire DOMAIN",
		Short:             "Take no mail for a domain any more, and keep its mailboxes",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: complete(domainNames),
		RunE: func(_ *cobra.Command, args []string) error {
			state := model.Retired
			return c.edit(&e, "Retire the domain "+args[0], func(d *draft.Draft) error {
				return d.SetDomain(args[0], draft.Domain{State: &state})
			})
		},
	}
	e.flags(cmd)
	return cmd
}
