package recovery

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/mailplan/mailplan/compiler/apply/certificate"
	"github.com/mailplan/mailplan/compiler/apply/host"
	"github.com/mailplan/mailplan/compiler/plan"
)

// findData prints the first file below any of the folders.
const findData = `for d; do [ ! -d "$d" ] || find "$d" -type f -print -quit; done | head -n 1`

// empty refuses a host with a project, with its containers, or with files where the data belongs. A folder of local
// backups may have survived.
func (r *Recovery) empty(ctx context.Context) error {
	compose, err := r.Target.Host.Read("docker-compose.yml")
	if err != nil {
		return err
	}
	if compose != nil {
		return fmt.Errorf("%w: a system lies in %s", ErrNotEmpty, r.Site.Host.Root)
	}
	argv := []string{"sh", "-c", findData, "sh"}
	for _, d := range r.Site.Directories() {
		argv = append(argv, d.Path)
	}
	out, err := r.Target.Run(ctx, nil, argv...)
	if err != nil {
		return fmt.Errorf("look for data on the host: %w", err)
	}
	if found := strings.TrimSpace(string(out)); found != "" {
		return fmt.Errorf("%w: it has %s", ErrNotEmpty, found)
	}
	out, err = r.Target.Run(ctx, nil, "docker", "ps", "--all", "--quiet", "--filter", "label=com.docker.compose.project="+r.Site.Name)
	if err != nil {
		return fmt.Errorf("ask the host's Docker: %w", err)
	}
	if n := len(strings.Fields(string(out))); n > 0 {
		return fmt.Errorf("%w: it has %d containers of %s", ErrNotEmpty, n, r.Site.Name)
	}
	return nil
}

// files are what the site alone decides. A certificate comes back with the data, and units run what is not there yet.
func files(c plan.Change) bool {
	return slices.Contains([]string{host.KindDirectory, host.KindFile, host.KindProgram}, c.Kind)
}

func (r *Recovery) lay(ctx context.Context, _ *Report) error { return r.apply(ctx, files, plan.Host) }

// base starts the database, into which its dump is loaded, and the scanner, whose signatures a scan of the data needs.
func (r *Recovery) base(ctx context.Context, _ *Report) error {
	needed := []string{"mariadb"}
	if r.Site.Backup.ScanBeforeRestore && !r.NoScan {
		needed = append(needed, "clamav")
	}
	return r.apply(ctx, func(c plan.Change) bool { return slices.Contains(needed, c.ID) }, plan.Containers)
}

// choose settles on one backup, so that a run which goes on restores the same.
func (r *Recovery) choose(ctx context.Context, report *Report) error {
	report.Backup = r.From
	if off := r.Site.Backup.Offsite; report.Backup == "" && off != nil {
		report.Backup = "s3://" + path.Join(off.S3.Bucket, off.S3.Prefix)
	}
	chosen, err := r.mailpland(ctx, report.Backup, "--dry-run")
	if err != nil {
		return err
	}
	report.Data = Restored{Snapshot: chosen.Snapshot, Sequence: chosen.Sequence, Taken: chosen.Taken}
	if strings.HasPrefix(report.Backup, "s3://") && !strings.Contains(report.Backup, "@") {
		report.Backup += fmt.Sprintf("@%08d-%s", chosen.Sequence, chosen.Snapshot)
	}
	return nil
}

// fromSite are the classes that the site gives, fresher than any backup.
var fromSite = []string{"config", "dkim"}

// classes are those that only a backup has, the accounts before the mail.
func (r *Recovery) classes() []string {
	const accounts = "database"
	var list []string
	for _, class := range r.Site.Backup.Classes {
		switch {
		case class == accounts:
			list = append([]string{accounts}, list...)
		case !slices.Contains(fromSite, class):
			list = append(list, class)
		}
	}
	return list
}

