package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"text/tabwriter"
	"time"

	"filippo.io/age"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/mailplan/mailplan/runtime/backup"
	"github.com/mailplan/mailplan/runtime/backup/local"
	"github.com/mailplan/mailplan/runtime/config"
	"github.com/mailplan/mailplan/runtime/health"
)

func newBackupCmd() *cobra.Command {
	cmd := &cobra.Command{Use: "backup", Short: "Make, list and verify backups"}
	cmd.AddCommand(newBackupRunCmd(), newBackupListCmd(), newBackupVerifyCmd(), newBackupSyncCmd())
	return cmd
}

// executor loads the configuration and returns its backup part at work.
func executor(path string, stderr io.Writer) (*backup.Executor, *config.Backup, error) {
	conf, err := config.Load(path)
	if err != nil {
		return nil, nil, err
	}
	if conf.Backup == nil {
		return nil, nil, fmt.Errorf("%s has no backup part: without backup.recipients no backups are made", path)
	}
	x, err := backup.New(*conf.Backup)
	if err != nil {
		return nil, nil, err
	}
	x.Log = slog.New(slog.NewTextHandler(stderr, nil))
	return x, conf.Backup, nil
}

func newBackupRunCmd() *cobra.Command {
	cmd := &cobra.Command{Use: "run", Short: "Make a backup now; exit 0 only if every declared class is in it", Args: cobra.NoArgs}
	path := configFlag(cmd)
	noSync := cmd.Flags().Bool("no-sync", false, "leave sending to the bucket for later")
	full := cmd.Flags().Bool("full", false, "read every file again, not only what has changed, to find rot")
	asJSON := cmd.Flags().Bool("json", false, "print the result as JSON")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		x, conf, err := executor(*path, cmd.ErrOrStderr())
		if err != nil {
			return err
		}
		bar := newProgress(cmd.ErrOrStderr(), "backup")
		x.Progress = bar.files
		r, err := x.Run(cmd.Context(), backup.RunOptions{Full: *full})
		if err == nil && conf.Offsite != nil && !*noSync {
			_, err = x.Sync(cmd.Context(), bar.bytes)
		}
		bar.end()
		if *asJSON {
			return errors.Join(err, printJSON(cmd.OutOrStdout(), r))
		}
		if r.Head != nil && r.Snapshot != "" {
			fmt.Fprintf(cmd.OutOrStdout(), "%s: %d files, %s; %s written, %s in %d packs\n", r.Snapshot, r.Head.Files,
				size(r.Head.Bytes), size(r.Head.Written), size(r.Head.Packed), r.Head.Packs)
		}
		return err
	}
	return cmd
}

func newBackupListCmd() *cobra.Command {
	cmd := &cobra.Command{Use: "list", Short: "List the local backups", Args: cobra.NoArgs}
	path := configFlag(cmd)
	asJSON := cmd.Flags().Bool("json", false, "print the list as JSON")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		x, _, err := executor(*path, cmd.ErrOrStderr())
		if err != nil {
			return err
		}
		all, err := x.Store().Snapshots()
		if err != nil {
			return err
		}
		if *asJSON {
			return printJSON(cmd.OutOrStdout(), listed(all))
		}
		return printSnapshots(cmd.OutOrStdout(), all)
	}
	return cmd
}

// listing is a snapshot as list --json shows it.
type listing struct {
	Path     string `json:"path"`
	Complete bool   `json:"complete"`
	Error    string `json:"error,omitempty"`
	Head     any    `json:"head,omitempty"`
}

func listed(all []local.Snapshot) []listing {
	out := []listing{}
	for _, s := range all {
		l := listing{Path: s.Dir, Complete: s.Complete()}
		if s.Err != nil {
			l.Error = s.Err.Error()
		} else {
			l.Head = s.Head
		}
		out = append(out, l)
	}
	return out
}

func printSnapshots(w io.Writer, all []local.Snapshot) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, s := range all {
		if s.Err != nil {
			fmt.Fprintf(t, "%s/%s\t%v\n", s.Kind, s.Name, s.Err)
			continue
		}
		state := "complete"
		if err := s.Head.Complete(); err != nil {
			state = "INCOMPLETE: " + err.Error()
		}
		fmt.Fprintf(t, "%s/%s\trun %d\t%s\t%d files\t%s\t%s\n", s.Kind, s.Name, s.Head.Sequence,
			s.Head.Finished.Format("2006-01-02 15:04Z"), s.Head.Files, size(s.Head.Bytes), state)
	}
	return t.Flush()
}

