// Package watch looks at the mail system from its host, where root may ask every program, and lays down what it sees as
// reports for the console, which may ask none: the queue, how full mailboxes are, how backups stand, what the DNS says. A
// source that does not answer spoils its own report only. It changes nothing but the reports, and must not know who reads them.
package watch

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/mailplan/mailplan/runtime/access"
	"github.com/mailplan/mailplan/runtime/config"
	"github.com/mailplan/mailplan/runtime/report"
)

// Watcher looks again and again.
type Watcher struct {
	folder  report.Folder
	sources []source
	log     *slog.Logger
	now     func() time.Time
}

// source is one thing that is looked at.
type source struct {
	name  report.Name
	every time.Duration
	look  func(ctx context.Context, w *Watcher) error
}

// How often things are looked at: what a look costs says how often.
const (
	queueEvery  = time.Minute
	backupEvery = time.Minute
	dnsEvery    = 15 * time.Minute
	usageEvery  = time.Hour
	keysEvery   = time.Hour
	retryAfter  = time.Minute
	patience    = 10 * time.Minute // of one look
)

// New makes a watcher; backups says how they stand, resolver asks the DNS.
func New(c config.Watch, backups func() (*report.Backup, error), resolver Resolver, log *slog.Logger) *Watcher {
	w := &Watcher{folder: report.Folder{Path: c.Folder, Group: c.Group}, log: log, now: time.Now}
	if c.Queue != "" {
		w.add(report.Queued, queueEvery, program(report.Queued, c.Queue, readQueue))
	}
	if c.Usage != "" {
		w.add(report.Used, usageEvery, program(report.Used, c.Usage, readUsage))
	}
	if backups != nil {
		w.add(report.Backups, backupEvery, func(_ context.Context, w *Watcher) error { return put(w, report.Backups, backups) })
	}
	if c.Declared != "" {
		w.add(report.Published, dnsEvery, func(ctx context.Context, w *Watcher) error {
			return put(w, report.Published, func() (*report.DNS, error) { return published(ctx, c, resolver) })
		})
	}
	if c.AccessIssuer != "" {
		w.add(report.AccessKeys, keysEvery, keysFrom(access.URL(c.AccessIssuer)))
	}
	return w
}

func (w *Watcher) add(name report.Name, every time.Duration, look func(context.Context, *Watcher) error) {
	w.sources = append(w.sources, source{name, every, look})
}

// Run looks until ctx ends, at each thing at its own pace.
func (w *Watcher) Run(ctx context.Context) {
	var all sync.WaitGroup
	for _, s := range w.sources {
		all.Go(func() { w.watch(ctx, s) })
	}
	all.Wait()
}

func (w *Watcher) watch(ctx context.Context, s source) {
	for {
		wait := s.every
		if err := w.once(ctx, s); err != nil && ctx.Err() == nil {
			w.log.Warn("not seen", "what", s.name, "error", err)
			wait = retryAfter
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

func (w *Watcher) once(ctx context.Context, s source) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return s.look(ctx, w)
}

// put lays down what a look yields; its error is told there too.
func put[Data any](w *Watcher, name report.Name, see func() (*Data, error)) error {
	data, err := see()
	return errors.Join(err, report.Put(w.folder, name, w.now(), data, err))
}

// program is a look through a program's output.
func program[Data any](name report.Name, path string, read func([]byte) (*Data, error)) func(context.Context, *Watcher) error {
	return func(ctx context.Context, w *Watcher) error {
		return put(w, name, func() (*Data, error) {
			out, err := run(ctx, path)
			if err != nil {
				return nil, err
			}
			return read(out)
		})
	}
}

// keysFrom lays down a team's keys as they come: a set that holds none takes the place of no good one.
func keysFrom(source access.Source) func(context.Context, *Watcher) error {
	return func(ctx context.Context, w *Watcher) error {
		set, err := source(ctx)
		if err == nil {
			_, err = access.Read(set)
		}
		if err != nil {
			return err
		}
		return w.folder.Lay(report.AccessKeys, set)
	}
}
