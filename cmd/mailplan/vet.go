package main

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"github.com/mailplan/mailplan/compiler"
	"github.com/mailplan/mailplan/compiler/check"
	"github.com/mailplan/mailplan/schema"
)

func (c *cli) newVet() *cobra.Command {
	var asJSON, fix bool
	cmd := &cobra.Command{
		Use:   "vet [SITE]",
		Short: "Look for every mistake of a site in one run",
		Long: `vet checks a site against the schema and the rules. It is silent when there is nothing to say.
Errors end with exit code 1; warnings are told and do not.

  mailplan vet
  mailplan vet ./site --fix      mend what has one certain remedy, in the CUE files
  mailplan vet --json            for machines`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir, err := siteDir(args)
			if err != nil {
				return err
			}
			if fix {
				if err := c.fix(dir); err != nil {
					return err
				}
			}
			return c.vet(dir, asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print problems and findings as JSON")
	cmd.Flags().BoolVar(&fix, "fix", false, "apply the machine-applicable fixes to the CUE files")
	return cmd
}

// finding is a check's finding at its line.
type finding struct {
	Pos schema.Pos `json:"pos"`
	check.Finding
}

func (c *cli) vet(dir string, asJSON bool) error {
	site, err := compiler.Load(dir)
	var problems schema.Problems
	if err != nil && !errors.As(err, &problems) {
		return err
	}
	if asJSON {
		return c.vetJSON(site, problems)
	}
	if err != nil {
		return err
	}
	c.tellFindings(c.out, site, site.Findings)
	if check.Failed(site.Findings) {
		return quit{exitFailed}
	}
	return nil
}

func (c *cli) vetJSON(site *compiler.Site, problems schema.Problems) error {
	report := struct {
		Version  int              `json:"version"`
		Problems []schema.Problem `json:"problems"`
		Findings []finding        `json:"findings"`
	}{Version: 1, Problems: problems, Findings: []finding{}}
	if report.Problems == nil {
		report.Problems = []schema.Problem{}
	}
	if site != nil {
		report.Findings = located(site, site.Findings)
	}
	if err := c.json(report); err != nil {
		return err
	}
	if len(problems) > 0 || site != nil && check.Failed(site.Findings) {
		return quit{exitFailed}
	}
	return nil
}

// located gives each finding its line and sorts by it.
func located(site *compiler.Site, findings []check.Finding) []finding {
	out := make([]finding, 0, len(findings))
	for _, f := range findings {
		out = append(out, finding{Pos: site.Pos(f), Finding: f})
	}
	slices.SortStableFunc(out, func(a, b finding) int {
		switch {
		case a.Pos.Before(b.Pos):
			return -1
		case b.Pos.Before(a.Pos):
			return 1
		}
		return 0
	})
	return out
}

func (c *cli) tellFindings(w io.Writer, site *compiler.Site, findings []check.Finding) {
	errs, warnings := 0, 0
	for _, f := range located(site, findings) {
		fmt.Fprintf(w, "%s: %s: %s [%s]\n", f.Pos, f.Severity, f.Message, f.Rule)
		if f.Hint != "" {
			fmt.Fprintf(w, "    hint: %s\n", f.Hint)
		}
		if f.Severity == check.Error {
			errs++
		} else {
			warnings++
		}
	}
	switch {
	case errs > 0 && warnings > 0:
		c.say("%s, %s", count(errs, "error"), count(warnings, "warning"))
	case errs > 0:
		c.say("%s", count(errs, "error"))
	case warnings > 0:
		c.say("%s", count(warnings, "warning"))
	}
}
