package main

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mailplan/mailplan/runtime/backup"
	"github.com/mailplan/mailplan/runtime/backup/extract"
	"github.com/mailplan/mailplan/runtime/backup/local"
	"github.com/mailplan/mailplan/runtime/backup/manifest"
	"github.com/mailplan/mailplan/runtime/backup/offsite"
	"github.com/mailplan/mailplan/runtime/backup/restore"
	"github.com/mailplan/mailplan/runtime/config"
)

// restoring is the command line of restore.
type restoring struct {
	config   string
	from     string
	at       string
	identity string
	trust    []string
	scanOnly bool
	json     bool
	wait     bool
	options  restore.Options
}

func newRestoreCmd() *cobra.Command {
	c := &restoring{}
	cmd := &cobra.Command{
		Use:   "restore",
		Short: "Bring data back from a backup: everything, a class, a person, a folder, a point in time",
		Long: `Bring data back from a backup.

Whole classes are staged beside the live data, checked and scanned, then swapped
in; what was there is kept in .mailpland-before-DATE. Stop the services first.
--user adds one person's mail to the mailbox in use, below the folder Restored,
and touches nothing else. An interrupted restore goes on when it is run again;
with --journal it leaves out the classes that an earlier call brought back whole.`,
		Args: cobra.NoArgs,
	}
	f := cmd.Flags()
	f.StringVar(&c.config, "config", defaultConfig, "the daemon's configuration file")
	f.StringVar(&c.from, "from", "", "the backup: a folder such as STORE/daily/YYYY-MM-DD, s3://BUCKET/PREFIX for the newest off-site one, or s3://BUCKET/PREFIX@YYYY-MM-DD; default the newest local one")
	f.StringVar(&c.at, "at", "", "the newest backup not after this time (RFC 3339, or YYYY-MM-DD)")
	f.StringVar(&c.identity, "identity", "", "age identity file that opens the backup, - for standard input (required)")
	f.StringSliceVar(&c.trust, "trust", nil, "public signing key to believe, on a host without configuration")
	f.StringSliceVar(&c.options.Components, "component", []string{"all"}, "classes to restore")
	f.StringVar(&c.options.User, "user", "", "only the mail of this user, localpart@domain, added below Restored")
	f.StringVar(&c.options.Folder, "folder", "", "only this folder of the user, such as INBOX")
	f.BoolVar(&c.options.OnlyMissing, "only-missing", false, "only messages the user's mailbox does not hold in any folder")
	f.BoolVar(&c.options.DryRun, "dry-run", false, "change nothing, say what would be restored")
	f.StringVar(&c.options.Target, "target", "", "put the classes into this folder instead of where they live")
	f.BoolVar(&c.options.NoScan, "no-scan", false, "do not ask the virus scanner; mailpland scan does that later")
	f.StringVar(&c.options.Journal, "journal", "", "file that remembers which classes are back: a call with the same one goes on after those, however long ago it was")
	f.BoolVar(&c.scanOnly, "scan-only", false, "restore into a scratch folder, scan it, report, remove it")
	f.BoolVar(&c.wait, "wait", false, "wait for another backup, restore or drill to end")
	f.BoolVar(&c.json, "json", false, "print the report as JSON")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return c.run(cmd) }
	return cmd
}

func (c *restoring) run(cmd *cobra.Command) error {
	conf, trusted, err := c.load()
	if err != nil {
		return err
	}
	if c.identity == "" {
		return errors.New("--identity: name the age identity file that opens the backup")
	}
	release, err := lock(cmd.Context(), conf.State, c.wait)
	if err != nil {
		return err
	}
	defer release()
	identities, err := readIdentities(c.identity)
	if err != nil {
		return err
	}
	source, err := c.source(cmd.Context(), conf, trusted)
	if err != nil {
		return err
	}
	snapshot, err := extract.Open(cmd.Context(), source, trusted, identities, conf.State)
	if err != nil {
		return err
	}
	defer snapshot.Close()
	if c.scanOnly {
		return c.scan(cmd, conf, snapshot)
	}
	report, err := c.restore(cmd, conf, snapshot)
	return errors.Join(err, c.print(cmd.OutOrStdout(), report))
}

// lock keeps others off, at once or when they have ended.
func lock(ctx context.Context, state string, wait bool) (release func(), err error) {
	for {
		release, err = backup.Lock(state)
		if !wait || !errors.Is(err, backup.ErrBusy) {
			return release, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(time.Second):
		}
	}
}

// load reads the configuration, or makes do without on an empty host.
func (c *restoring) load() (config.Backup, []ed25519.PublicKey, error) {
	var trusted []ed25519.PublicKey
	for _, text := range c.trust {
		key, err := manifest.ParseKey(text)
		if err != nil {
			return config.Backup{}, nil, fmt.Errorf("--trust: %w", err)
		}
		trusted = append(trusted, key)
	}
	conf, err := config.Load(c.config)
	if errors.Is(err, os.ErrNotExist) && c.options.Target != "" {
		return config.Backup{State: filepath.Join(c.options.Target, restore.Reserved+"state")}, trusted, nil
	}
	if err != nil {
		return config.Backup{}, nil, err
	}
	if conf.Backup == nil {
		return config.Backup{}, nil, fmt.Errorf("%s has no backup part", c.config)
	}
	own, err := backup.Trusted(*conf.Backup)
	return *conf.Backup, append(trusted, own...), err
}

