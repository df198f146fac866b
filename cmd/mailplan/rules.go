package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/mailplan/mailplan/compiler/check"
)

func (c *cli) newRules() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "rules [RULE…]",
		Short: "List what vet looks at, and why",
		Long: `rules lists every rule: its name, what must hold, and what happens otherwise.

  mailplan rules
  mailplan rules spf-lookups alias-loop`,
		RunE: func(cmd *cobra.Command, args []string) error {
			rules, err := chosen(args)
			if err != nil {
				return err
			}
			if asJSON {
				return c.json(ruleList(rules))
			}
			for _, r := range rules {
				fmt.Fprintf(c.out, "%-22s %-8s %s\n%31s otherwise: %s\n", r.ID, r.Severity, r.Title, "", r.Why)
			}
			return nil
		},
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			var ids []string
			for _, r := range check.Rules() {
				ids = append(ids, r.ID)
			}
			return ids, cobra.ShellCompDirectiveNoFileComp
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the rules as JSON")
	return cmd
}

func chosen(ids []string) ([]check.Rule, error) {
	all := check.Rules()
	if len(ids) == 0 {
		return all, nil
	}
	byID := map[string]check.Rule{}
	for _, r := range all {
		byID[r.ID] = r
	}
	var rules []check.Rule
	for _, id := range ids {
		r, ok := byID[id]
		if !ok {
			return nil, fmt.Errorf("there is no rule %s; `mailplan rules` lists all", id)
		}
		rules = append(rules, r)
	}
	return rules, nil
}

type ruleEntry struct {
	ID       string         `json:"id"`
	Severity check.Severity `json:"severity"`
	Title    string         `json:"title"`
	Why      string         `json:"why"`
	Holes    string         `json:"requirements,omitempty"`
}

func ruleList(rules []check.Rule) []ruleEntry {
	out := make([]ruleEntry, 0, len(rules))
	for _, r := range rules {
		out = append(out, ruleEntry{r.ID, r.Severity, r.Title, r.Why, r.Holes})
	}
	return out
}
