// Package recovery makes a host that has lost everything what it was: the site gives its files and secrets, a backup its
// data, and the edge the mail that came meanwhile. It goes on where it was cut off, by a journal on the host that it
// rebuilds, so that nobody can take the steps of one host for those of another. It drives the planes and the host's own
// mailpland, and knows neither a provider nor the format of a backup.
package recovery

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/mailplan/mailplan/compiler/apply"
	"github.com/mailplan/mailplan/compiler/apply/host"
	"github.com/mailplan/mailplan/compiler/apply/letters"
	"github.com/mailplan/mailplan/compiler/converge"
	"github.com/mailplan/mailplan/compiler/model"
	"github.com/mailplan/mailplan/compiler/plan"
)

// Recovery is of one site's host.
type Recovery struct {
	Site     *model.Site
	Revision string // of the site
	Tree     string // digest of what it compiles to
	Target   *converge.Target
	Identity []byte   // age identities, as in their file; one opens the backup
	From     string   // the backup, as mailpland restore takes it; empty for the newest, off-site where there is a bucket
	Trust    []string // further signing keys to believe
	Scan     Scan
	Spool    *letters.Spool
	// Patience is how long the spool may take to drain.
	Patience time.Duration
	// Say is told what is being done. Progress is that of an apply.
	Say      func(what string)
	Progress apply.Progress
}

// Scan is when the data is scanned for malware.
type Scan string

// The times there are. All that is in a backup was scanned when it came in as mail, so people have theirs before it is
// scanned once more, which takes hours where there is much: but not where the host was broken into.
const (
	ScanAfter Scan = ""      // when the mail is back and what waited has come in
	ScanFirst Scan = "first" // before any service sees it
	ScanNever Scan = "never"
)

// Report is what a recovery did. It is its journal, too: what it holds was done.
type Report struct {
	Site     string    `json:"site"`
	Revision string    `json:"revision,omitempty"`
	Started  time.Time `json:"started"`
	Open     time.Time `json:"open,omitzero"` // when people had their mail, and mail came in again
	Finished time.Time `json:"finished,omitzero"`
	Backup   string    `json:"backup,omitempty"` // where it was read from
	Scanning Scan      `json:"scanning,omitempty"`
	Data     Restored  `json:"data"`
	Steps    []Step    `json:"steps"`
	Spool    *Drained  `json:"spool,omitempty"` // nil where the site has none
	Scan     *Scanned  `json:"scan,omitempty"`  // of the data in its place; nil where there was none
	Notes    []string  `json:"notes,omitempty"`
}

// Step is one that is done.
type Step struct {
	Name    string  `json:"name"`
	Seconds float64 `json:"seconds"` // of the run that came to its end
}

// Restored is what mailpland restore says of itself, of all classes together.
type Restored struct {
	Snapshot  string    `json:"snapshot"`
	Sequence  int64     `json:"sequence"`
	Taken     time.Time `json:"taken"`
	Files     int64     `json:"files"`
	Bytes     int64     `json:"bytes"`
	Present   int64     `json:"present"` // there already, from a run that was cut off
	Infected  []string  `json:"infected"`
	Unscanned []string  `json:"unscanned"` // places that were not scanned before services saw them
	Databases []string  `json:"databases"`
	Notes     []string  `json:"notes"`
	Classes   []Class   `json:"classes"` // in the order in which they came back
}

// Class is what one class took.
type Class struct {
	Name    string  `json:"name"`
	Files   int64   `json:"files"`
	Seconds float64 `json:"seconds"`
}

// Scanned is what mailpland scan says of itself.
type Scanned struct {
	Started  time.Time `json:"started"`
	Finished time.Time `json:"finished"`
	Places   []string  `json:"places"`
	Infected []string  `json:"infected"` // in quarantine
	Left     []string  `json:"left"`     // where they were, since a server has them open
	Notes    []string  `json:"notes"`
}

// Drained is what became of the mail that had come meanwhile.
type Drained struct {
	Waited int `json:"waited"` // messages
	Left   int `json:"left"`   // of these, still waiting
	Dead   int `json:"dead"`   // letters that nobody tries again by himself
}

// journalFile lies below the host's root.
const journalFile = ".mailplan/recovery.json"

// ErrNotEmpty says that the host has data or services that no recovery has put there.
var ErrNotEmpty = errors.New("the host is not empty")

// step is one, made again from its start when it was cut off.
type step struct {
	name string
	what string
	run  func(*Recovery, context.Context, *Report) error
}

