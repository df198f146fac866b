package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/mailplan/mailplan/compiler"
	"github.com/mailplan/mailplan/compiler/apply/host"
	"github.com/mailplan/mailplan/compiler/plan"
)

// target is what diff compares with.
type target struct {
	where
	from, to string
	allow    []string // rules of severity error that do not stop it
}

// output is how a plan is shown.
type output struct {
	json, markdown bool
	file           string
}

func (c *cli) newDiff() *cobra.Command {
	var t target
	var o output
	cmd := &cobra.Command{
		Use:   "diff [SITE]",
		Short: "Show what an apply would change, in mail terms first",
		Long: `diff compares the site with what lives, or two revisions of the site with each other.
It ends with exit code 2 when there are changes, and tells which secrets are due; one that is overdue ends it with exit
code 3 where the site says secrets: overdue: "fail".

  mailplan diff                                against what lives; wants the secrets
  mailplan diff --sandbox /tmp/s               against the stand-ins of a sandbox
  mailplan diff --from main                    the site as it is here against a Git revision, without credentials
  mailplan diff --from v1 --to v2 --markdown   for a pull request
  mailplan diff --sandbox /tmp/s --out plan.json`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := t.check(); err != nil {
				return err
			}
			site, p, err := c.plan(cmd.Context(), args, t)
			if err != nil {
				return err
			}
			if err := c.show(p, o); err != nil {
				return err
			}
			if !p.Empty() || !p.Headline.Empty() {
				err = quit{exitChanges}
			}
			if site == nil { // two revisions
				return err
			}
			return c.ages(site.Model, err)
		},
	}
	cmd.Flags().StringSliceVar(&t.allow, "allow", nil, "go on despite these rules of severity error")
	t.where.flags(cmd)
	cmd.Flags().StringVar(&t.from, "from", "", "Git revision to compare from")
	cmd.Flags().StringVar(&t.to, "to", "", "Git revision to compare to (default: the files as they are)")
	cmd.Flags().BoolVar(&o.json, "json", false, "print the plan as JSON")
	cmd.Flags().BoolVar(&o.markdown, "markdown", false, "print the plan as a pull request comment")
	cmd.Flags().StringVar(&o.file, "out", "", "also save the plan to a file, for apply")
	cmd.MarkFlagsMutuallyExclusive("json", "markdown")
	return cmd
}

func (t target) check() error {
	switch {
	case len(t.planes) > 0 && t.from != "":
		return errors.New("--plane chooses among what lives, --from compares revisions: give one")
	case t.sandbox != "" && t.from != "":
		return errors.New("--sandbox and --from are two different comparisons: give one")
	case t.to != "" && t.from == "":
		return errors.New("--to needs --from")
	}
	return nil
}

// plan is between what is asked for; the site is nil for two revisions.
func (c *cli) plan(ctx context.Context, args []string, t target) (site *compiler.Site, p plan.Plan, err error) {
	if t.from != "" {
		p, err = c.planRevisions(ctx, args, t)
		return nil, p, err
	}
	if site, err = c.load(args, t.allow); err != nil {
		return nil, p, err
	}
	to, p, err := plans(ctx, site, t.where, "")
	if err != nil {
		return site, p, err
	}
	c.leaves(to)
	return site, p, to.Close()
}

func (c *cli) show(p plan.Plan, o output) error {
	if o.file != "" {
		if err := save(p, o.file); err != nil {
			return err
		}
	}
	switch {
	case o.json:
		return p.JSON(c.out)
	case o.markdown:
		return p.Markdown(c.out)
	case p.Empty() && p.Headline.Empty():
		c.say("nothing to do, %d objects are as declared", p.Unchanged)
		return nil
	}
	return p.Text(c.out, c.style(c.out))
}

func (c *cli) style(w io.Writer) plan.Style {
	if terminal(w) && os.Getenv("NO_COLOR") == "" {
		return plan.Colour
	}
	return plan.Style{}
}

// save keeps a plan private: it tells the whole site.
func save(p plan.Plan, file string) error {
	var b writer
	if err := p.JSON(&b); err != nil {
		return err
	}
	if err := host.WriteFile(filepath.Clean(file), b, 0o600, nil); err != nil {
		return fmt.Errorf("save the plan: %w", err)
	}
	return nil
}

type writer []byte

func (w *writer) Write(p []byte) (int, error) {
	*w = append(*w, p...)
	return len(p), nil
}
