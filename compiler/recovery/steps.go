package recovery

import (
	"context"
	"errors"
	"fmt"
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

// base starts the database, into which its dump is loaded, and the scanner, if its signatures are needed before all else.
func (r *Recovery) base(ctx context.Context, _ *Report) error {
	needed := []string{"mariadb"}
	if r.scans() && r.Scan == ScanFirst {
		needed = append(needed, "clamav")
	}
	return r.apply(ctx, func(c plan.Change) bool { return slices.Contains(needed, c.ID) }, plan.Containers)
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
	if err := r.apply(ctx, every); err != nil {
		return err
	}
	report.Open = time.Now().UTC()
	return nil
}

// errWaits says that mail is still at the edge.
var errWaits = errors.New("not all of it came; mailplan spool list shows what waits, and recover again waits on")

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
		return errWaits
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
