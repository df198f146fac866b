package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mailplan/mailplan/compiler"
	"github.com/mailplan/mailplan/compiler/apply/letters"
	"github.com/mailplan/mailplan/compiler/live"
	"github.com/mailplan/mailplan/compiler/recovery"
)

// recovering is what recover is told.
type recovering struct {
	identity  string
	scanFirst bool
	noScan    bool
	json      bool
	recovery.Recovery
}

func (c *cli) newRecover() *cobra.Command {
	var o recovering
	cmd := &cobra.Command{
		Use:   "recover [SITE] --identity FILE",
		Short: "Rebuild a host that has lost everything, from the site, a backup and one age key",
		Long: `recover makes an empty host with Docker the mail system that it was: files, keys and secrets come from the site, mail,
accounts, passwords and what the filter has learnt from the newest backup off-site; mail waits at the edge until all of
that is back, and then comes in. The age key opens the site's secrets, among them those of the bucket, and the backup.
Nothing else is needed.

All mail was scanned for malware when it came in. It is scanned once more, with the signatures of today, when people have
it back: what is found moves to quarantine and is reported. After a break-in, --scan-first scans all of it before any
service starts, which takes hours where there is much.

It works on an empty host only. Cut off, it goes on when it is called again, from wherever that is. A part of the data
is brought back by mailpland restore, on the host.

  mailplan recover --identity key.txt
  mailplan recover --identity key.txt --from s3://home-mail-backup@2026-11-21`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return c.recover(cmd.Context(), args, o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.identity, "identity", "", "age identity file that opens the secrets and the backup (required)")
	f.StringVar(&o.From, "from", "", "another backup than the newest: s3://BUCKET/PREFIX@YYYY-MM-DD, or a folder on the host")
	f.StringSliceVar(&o.Trust, "trust", nil, "public signing key of the backup to believe, where it is neither that of the secrets nor among backup: signers")
	f.BoolVar(&o.scanFirst, "scan-first", false, "have the data scanned for malware before any service starts, not when mail is back")
	f.BoolVar(&o.noScan, "no-scan", false, "do not have the data scanned for malware")
	f.DurationVar(&o.Patience, "patience", 10*time.Minute, "how long the mail at the edge may take to come in")
	f.BoolVar(&o.json, "json", false, "print the report as JSON")
	cmd.MarkFlagsMutuallyExclusive("scan-first", "no-scan")
	return cmd
}

func (c *cli) recover(ctx context.Context, args []string, o recovering) (err error) {
	if o.identity == "" {
		return errors.New("--identity: name the file with the age key that opens the secrets and the backup")
	}
	if o.Identity, err = os.ReadFile(o.identity); err != nil {
		return err
	}
	site, err := c.load(args, nil)
	if err != nil {
		return err
	}
	closer, err := o.open(ctx, site)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closer()) }()
	switch {
	case o.scanFirst:
		o.Scan = recovery.ScanFirst
	case o.noScan:
		o.Scan = recovery.ScanNever
	}
	o.Say = func(what string) { c.say("%s", what) }
	o.Progress = c.progress()
	report, err := o.Run(ctx)
	c.clear()
	if errors.Is(err, recovery.ErrNotEmpty) {
		c.say("refused: %v; recover rebuilds an empty host, and mailpland restore brings back a part", err)
		return quit{exitRefused}
	}
	if err != nil {
		return fmt.Errorf("%w\nrecover again goes on from here", err)
	}
	return c.recovered(report, o.json)
}

// open reaches the host with the secrets that the identity opens.
func (o *recovering) open(ctx context.Context, site *compiler.Site) (func() error, error) {
	tree, err := site.Tree()
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	options := live.Options{Dir: site.Source.Dir, Site: site.Model, Tree: tree, Holder: holder(), Env: o.env, Programs: filepath.Dir(self)}
	t, err := live.Open(ctx, options)
	if err != nil {
		return nil, err
	}
	o.Site, o.Target, o.Revision, o.Tree = site.Model, t.Target, head(site), compiler.Digest(tree)
	if site.Model.Edge.Spool.Enabled {
		account, err := live.Account(options)
		if err != nil {
			return nil, errors.Join(err, t.Close())
		}
		o.Spool = &letters.Spool{Account: account, Names: site.Model.Edge.Spool}
	}
	return t.Close, nil
}

// env has the key that was named in the place of any other.
func (o *recovering) env(name string) string {
	switch {
	case name == "SOPS_AGE_KEY_FILE":
		return o.identity
	case strings.HasPrefix(name, "SOPS_AGE_"):
		return ""
	}
	return os.Getenv(name)
}

func (c *cli) recovered(r *recovery.Report, asJSON bool) error {
	if asJSON {
		return c.json(r)
	}
	fmt.Fprintf(c.out, "%s is back: people had their mail after %s, all was done after %s\n", r.Site, since(r.Started, r.Open), since(r.Started, r.Finished))
	fmt.Fprintf(c.out, "  backup of %s (run %d): %d files, %s, databases %s\n", r.Data.Taken.Format("2006-01-02 15:04Z"), r.Data.Sequence,
		r.Data.Files+r.Data.Present, megabytes(r.Data.Bytes), strings.Join(r.Data.Databases, ", "))
	fmt.Fprintf(c.out, "  what changed between %s and the loss is not in it\n", r.Data.Taken.Format("2006-01-02 15:04Z"))
	if s := r.Spool; s != nil {
		fmt.Fprintf(c.out, "  mail that had waited at the edge: %s came in, %s\n", count(s.Waited-s.Left, "message"), count(s.Dead, "dead letter"))
	}
	c.scanned(r)
	for _, note := range append(r.Data.Notes, r.Notes...) {
		fmt.Fprintf(c.out, "  note: %s\n", note)
	}
	for _, s := range r.Steps {
		fmt.Fprintf(c.out, "  %6.1fs %s\n", s.Seconds, s.Name)
	}
	return nil
}

func since(start, end time.Time) time.Duration { return end.Sub(start).Round(time.Second) }

// scanned tells what was scanned, when, and what was found.
func (c *cli) scanned(r *recovery.Report) {
	found := r.Data.Infected
	switch {
	case r.Scan != nil:
		fmt.Fprintf(c.out, "  scanned for malware when mail was back, in %s: %s\n", since(r.Scan.Started, r.Scan.Finished), strings.Join(r.Scan.Places, ", "))
		found = append(found, r.Scan.Infected...)
		for _, path := range r.Scan.Left {
			fmt.Fprintf(c.out, "  INFECTED, and left since a server has it open: %s\n", path)
		}
		for _, note := range r.Scan.Notes {
			fmt.Fprintf(c.out, "  note: %s\n", note)
		}
	case len(r.Data.Unscanned) > 0:
		fmt.Fprintf(c.out, "  NOT scanned for malware: %s\n", strings.Join(r.Data.Unscanned, ", "))
	default:
		fmt.Fprintln(c.out, "  scanned for malware before any service started")
	}
	for _, path := range found {
		fmt.Fprintf(c.out, "  INFECTED, in quarantine: %s\n", path)
	}
}

func megabytes(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }
