package main

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/mailplan/mailplan/runtime/backup"
	"github.com/mailplan/mailplan/runtime/backup/drill"
)

func newDrillCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "drill",
		Short: "Restore the newest off-site backup into scratch and see whether everything works",
		Long: `Restore the newest off-site backup into a scratch folder, with the drill's own
identity: every file's hash, the dumps in a throw-away MariaDB, the mail through
a throw-away Dovecot, keys against certificates and DNS texts. The receipt is
signed and kept. Exit 0 only if everything works.

--status --json prints the last receipt with two fields more, permit and reason:
whether a step that could lose data may be taken now, and if not, why not. A
receipt that is red, old, or signed by nobody trusted permits nothing. Without
any receipt these two fields are all there is. Exit 0 is permit.`,
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
		if *status {
			return drillStatus(cmd.OutOrStdout(), x, *asJSON)
		}
		bar := newProgress(cmd.ErrOrStderr(), "drill")
		x.Progress = bar.files
		r, err := x.Drill(cmd.Context())
		bar.end()
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

// standing is what drill --status --json prints. Its fields, and those of the receipt, keep their names and
// meanings; mailplan apply reads them.
type standing struct {
	Permit bool   `json:"permit"`           // a step that could lose data may be taken
	Reason string `json:"reason,omitempty"` // why not
	*drill.Receipt
}

// drillStatus prints the last receipt. Its error, when there is one, is why risky steps are not permitted.
func drillStatus(w io.Writer, x *backup.Executor, asJSON bool) error {
	s := standing{}
	receipt, err := x.LatestDrill()
	if err == nil {
		s.Receipt, err = receipt, x.PermitRisk()
	}
	if s.Permit = err == nil; !s.Permit {
		s.Reason = err.Error()
	}
	if asJSON {
		return errors.Join(err, printJSON(w, s))
	}
	if s.Receipt != nil {
		printReceipt(w, s.Receipt)
	}
	return err
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