// source finds the backup.
func (c *restoring) source(ctx context.Context, conf config.Backup, trusted []ed25519.PublicKey) (extract.Source, error) {
	before, err := c.before(conf)
	if err != nil {
		return nil, err
	}
	if place, ok := strings.CutPrefix(c.from, "s3://"); ok {
		return offsiteSource(ctx, conf, place, before)
	}
	if c.from != "" {
		return extract.Folder(c.from), nil
	}
	if conf.Local.Path == "" {
		return nil, errors.New("--from: name the backup")
	}
	all, err := local.Store{Path: conf.Local.Path, Trusted: trusted}.Snapshots()
	if err != nil {
		return nil, err
	}
	for i := len(all) - 1; i >= 0; i-- {
		if all[i].Complete() && (before.IsZero() || !all[i].Head.Started.After(before)) {
			return extract.Folder(all[i].Dir), nil
		}
	}
	return nil, fmt.Errorf("%s holds no complete backup from then or before", conf.Local.Path)
}

// offsiteSource finds a backup in a bucket: BUCKET[/PREFIX][@SNAPSHOT], the newest if none is named.
func offsiteSource(ctx context.Context, conf config.Backup, place string, before time.Time) (extract.Source, error) {
	place, wanted, _ := strings.Cut(place, "@")
	name, prefix, _ := strings.Cut(place, "/")
	bucket, err := offsite.FromEnvironment(name, prefix)
	if conf.Offsite != nil && conf.Offsite.Bucket == name {
		bucket, err = offsite.New(*conf.Offsite)
	}
	if err != nil {
		return nil, err
	}
	all, err := bucket.Snapshots(ctx)
	if err != nil {
		return nil, err
	}
	for i := len(all) - 1; i >= 0; i-- {
		if wanted != "" && all[i].Name != wanted && all[i].Date() != wanted || !before.IsZero() && all[i].Date() > before.Format(time.DateOnly) {
			continue
		}
		return all[i], nil
	}
	return nil, fmt.Errorf("bucket %s holds no such backup", name)
}

// before is the time of --at; a date alone means its end.
func (c *restoring) before(conf config.Backup) (time.Time, error) {
	if c.at == "" {
		return time.Time{}, nil
	}
	zone, err := time.LoadLocation(conf.Schedule.TimeZone)
	if err != nil {
		return time.Time{}, err
	}
	if day, err := time.ParseInLocation(time.DateOnly, c.at, zone); err == nil {
		return day.AddDate(0, 0, 1).Add(-time.Nanosecond), nil
	}
	t, err := time.Parse(time.RFC3339, c.at)
	if err != nil {
		return t, fmt.Errorf("--at: %q is neither YYYY-MM-DD nor a time such as 2026-11-21T03:00:00Z", c.at)
	}
	return t, nil
}

func (c *restoring) restore(cmd *cobra.Command, conf config.Backup, snapshot *extract.Snapshot) (restore.Report, error) {
	bar := newProgress(cmd.ErrOrStderr(), "restore")
	defer bar.end()
	c.options.Workers = runtime.GOMAXPROCS(0)
	c.options.Progress = bar.files
	c.options.Log = slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), nil))
	r := restore.Restorer{Config: conf, Snapshot: snapshot, Options: c.options}
	return r.Run(cmd.Context())
}

// scan restores into a scratch folder, scans that and the host, and removes it.
func (c *restoring) scan(cmd *cobra.Command, conf config.Backup, snapshot *extract.Snapshot) error {
	program := conf.Restore.ClamScan
	if program == "" {
		program = "clamscan"
	}
	scratch, err := os.MkdirTemp(conf.State, "scan-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	c.options.Target = scratch
	report, err := c.restore(cmd, conf, snapshot)
	if err != nil {
		return err
	}
	if report.Infected, err = restore.ScanTree(cmd.Context(), program, scratch); err != nil {
		return err
	}
	if conf.Restore.Rkhunter != "" {
		said, err := restore.CheckHost(cmd.Context(), conf.Restore.Rkhunter)
		if err != nil {
			return err
		}
		report.Notes = append(report.Notes, "rkhunter about this host (not about the backup): "+said)
	}
	if err := c.print(cmd.OutOrStdout(), report); err != nil {
		return err
	}
	if n := len(report.Infected); n > 0 {
		return fmt.Errorf("the scanner found something in %d files", n)
	}
	return nil
}

func (c *restoring) print(w io.Writer, r restore.Report) error {
	if c.json {
		return printJSON(w, r)
	}
	verb := "restored"
	if r.DryRun {
		verb = "would restore"
	}
	fmt.Fprintf(w, "backup of %s (run %d): %s %d files, %s; %d were there already\n", r.Taken.Format("2006-01-02 15:04Z"), r.Sequence, verb, r.Files, size(r.Bytes), r.Present)
	for _, group := range []group{{"to", r.Places}, {"database", r.Databases}, {"what was there is in", r.Before}, {"not scanned for malware", r.Unscanned}, {"INFECTED, in quarantine", r.Infected}, {"note", r.Notes}} {
		group.print(w)
	}
	return nil
}

// group is lines of a report with the same title.
type group struct {
	title string
	lines []string
}

func (g group) print(w io.Writer) {
	for _, line := range g.lines {
		fmt.Fprintf(w, "  %s: %s\n", g.title, line)
	}
}