// steps are in the order that holds mail back: nothing takes mail before all that takes part in it is as it was.
func (r *Recovery) steps() []step {
	list := []step{
		{"lay", "lay folders, files, secrets and programs", (*Recovery).lay},
		{"base", "start what the data needs", (*Recovery).base},
		{"choose", "find the backup", (*Recovery).choose},
		{"restore", r.restoring(), (*Recovery).restore},
		{"start", "start all services but the tunnel", (*Recovery).start},
		{"converge", "bring everything to the site, and let mail in", (*Recovery).converge},
		{"drain", "take the mail that waits at the edge", (*Recovery).drain},
	}
	if r.scans() {
		list = append(list, step{"scan", "scan for malware what was restored, while mail goes on", (*Recovery).scan})
	}
	return list
}

// Run recovers, or goes on with what an earlier run did not finish. What still waits at the edge keeps nothing else waiting.
func (r *Recovery) Run(ctx context.Context) (*Report, error) {
	report, err := r.begin(ctx)
	if err != nil {
		return report, err
	}
	var waits error
	for _, s := range r.steps() {
		if slices.ContainsFunc(report.Steps, func(done Step) bool { return done.Name == s.name }) {
			continue
		}
		err := r.do(ctx, s, report)
		if errors.Is(err, errWaits) {
			waits = err
		} else if err != nil {
			return report, err
		}
	}
	if waits != nil {
		return report, waits
	}
	report.Finished = time.Now().UTC()
	return report, r.note(report)
}

// do carries a step out and notes that it is done.
func (r *Recovery) do(ctx context.Context, s step, report *Report) error {
	r.Say(s.what)
	start := time.Now()
	if err := s.run(r, ctx, report); err != nil {
		return fmt.Errorf("%s: %w", s.what, err)
	}
	report.Steps = append(report.Steps, Step{s.name, time.Since(start).Seconds()})
	return r.note(report)
}

// begin takes up the journal of a recovery that was cut off, or begins one on an empty host.
func (r *Recovery) begin(ctx context.Context) (*Report, error) {
	known, err := r.Target.Host.Read(journalFile)
	if err != nil {
		return nil, fmt.Errorf("read the journal of the recovery: %w", err)
	}
	report := &Report{Site: r.Site.Name, Revision: r.Revision, Started: time.Now().UTC(), Scanning: r.Scan}
	if known != nil {
		if err := json.Unmarshal(known, report); err != nil {
			return nil, fmt.Errorf("read the journal of the recovery: %w", err)
		}
		if report.Finished.IsZero() {
			r.Scan = cmp.Or(r.Scan, report.Scanning) // what was asked for once needs no second time
			report.Scanning = r.Scan
			return report, nil
		}
		return nil, fmt.Errorf("%w: it was recovered at %s", ErrNotEmpty, report.Finished.Format(time.RFC3339))
	}
	if err := r.empty(ctx); err != nil {
		return nil, err
	}
	return report, r.note(report)
}

// note writes the journal.
func (r *Recovery) note(report *Report) error {
	data, err := json.MarshalIndent(report, "", " ")
	if err != nil {
		return err
	}
	if err := r.Target.Host.Write(journalFile, append(data, '\n'), host.Info{Mode: 0o600, UID: -1, GID: -1}); err != nil {
		return fmt.Errorf("write the journal of the recovery: %w", err)
	}
	return nil
}

// apply carries out those changes of a plan over some planes that are wanted; no planes are all but the cloud, where
// the backup came from and whose keys a recovery does not ask for.
func (r *Recovery) apply(ctx context.Context, wanted func(plan.Change) bool, planes ...plan.Plane) error {
	part := *r.Target
	part.Planes = slices.DeleteFunc(slices.Clone(part.Planes), func(p apply.Plane) bool {
		return p.Name() == plan.Cloud || len(planes) > 0 && !slices.Contains(planes, p.Name())
	})
	p, err := part.Plan(ctx, r.Site, r.Revision, r.Tree)
	if err != nil {
		return err
	}
	p.Changes = slices.DeleteFunc(p.Changes, func(c plan.Change) bool { return !wanted(c) })
	if p.Empty() {
		return nil
	}
	if len(p.Refusals) > 0 || p.Irreversible() > 0 {
		return errors.New("the plan has steps that only a person may allow: look at mailplan diff, run mailplan apply, then recover again")
	}
	return apply.Run(ctx, p, part.Planes, r.Target.Journal, r.Progress)
}

func every(plan.Change) bool { return true }
