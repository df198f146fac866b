// Package drill proves that a backup restores, by restoring it: into a scratch folder, with an identity
// of its own, every file checked by its hash, the dumps loaded into a throw-away MariaDB, the mail opened
// through a throw-away Dovecot, keys matched to certificates and DNS texts. What it finds goes into a
// signed receipt, with the times a real loss would cost. It touches nothing that is live.
package drill

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/mailplan/mailplan/runtime/backup/extract"
	"github.com/mailplan/mailplan/runtime/backup/redis"
	"github.com/mailplan/mailplan/runtime/backup/restore"
	"github.com/mailplan/mailplan/runtime/config"
)

// Drill is one drill.
type Drill struct {
	Config   config.Backup
	Snapshot *extract.Snapshot
	Source   string // for the receipt
	Key      ed25519.PrivateKey
	Workers  int
	Now      func() time.Time
	Progress func(files int, bytes int64)
}

// Run carries the drill out, keeps its receipt and returns it. The error is of a drill that could not be
// held; what it found wrong is in the receipt.
func (d *Drill) Run(ctx context.Context) (*Receipt, error) {
	head := d.Snapshot.Head
	r := &Receipt{Instance: head.Instance, Source: d.Source, Snapshot: head.Name, Sequence: head.Sequence,
		HeadHash: d.Snapshot.HeadHash, Started: d.Now().UTC()}
	r.RPO = r.Started.Sub(head.Started).Seconds()
	scratch, err := d.scratch()
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(scratch)
	start := time.Now()
	if d.restore(ctx, r, scratch) {
		d.databases(ctx, r, scratch)
		d.mailboxes(ctx, r, scratch)
		r.RTO = time.Since(start).Seconds()
		d.keys(r, scratch)
		d.bundles(ctx, r, scratch)
		d.stores(r, scratch)
		d.scan(ctx, r, scratch)
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	r.Green = len(r.Checks) > 0
	for _, c := range r.Checks {
		r.Green = r.Green && c.OK
	}
	r.Finished = d.Now().UTC()
	return r, keep(d.Config.State, r, d.Key)
}

// scratch makes the folder empty, and such that the throw-away Dovecot may come through to the mail.
func (d *Drill) scratch() (string, error) {
	dir := d.Config.Drill.Scratch
	if dir == "" {
		dir = filepath.Join(d.Config.State, "drill")
	}
	if err := os.RemoveAll(dir); err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o711); err != nil {
		return "", err
	}
	if strings.HasPrefix(dir, d.Config.State+"/") {
		if err := os.Chmod(d.Config.State, 0o711); err != nil { // its files are 0600
			return "", err
		}
	}
	return dir, os.Chmod(dir, 0o711)
}

// restore brings everything into the scratch folder. Each file is checked against its hash on the way.
func (d *Drill) restore(ctx context.Context, r *Receipt, scratch string) bool {
	var missing []string
	for _, c := range d.Config.Classes {
		if d.Snapshot.Head.Class(c.Name) == nil {
			missing = append(missing, c.Name)
		}
	}
	var err error
	if len(missing) > 0 {
		err = fmt.Errorf("declared but not in the snapshot: %s", strings.Join(missing, ", "))
	}
	r.add("classes", fmt.Sprintf("all %d declared classes are in the snapshot", len(d.Config.Classes)), err)

	restorer := restore.Restorer{Config: d.Config, Snapshot: d.Snapshot, Options: restore.Options{Target: scratch, Workers: d.Workers, Progress: d.Progress}}
	report, err := restorer.Run(ctx)
	if err == nil && report.Files != d.Snapshot.Head.Files {
		err = fmt.Errorf("%d files came back, the head says %d", report.Files, d.Snapshot.Head.Files)
	}
	r.Files, r.Bytes = report.Files, report.Bytes
	r.add("files", fmt.Sprintf("%d files came back with their hashes", report.Files), err)
	return err == nil
}

// of returns the classes of a kind.
func (d *Drill) of(kind string) []config.BackupClass {
	var found []config.BackupClass
	for _, c := range d.Config.Classes {
		if c.Kind == kind && d.Snapshot.Head.Class(c.Name) != nil {
			found = append(found, c)
		}
	}
	return found
}

// stores checks that each snapshot of Redis is whole, in itself.
func (d *Drill) stores(r *Receipt, scratch string) {
	for _, c := range d.of("redis") {
		r.add("redis "+c.Name, "the snapshot is whole", redis.Check(filepath.Join(scratch, c.Name, redis.Dump)))
	}
}

// scan looks for viruses in what came back; a find is told, and is no failure of the backup.
func (d *Drill) scan(ctx context.Context, r *Receipt, scratch string) {
	if d.Config.Restore.ClamScan == "" {
		return
	}
	found, err := restore.ScanTree(ctx, d.Config.Restore.ClamScan, scratch)
	r.add("virus scan", fmt.Sprintf("%d files with a find", len(found)), err)
}

func joined(errs []error) error {
	const shown = 5
	if len(errs) > shown {
		errs = append(errs[:shown:shown], fmt.Errorf("and %d more", len(errs)-shown))
	}
	return errors.Join(errs...)
}
