package main

import (
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/mailplan/mailplan/runtime/backup/restore"
	"github.com/mailplan/mailplan/runtime/config"
)

// scanning is the command line of scan.
type scanning struct {
	config     string
	components []string
	date       string
	json       bool
}

func newScanCmd() *cobra.Command {
	c := &scanning{}
	cmd := &cobra.Command{
		Use:   "scan",
		Short: "Have the data in use scanned for malware, as after a restore that was not scanned",
		Long: `Have the data in use scanned for malware, as after a restore that was not scanned.

What the scanner finds something in goes to .mailpland-quarantine-DATE in the folder
of its class; mail programs see it as deleted. Services go on meanwhile, and what
people move or delete is no error. Files that a server has open are told and left.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.run(cmd) },
	}
	f := cmd.Flags()
	f.StringVar(&c.config, "config", defaultConfig, "the daemon's configuration file")
	f.StringSliceVar(&c.components, "component", []string{"all"}, "classes to scan")
	f.StringVar(&c.date, "date", time.Now().UTC().Format(time.DateOnly), "names the quarantine folder: that of the backup, after a restore")
	f.BoolVar(&c.json, "json", false, "print the report as JSON")
	return cmd
}

func (c *scanning) run(cmd *cobra.Command) error {
	if _, err := time.Parse(time.DateOnly, c.date); err != nil {
		return fmt.Errorf("--date: %q is not a date such as 2026-11-21", c.date)
	}
	conf, err := config.Load(c.config)
	if err != nil {
		return err
	}
	if conf.Backup == nil {
		return fmt.Errorf("%s has no backup part", c.config)
	}
	// Backups go on meanwhile; only another scan is waited for, such as one whose caller was cut off.
	release, err := lock(cmd.Context(), filepath.Join(conf.Backup.State, "scan"), true)
	if err != nil {
		return err
	}
	defer release()
	r, err := restore.InPlace(cmd.Context(), *conf.Backup, c.components, c.date)
	if err != nil {
		return err
	}
	out := cmd.OutOrStdout()
	if c.json {
		return printJSON(out, r)
	}
	fmt.Fprintf(out, "scanned in %s: %d files in quarantine\n", r.Finished.Sub(r.Started).Round(time.Second), len(r.Infected))
	for _, group := range []group{{"of", r.Places}, {"INFECTED, in quarantine", r.Infected}, {"INFECTED, and left since a server has it open", r.Left}, {"note", r.Notes}} {
		group.print(out)
	}
	return nil
}
