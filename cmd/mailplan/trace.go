package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mailplan/mailplan/compiler"
	"github.com/mailplan/mailplan/compiler/trace"
)

func (c *cli) newTrace() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "trace [SITE] ADDRESS",
		Short: "Follow the mail for an address through the whole system",
		Long: `trace tells what happens to mail for an address at every station, with the line of the site that decides it.

  mailplan trace sales@example.com
  mailplan trace ./site alice+news@example.com --json`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			address := args[len(args)-1]
			if !strings.Contains(address, "@") {
				return fmt.Errorf("%q is no address: trace wants localpart@domain", address)
			}
			dir, err := siteDir(args[:len(args)-1])
			if err != nil {
				return err
			}
			site, err := compiler.Load(dir)
			if err != nil {
				return err
			}
			return c.trace(site, address, asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the trace as JSON")
	return cmd
}

func (c *cli) trace(site *compiler.Site, address string, asJSON bool) error {
	t := trace.Address(site.Model, address)
	for i, s := range t.Steps {
		t.Steps[i].Pos = line(site, s.Path)
	}
	if asJSON {
		return c.json(t)
	}
	fmt.Fprintln(c.out, t.Address)
	for _, s := range t.Steps {
		fmt.Fprintf(c.out, "  %-10s %s", s.Station, s.Text)
		if s.Pos != "" {
			fmt.Fprintf(c.out, "  (%s)", s.Pos)
		}
		fmt.Fprintln(c.out)
	}
	fmt.Fprintln(c.out, "=> "+outcome(t))
	return nil
}

func outcome(t trace.Trace) string {
	if t.Refused != "" {
		return "refused: " + t.Refused
	}
	parts := t.Mailboxes
	for _, a := range t.Outside {
		parts = append(parts, a+" (outside)")
	}
	if len(parts) == 0 {
		return "not ours"
	}
	return strings.Join(parts, ", ")
}

// line is file:line of a site path; empty where nothing of it is written, since all of it is default.
func line(site *compiler.Site, path string) string {
	pos := site.Source.Pos(path)
	if path == "" || pos == site.Source.Pos("") {
		return ""
	}
	pos.Column = 0
	return pos.String()
}
