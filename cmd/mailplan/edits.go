package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/mailplan/mailplan/compiler"
	"github.com/mailplan/mailplan/compiler/live"
	"github.com/mailplan/mailplan/compiler/plan"
	"github.com/mailplan/mailplan/compiler/requests"
	"github.com/mailplan/mailplan/compiler/sandbox"
)

func (c *cli) newEdits() *cobra.Command {
	var box string
	var merge, asJSON bool
	cmd := &cobra.Command{
		Use:   "edits [SITE]",
		Short: "Answer the edits that administrators ask for in the console",
		Long: `The console has no access to the site's repository. What administrators ask for there waits beside the accounts until
this command, run where the repository is, takes it up: each edit becomes a commit on a branch of its own, console/NUMBER,
in the name of who asked; its lines, what it does to addresses and the plan go back to the console, where it is confirmed
or discarded. With --merge, edits that are confirmed are made on the current branch; without, merge their branches as
you do others'. An edit that the site's rules refuse is answered with why.

  mailplan edits --merge && mailplan apply      every minute, from cron or CI`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			done, err := c.answerEdits(cmd.Context(), args, box, merge)
			if asJSON {
				if err := c.json(done); err != nil {
					return err
				}
			} else {
				c.tellEdits(done)
			}
			return err
		},
	}
	cmd.Flags().StringVar(&box, "sandbox", "", "answer the edits of this sandbox (edits.json in it)")
	cmd.Flags().BoolVar(&merge, "merge", false, "make confirmed edits on the current branch")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print what was answered as JSON")
	return cmd
}

func (c *cli) answerEdits(ctx context.Context, args []string, box string, merge bool) ([]requests.Outcome, error) {
	dir, err := siteDir(args)
	if err != nil {
		return nil, err
	}
	m := requests.Maker{Dir: dir, Merge: merge, Now: time.Now(), Plan: func(ctx context.Context, from, to string) (string, error) {
		p, err := c.planRevisions(ctx, []string{dir}, target{from: from, to: to})
		if err != nil {
			return "", err
		}
		var text bytes.Buffer
		err = p.Text(&text, plan.Style{})
		return text.String(), err
	}}
	if box != "" {
		return m.Work(ctx, sandbox.Edits(box))
	}
	site, err := compiler.Load(dir)
	if err != nil {
		return nil, err
	}
	keeper, closer, err := live.Accounts(ctx, site.Model, os.Getenv)
	if err != nil {
		return nil, err
	}
	done, err := m.Work(ctx, keeper)
	if e := closer(); err == nil {
		err = e
	}
	return done, err
}

func (c *cli) tellEdits(done []requests.Outcome) {
	for _, o := range done {
		fmt.Fprintf(c.out, "edit %d, %s %s by %s: %s", o.Edit.ID, o.Edit.Verb, o.Edit.Address, o.Edit.By, o.Answer.State)
		switch {
		case o.Answer.Problem != "":
			fmt.Fprintf(c.out, ": %s", o.Answer.Problem)
		case o.Answer.Branch != "":
			fmt.Fprintf(c.out, " on %s", o.Answer.Branch)
		}
		fmt.Fprintln(c.out)
	}
	if len(done) == 0 {
		c.say("no edit waits")
	}
}
