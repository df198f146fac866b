// Package restore puts the files of a snapshot back: whole classes by staging and swapping, or one
// person's mail into a mailbox in use, without touching what is there. Whatever it is killed in the
// middle of, the same command again goes on. It does not know where the snapshot comes from.
package restore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/mailplan/mailplan/runtime/backup/extract"
	"github.com/mailplan/mailplan/runtime/backup/manifest"
	"github.com/mailplan/mailplan/runtime/config"
)

// Options say what to restore.
type Options struct {
	Components  []string // classes; none, or "all", for every class
	User        string   // localpart@domain: only this person's mail, added below Restored
	Folder      string   // only this folder of User, such as INBOX or Archive.2025
	OnlyMissing bool     // of User: only messages which are nowhere in the mailbox any more
	DryRun      bool     // change nothing, say what would be done
	Target      string   // a folder to put the classes into, instead of where they live
	NoScan      bool     // do not ask the virus scanner; InPlace can do it afterwards
	Journal     string   // a file that remembers, for a caller that may be cut off, which classes are back; none if empty
	Workers     int
	Progress    func(files int, bytes int64)
	Log         *slog.Logger
}

// Report is what a restore did, or would do.
type Report struct {
	Snapshot  string    `json:"snapshot"` // date of the snapshot
	Sequence  int64     `json:"sequence"`
	Taken     time.Time `json:"taken"` // what was changed after this time is not in it
	DryRun    bool      `json:"dryRun,omitempty"`
	Files     int64     `json:"files"` // restored
	Bytes     int64     `json:"bytes"`
	Present   int64     `json:"present"`             // files not restored since they are there already
	Places    []string  `json:"places,omitempty"`    // where the files are now
	Before    []string  `json:"before,omitempty"`    // where what was there before has been kept
	Infected  []string  `json:"infected,omitempty"`  // files the scanner found something in; moved to quarantine
	Unscanned []string  `json:"unscanned,omitempty"` // places whose files the scanner has not looked at
	Databases []string  `json:"databases,omitempty"` // loaded
	Classes   []Class   `json:"classes,omitempty"`   // those that are back, in this order
	Notes     []string  `json:"notes,omitempty"`     // what the administrator should know or do
}

// Class is what the restore of one class took.
type Class struct {
	Name    string  `json:"name"`
	Files   int64   `json:"files"` // with those that were there already
	Seconds float64 `json:"seconds"`
}

// Restorer restores from one snapshot to one host.
type Restorer struct {
	Config   config.Backup
	Snapshot *extract.Snapshot
	Options  Options
	report   Report
}

// order is in which order classes come back: accounts before mail, mail before what serves it.
var order = []string{"database", "mailboxes", "config", "tls", "dkim"}

// synonyms are the component names of the original scripts.
var synonyms = map[string]string{"mysql": "database", "configs": "config", "ssl": "tls"}

// Run restores.
func (r *Restorer) Run(ctx context.Context) (Report, error) {
	head := r.Snapshot.Head
	r.report = Report{Snapshot: head.Name, Sequence: head.Sequence, Taken: head.Started, DryRun: r.Options.DryRun}
	if r.Options.Progress == nil {
		r.Options.Progress = func(int, int64) {}
	}
	if err := r.check(); err != nil {
		return r.report, err
	}
	if r.Options.User != "" {
		return r.report, r.user(ctx)
	}
	names, err := r.classes()
	if err != nil {
		return r.report, err
	}
	return r.report, r.all(ctx, names)
}

// all restores the classes that the journal does not have.
func (r *Restorer) all(ctx context.Context, names []string) error {
	j, err := r.openJournal()
	if err != nil {
		return err
	}
	for _, name := range names {
		if slices.ContainsFunc(r.report.Classes, func(c Class) bool { return c.Name == name }) {
			continue
		}
		start, before := time.Now(), r.report.Files+r.report.Present
		if err := r.class(ctx, name); err != nil {
			return fmt.Errorf("restore %s: %w", name, err)
		}
		files := r.report.Files + r.report.Present - before
		r.report.Classes = append(r.report.Classes, Class{name, files, time.Since(start).Seconds()})
		if err := j.note(r.report); err != nil {
			return err
		}
	}
	return nil
}

func (r *Restorer) check() error {
	o := r.Options
	switch {
	case o.Folder != "" && o.User == "":
		return errors.New("a folder is of somebody: name the user too")
	case o.OnlyMissing && o.User == "":
		return errors.New("only-missing is for one user's mailbox: name the user")
	case o.Journal != "" && (o.User != "" || o.DryRun || o.Target != ""):
		return errors.New("a journal is for classes that go back to where they live")
	case o.User != "" && !validUser(o.User):
		return fmt.Errorf("%q is not a user such as alice@example.com", o.User)
	}
	return nil
}

// classes returns the classes asked for, in order of restoring.
func (r *Restorer) classes() ([]string, error) {
	var all []string
	for _, c := range r.Snapshot.Head.Classes {
		all = append(all, c.Name)
	}
	chosen := all
	if asked := r.Options.Components; len(asked) > 0 && !slices.Contains(asked, "all") {
		chosen = nil
		for _, name := range asked {
			if real, ok := synonyms[name]; ok && !slices.Contains(all, name) {
				name = real
			}
			if !slices.Contains(all, name) {
				return nil, fmt.Errorf("the snapshot holds no class %q; it holds %s", name, strings.Join(all, ", "))
			}
			chosen = append(chosen, name)
		}
	}
	slices.SortStableFunc(chosen, func(a, b string) int { return rank(a) - rank(b) })
	return slices.Compact(chosen), nil
}

func rank(class string) int {
	if i := slices.Index(order, class); i >= 0 {
		return i
	}
	return len(order)
}

// class restores one class.
func (r *Restorer) class(ctx context.Context, name string) error {
	inHead := r.Snapshot.Head.Class(name)
	if inHead.Error != "" {
		return fmt.Errorf("the snapshot lacks it: %s", inHead.Error)
	}
	if r.Options.DryRun {
		return r.count(name)
	}
	if r.Options.Target != "" {
		dir := filepath.Join(r.Options.Target, name)
		if err := r.stageInto(ctx, name, dir); err != nil {
			return err
		}
		return syncDisk(dir)
	}
	declared := slices.IndexFunc(r.Config.Classes, func(c config.BackupClass) bool { return c.Name == name })
	if declared < 0 {
		return errors.New("the configuration does not say where it lives: give a target folder")
	}
	switch c := r.Config.Classes[declared]; c.Kind {
	case "mariadb":
		return r.database(ctx, c)
	case "git":
		return r.repository(ctx, c)
	default:
		return r.replace(ctx, c)
	}
}

func (r *Restorer) count(class string) error {
	return r.Snapshot.Entries(func(e manifest.Entry) error {
		if e.Kind == manifest.File && e.Class() == class {
			r.report.Files++
			r.report.Bytes += e.Size
		}
		return nil
	})
}

func (r *Restorer) note(format string, args ...any) {
	r.report.Notes = append(r.report.Notes, fmt.Sprintf(format, args...))
}