func (r *Recovery) restore(ctx context.Context, report *Report, class string) error {
	args := []string{"--component", class, "--wait"} // for a restore whose caller was cut off
	if r.NoScan {
		args = append(args, "--no-scan")
	}
	said, err := r.mailpland(ctx, report.Backup, args...)
	if err == nil {
		report.Data.add(said)
	}
	return err
}

// add counts what one more class says.
func (d *Restored) add(more Restored) {
	d.Files, d.Bytes, d.Present = d.Files+more.Files, d.Bytes+more.Bytes, d.Present+more.Present
	d.Infected, d.Databases = append(d.Infected, more.Infected...), append(d.Databases, more.Databases...)
	for _, note := range more.Notes {
		if !slices.Contains(d.Notes, note) {
			d.Notes = append(d.Notes, note)
		}
	}
}

// mailpland has the host's own program restore. The identity goes to its standard input, and never onto the host's disk.
func (r *Recovery) mailpland(ctx context.Context, from string, args ...string) (said Restored, err error) {
	root := r.Site.Host.Root
	argv := []string{path.Join(root, "bin", "mailpland"), "restore", "--json", "--identity", "-", "--config", path.Join(root, "config", "runtime", "backup.json")}
	if from != "" {
		argv = append(argv, "--from", from)
	}
	for _, key := range r.Trust {
		argv = append(argv, "--trust", key)
	}
	out, err := r.Target.Run(ctx, bytes.NewReader(r.Identity), append(argv, args...)...)
	if err != nil {
		return said, err
	}
	return said, json.Unmarshal(out, &said)
}

// tunnel is the service by which mail comes in.
const tunnel = "cloudflared"

// start lays the host's files again first, since a restore gives folders the owners that they had, and has something for
// servers to start with where no certificate came back.
func (r *Recovery) start(ctx context.Context, _ *Report) error {
	needed := func(c plan.Change) bool { return files(c) || c.Kind == certificate.KindPair }
	if err := r.apply(ctx, needed, plan.Host); err != nil {
		return err
	}
	return r.apply(ctx, func(c plan.Change) bool { return c.ID != tunnel }, plan.Containers)
}

func (r *Recovery) converge(ctx context.Context, report *Report) error {
	if r.Site.Backup.Offsite != nil {
		report.Notes = append(report.Notes, "the bucket's own settings were not looked at: mailplan status, with the credentials of the account")
	}
	return r.apply(ctx, every)
}

// drain wakes the Worker until nothing waits that was there, or patience ends.
func (r *Recovery) drain(ctx context.Context, report *Report) error {
	if r.Spool == nil {
		return nil
	}
	waiting, dead, err := r.spooled(ctx)
	if err != nil {
		return err
	}
	report.Spool = &Drained{Waited: len(waiting), Left: len(waiting), Dead: dead}
	if len(waiting) == 0 {
		return nil
	}
	if err := r.Spool.Drain(ctx, nil); err != nil {
		return err
	}
	for end := time.Now().Add(r.Patience); time.Now().Before(end) && report.Spool.Left > 0; {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Second):
		}
		now, dead, err := r.spooled(ctx)
		if err != nil {
			return err
		}
		report.Spool.Left, report.Spool.Dead = both(waiting, now), dead
	}
	if report.Spool.Left > 0 {
		return errors.New("not all of it came; mailplan spool list shows what waits, and recover again waits on")
	}
	return nil
}

// spooled are the keys of what waits, and how many letters are dead.
func (r *Recovery) spooled(ctx context.Context) (waiting []string, dead int, err error) {
	all, err := r.Spool.List(ctx)
	for _, l := range all {
		if l.Dead {
			dead++
		} else {
			waiting = append(waiting, l.Key)
		}
	}
	return waiting, dead, err
}

// both counts the keys that two lists have.
func both(a, b []string) (n int) {
	for _, key := range a {
		if slices.Contains(b, key) {
			n++
		}
	}
	return n
}
