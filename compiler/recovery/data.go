package recovery

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"
)

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

// restoring tells what comes back.
func (r *Recovery) restoring() string { return "restore " + strings.Join(r.classes(), ", ") }

// scans reports whether the data is scanned at all.
func (r *Recovery) scans() bool { return r.Site.Backup.ScanBeforeRestore && r.Scan != ScanNever }

// restore brings all classes back in one call, which keeps a journal of its own: cut off, it goes on within a class.
func (r *Recovery) restore(ctx context.Context, report *Report) error {
	done := fmt.Sprintf(".mailplan/restored-%d.json", report.Started.Unix())  // of this recovery and no other
	args := []string{"--component", strings.Join(r.classes(), ","), "--wait", // for a restore whose caller was cut off
		"--journal", path.Join(r.Site.Host.Root, done)}
	if !r.scans() || r.Scan != ScanFirst {
		args = append(args, "--no-scan")
	}
	stop := r.follow(ctx, done)
	said, err := r.mailpland(ctx, report.Backup, args...)
	stop()
	if err == nil {
		report.Data = said
	}
	return err
}

// follow says which classes are back, as the journal of the restore tells it, until it is stopped.
func (r *Recovery) follow(ctx context.Context, file string) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	known := r.back(file)
	go func() {
		defer close(ended)
		for {
			select {
			case <-ctx.Done():
				return
			case <-time.After(time.Second):
			}
			now := r.back(file)
			for _, c := range now[min(len(known), len(now)):] {
				r.Say(fmt.Sprintf("restored %s: %d files in %.1fs", c.Name, c.Files, c.Seconds))
			}
			known = now
		}
	}()
	return func() { cancel(); <-ended }
}

// back are the classes in the journal of the restore: none while there is none.
func (r *Recovery) back(file string) []Class {
	var journal struct{ Report Restored }
	data, err := r.Target.Host.Read(file)
	if err != nil || json.Unmarshal(data, &journal) != nil {
		return nil // it is only for show
	}
	return journal.Report.Classes
}

// mailpland has the host's own program restore. The identity goes to its standard input, and never onto the host's disk.
func (r *Recovery) mailpland(ctx context.Context, from string, args ...string) (said Restored, err error) {
	argv := append(r.program("restore"), "--identity", "-")
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

// scan has scanned where it is what was not scanned on its way.
func (r *Recovery) scan(ctx context.Context, report *Report) error {
	if len(report.Data.Unscanned) == 0 {
		return nil
	}
	out, err := r.Target.Run(ctx, nil, append(r.program("scan"), "--component", strings.Join(r.classes(), ","), "--date", report.Data.Snapshot)...)
	if err != nil {
		return err
	}
	report.Scan = &Scanned{}
	return json.Unmarshal(out, report.Scan)
}

// program is the host's own mailpland, with its configuration.
func (r *Recovery) program(verb string) []string {
	root := r.Site.Host.Root
	return []string{path.Join(root, "bin", "mailpland"), verb, "--json", "--config", path.Join(root, "config", "runtime", "backup.json")}
}
