package main

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/mailplan/mailplan/runtime/backup/drill"
)

func newDrillCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "drill",
		Short: "Restore the newest off-site backup into scratch and see whether everything works",
		Long: `Restore the newest off-site backup into a scratch folder, with the drill's own
identity: every file's hash, the dumps in a throw-away MariaDB, the mail through
a throw-away Dovecot, keys against certificates and DNS texts. The receipt is
signed and kept. Exit 0 only if everything works.`,
		Args: cobra.NoArgs,
	}
	path := configFlag(cmd)
	status := cmd.Flags().Bool("status", false, "hold no drill: exit 0 if the last receipt is green and recent enough for risky steps")
	asJSON := cmd.Flags().Bool("json", false, "print the receipt as JSON")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		x, _, err := executor(*path, cmd.ErrOrStderr())
		if err != nil {
			return err
		}
		var r *drill.Receipt
		if *status {
			if r, err = x.LatestDrill(); err == nil {
				err = x.PermitRisk()
			}
		} else {
			bar := newProgress(cmd.ErrOrStderr(), "drill")
			x.Progress = bar.files
			r, err = x.Drill(cmd.Context())
			bar.end()
		}
		if r == nil {
			return err
		}
		if *asJSON {
			return errors.Join(err, printJSON(cmd.OutOrStdout(), r))
		}
		printReceipt(cmd.OutOrStdout(), r)
		return err
	}
	return cmd
}

func printReceipt(w io.Writer, r *drill.Receipt) {
	colour := "RED"
	if r.Green {
		colour = "green"
	}
	seconds := func(s float64) time.Duration { return time.Duration(s * float64(time.Second)).Round(time.Second / 10) }
	fmt.Fprintf(w, "drill of %s: %s. %s from %s: %d files, %s; would lose %s (RPO), takes %s (RTO)\n", r.Finished.Format("2006-01-02 15:04Z"),
		colour, r.Snapshot, r.Source, r.Files, size(r.Bytes), seconds(r.RPO), seconds(r.RTO))
	for _, c := range r.Checks {
		mark := "ok "
		if !c.OK {
			mark = "BAD"
		}
		fmt.Fprintf(w, "  %s %s: %s\n", mark, c.Name, c.Detail)
	}
}
