package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/mailplan/mailplan/compiler"
	"github.com/mailplan/mailplan/compiler/apply/edge"
	"github.com/mailplan/mailplan/compiler/apply/letters"
	"github.com/mailplan/mailplan/compiler/live"
	"github.com/mailplan/mailplan/compiler/sandbox"
)

// spooling is what the verbs of spool take.
type spooling struct {
	site    string
	sandbox string
}

func (c *cli) newSpool() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "spool",
		Short: "Show the mail that waits at the edge, and have it tried again",
		Long: `While the host is out of reach, the Email Worker keeps mail in a bucket and tries it again by itself, until the
spool's time is over. What the host refused after that, or did not take in time, is a dead letter.`,
	}
	var s spooling
	cmd.PersistentFlags().StringVar(&s.site, "site", "", "the site's folder (default: the current one, else ./site)")
	cmd.PersistentFlags().StringVar(&s.sandbox, "sandbox", "", "folder with stand-ins for every outside system")
	cmd.AddCommand(c.newSpoolList(&s), c.newSpoolDrain(&s))
	return cmd
}

func (c *cli) newSpoolList(s *spooling) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List what waits, oldest first, and the dead letters with their reason",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, all, err := c.spooled(cmd.Context(), *s)
			if err != nil {
				return err
			}
			if asJSON {
				return c.json(all)
			}
			return c.tellLetters(all)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the list as JSON")
	return cmd
}

func (c *cli) newSpoolDrain(s *spooling) *cobra.Command {
	var dead bool
	cmd := &cobra.Command{
		Use:   "drain [KEY…]",
		Short: "Wake the Worker now; dead letters are tried again when they are named, or with --dead",
		Long: `drain does not wait for the Worker's next try: it wakes it, and the Worker goes on until nothing is left or the host
is out of reach. A key may be cut short where it stays the only one.

  mailplan spool drain                          everything that waits
  mailplan spool drain dead/2026-11-22T01       and this dead letter
  mailplan spool drain --dead                   and all dead letters`,
		RunE: func(cmd *cobra.Command, keys []string) error {
			at, all, err := c.spooled(cmd.Context(), *s)
			if err != nil {
				return err
			}
			chosen, err := letters.Find(all, keys)
			if err != nil {
				return err
			}
			if dead {
				chosen = append(chosen, slices.DeleteFunc(slices.Clone(all), func(l letters.Letter) bool { return !l.Dead })...)
			}
			return c.drain(cmd.Context(), at, all, chosen)
		},
	}
	cmd.Flags().BoolVar(&dead, "dead", false, "try all dead letters again")
	return cmd
}

func (c *cli) drain(ctx context.Context, at letters.Spool, all, chosen []letters.Letter) error {
	if len(all) == 0 {
		if err := at.Drain(ctx, nil); err != nil { // it tells the host, whose alerts may not know yet
			return err
		}
		c.say("the spool is empty")
		return nil
	}
	var keys []string
	for _, l := range chosen {
		keys = append(keys, l.Key)
	}
	slices.Sort(keys)
	keys = slices.Compact(keys)
	if err := at.Drain(ctx, keys); err != nil {
		return err
	}
	c.say("the Worker is awake; %s in the spool, %s tried first", count(len(all), "message"), count(len(keys), "message"))
	return nil
}

// spooled opens the spool and lists it.
func (c *cli) spooled(ctx context.Context, s spooling) (at letters.Spool, all []letters.Letter, err error) {
	var args []string
	if s.site != "" {
		args = []string{s.site}
	}
	site, err := c.load(args, nil)
	if err != nil {
		return at, nil, err
	}
	at.Names = site.Model.Edge.Spool
	if !at.Names.Enabled {
		return at, nil, errors.New("the site has no spool: edge.spool.enabled is false")
	}
	if at.Account, err = accountOf(site, s.sandbox); err != nil {
		return at, nil, err
	}
	all, err = at.List(ctx)
	return at, all, err
}

func accountOf(site *compiler.Site, box string) (*edge.Edge, error) {
	if box != "" {
		return sandbox.Account(box, site.Model)
	}
	return live.Account(live.Options{Dir: site.Source.Dir, Site: site.Model, Env: os.Getenv})
}

func (c *cli) tellLetters(all []letters.Letter) error {
	if len(all) == 0 {
		c.say("the spool is empty")
		return nil
	}
	w := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "KEY\tCAME\tFROM\tTO\tBYTES\tREASON")
	for _, l := range all {
		fmt.Fprintf(w, "%s\t%s\t<%s>\t%s\t%d\t%s\n", l.Key, l.Came.Format(time.DateTime), l.From, l.To, l.Size, cmp.Or(l.Reason, "-"))
	}
	return w.Flush()
}
