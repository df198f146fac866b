package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

// verbs make the commands of mailpland, one per file.
func verbs() []*cobra.Command {
	return []*cobra.Command{
		newServeCmd(),
		newLedgerCmd(),
		newHealthCmd(),
		newBackupCmd(),
		newRestoreCmd(),
		newScanCmd(),
		newDrillCmd(),
		newAccountsCmd(),
		newConsoleCmd(),
		newTellCmd(),
		newHealCmd(),
		newCertificateCmd(),
		newProbeCmd(),
	}
}

// Run carries out one command line and returns its exit code: 0 done, 1 failed. Results go to stdout,
// talk to stderr.
func Run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := &cobra.Command{
		Use:           "mailpland",
		Short:         "The mailplan daemon: inbound mail, backups, restores, console",
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.AddCommand(verbs()...)
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	if err := root.ExecuteContext(ctx); err != nil {
		fmt.Fprintln(stderr, "mailpland:", err)
		return 1
	}
	return 0
}

// defaultConfig is where the compose project mounts it.
const defaultConfig = "/etc/mailpland/mailpland.json"

// configFlag adds the flag that every verb has.
func configFlag(cmd *cobra.Command) *string {
	return cmd.Flags().String("config", defaultConfig, "the daemon's configuration file")
}
