package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/mailplan/mailplan/compiler"
	"github.com/mailplan/mailplan/compiler/apply"
	"github.com/mailplan/mailplan/compiler/doctor"
	"github.com/mailplan/mailplan/compiler/secrets"
)

func (c *cli) newDoctor() *cobra.Command {
	var w where
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "doctor [SITE]",
		Short: "Go through the checklist before an apply: configuration, secrets, disks, systems, backup, way back",
		Long: `doctor changes nothing. It looks whether the site is right, its secrets are there, every system behind it answers,
the host's disks have room, the last apply came to its end, a backup is known to work, and whether what apply would do
can be taken back. It ends with 1 if anything of this is bad.

  mailplan doctor
  mailplan doctor --sandbox /tmp/s --json`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			found, err := examine(cmd.Context(), args, w)
			if err != nil {
				return err
			}
			return c.checklist(found, asJSON)
		},
	}
	w.flags(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the checklist as JSON")
	return cmd
}

// examine goes on as long as there is something to look at: without its secrets no system can be asked.
func examine(ctx context.Context, args []string, w where) (list []doctor.Finding, err error) {
	dir, err := siteDir(args)
	if err != nil {
		return nil, err
	}
	site, err := compiler.Load(dir)
	if err != nil {
		return nil, err
	}
	list = append(list, doctor.Configuration(site.Findings))
	if w.sandbox == "" {
		store, err := secrets.Open(dir, site.Model, os.Getenv)
		if err == nil {
			err = store.Complete(w.planes)
		}
		list = append(list, doctor.Secrets(err))
		if err != nil {
			return list, nil
		}
	}
	tree, err := site.Tree()
	if err != nil {
		return nil, err
	}
	to, err := open(ctx, site, tree, w, "")
	if err != nil {
		return append(list, doctor.Finding{Check: "host", State: doctor.Bad, Text: err.Error()}), nil
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	return append(list, systems(ctx, site, to, compiler.Digest(tree))...), nil
}

// systems examines what is behind the site.
func systems(ctx context.Context, site *compiler.Site, to opened, tree string) []doctor.Finding {
	list, said := doctor.Planes(ctx, to.Planes)
	answered := !slices.ContainsFunc(list, func(f doctor.Finding) bool { return f.State == doctor.Bad })
	if to.Run != nil {
		folders := site.Model.Host.Storage
		list = append(list, doctor.Disk(ctx, to.Run, site.Model.Host.Root, folders.Fast, folders.Bulk)...)
	}
	cutOff, err := to.Journal.CutOff()
	list = append(list, doctor.Journal(cutOff, err))
	if to.Backup != nil {
		list = append(list, doctor.Backup(to.Backup(ctx)))
	}
	if !answered {
		return list
	}
	list = append(list, doctor.Coming(apply.Watch(ctx, to.Planes))...)
	p, err := to.Compare(site.Model, head(site), tree, said)
	return append(list, doctor.Way(p, err))
}

func (c *cli) checklist(found []doctor.Finding, asJSON bool) error {
	bad := 0
	table := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	for _, f := range found {
		if f.State == doctor.Bad {
			bad++
		}
		fmt.Fprintf(table, "%s\t%s\t%s\n", f.State, f.Check, f.Text)
		if f.Hint != "" {
			fmt.Fprintf(table, "\t\t  -> %s\n", f.Hint)
		}
	}
	show := table.Flush
	if asJSON {
		show = func() error { return c.json(found) }
	}
	if err := show(); err != nil {
		return err
	}
	if bad > 0 {
		c.say("%s of %d bad", count(bad, "point"), len(found))
		return quit{exitFailed}
	}
	return nil
}