func newBackupVerifyCmd() *cobra.Command {
	cmd := &cobra.Command{Use: "verify", Short: "Read every byte of the backups; exit 0 only if all is good and recent", Args: cobra.NoArgs}
	path := configFlag(cmd)
	localOnly := cmd.Flags().Bool("local", false, "do not ask the bucket")
	identity := cmd.Flags().String("identity", "", "age identity file: open the newest backup and check every file inside")
	asJSON := cmd.Flags().Bool("json", false, "print the report as JSON")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		x, conf, err := executor(*path, cmd.ErrOrStderr())
		if err != nil {
			return err
		}
		identities, err := readIdentities(*identity)
		if err != nil {
			return err
		}
		bar := newProgress(cmd.ErrOrStderr(), "verify")
		report, err := x.Verify(cmd.Context(), identities, bar.bytes)
		objects := 0
		if conf.Offsite != nil && !*localOnly {
			var wrong error
			objects, wrong = x.VerifyOffsite(cmd.Context())
			err = errors.Join(err, wrong)
		}
		bar.end()
		if report == nil {
			return err
		}
		if *asJSON {
			return errors.Join(err, printJSON(cmd.OutOrStdout(), report))
		}
		if err == nil {
			fmt.Fprintf(cmd.OutOrStdout(), "%d backups are good, %s read; %d objects off-site are in place and locked\n", len(report.Snapshots), size(report.Bytes), objects)
		}
		return err
	}
	return cmd
}

func newBackupSyncCmd() *cobra.Command {
	cmd := &cobra.Command{Use: "sync", Short: "Send the newest backup to the bucket with Object Lock, and check it there", Args: cobra.NoArgs}
	path := configFlag(cmd)
	asJSON := cmd.Flags().Bool("json", false, "print the receipt as JSON")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		x, _, err := executor(*path, cmd.ErrOrStderr())
		if err != nil {
			return err
		}
		bar := newProgress(cmd.ErrOrStderr(), "sync")
		r, err := x.Sync(cmd.Context(), bar.bytes)
		bar.end()
		if err != nil {
			return err
		}
		if *asJSON {
			return printJSON(cmd.OutOrStdout(), r)
		}
		fmt.Fprintf(cmd.OutOrStdout(), "run %d is off-site: %d objects, %s sent, locked until %s\n", r.Sequence, len(r.Objects),
			size(r.SentBytes), r.RetainUntil.Format("2006-01-02"))
		return nil
	}
	return cmd
}

// readIdentities reads an age identity file, "-" for standard input; an empty path gives none.
func readIdentities(path string) ([]age.Identity, error) {
	if path == "" {
		return nil, nil
	}
	file := os.Stdin
	if path != "-" {
		var err error
		if file, err = os.Open(path); err != nil {
			return nil, fmt.Errorf("age identity: %w", err)
		}
		defer file.Close()
	}
	identities, err := age.ParseIdentities(file)
	if err != nil {
		return nil, fmt.Errorf("age identity %s: %w", path, err)
	}
	return identities, nil
}

func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

func size(n int64) string {
	units := []string{"B", "kB", "MB", "GB", "TB", "PB"}
	f, i := float64(n), 0
	for f >= 1000 && i < len(units)-1 {
		f, i = f/1000, i+1
	}
	if i == 0 {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f %s", f, units[i])
}

// startBackups makes backups and holds drills as they fall due, until ctx ends.
func startBackups(ctx context.Context, g *errgroup.Group, conf *config.Backup, log *slog.Logger, registry *prometheus.Registry) error {
	x, err := backup.New(*conf)
	if err != nil {
		return err
	}
	x.Log = log
	service, err := backup.NewService(x)
	if err != nil {
		return err
	}
	registry.MustRegister(x.Metrics())
	g.Go(func() error { service.Run(ctx); return nil })
	return nil
}

// serveHost is serve where inbound mail is another process's: the host itself.
func serveHost(ctx context.Context, conf *config.Config, checkOnly bool, log *slog.Logger, registry *prometheus.Registry) error {
	if checkOnly {
		return checkBackups(conf.Backup)
	}
	g, ctx := errgroup.WithContext(ctx)
	if conf.Health != nil {
		ln, err := net.Listen("tcp", conf.Health.Listen)
		if err != nil {
			return fmt.Errorf("health.listen: %w", err)
		}
		web := &http.Server{Handler: health.Handler(nil, registry), ReadHeaderTimeout: 10 * time.Second}
		g.Go(func() error { <-ctx.Done(); return web.Close() })
		g.Go(func() error {
			if err := web.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
				return err
			}
			return nil
		})
	}
	if conf.Backup != nil {
		g.Go(func() error { return startBackups(ctx, g, conf.Backup, log, registry) })
	}
	g.Go(func() error { return startWatch(ctx, g, conf, log) })
	return g.Wait()
}

// checkBackups says what is wrong with the backup part and what it names, if there is one.
func checkBackups(conf *config.Backup) error {
	if conf == nil {
		return nil
	}
	_, err := backup.New(*conf)
	return err
}
