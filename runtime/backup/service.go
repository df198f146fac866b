package backup

import (
	"context"
	"errors"
	"time"

	"github.com/mailplan/mailplan/runtime/backup/schedule"
)

// Service makes backups and holds drills as they fall due, one at a time.
type Service struct {
	x        *Executor
	schedule schedule.Schedule

	// Tick is how often the clock is looked at. It is short, and each time the wall clock decides, so
	// that a clock which is set, or a host which slept, changes nothing.
	Tick time.Duration
	// Retry is how long a failure rests before the next try.
	Retry time.Duration

	failed map[string]time.Time // when each kind of work last failed
}

// NewService returns the Service of an executor.
func NewService(x *Executor) (*Service, error) {
	s, err := schedule.New(x.config.Schedule, x.config.Drill, x.config.Instance)
	if err != nil {
		return nil, err
	}
	return &Service{x: x, schedule: s, Tick: 30 * time.Second, Retry: 30 * time.Minute, failed: map[string]time.Time{}}, nil
}

// Run works until ctx ends.
func (s *Service) Run(ctx context.Context) {
	for {
		s.Step(ctx)
		select {
		case <-ctx.Done():
			return
		case <-time.After(s.Tick):
		}
	}
}

// redRest is how long a red drill rests: each one reads everything from the bucket, which costs money.
const redRest = 24 * time.Hour

// Step does what is due now, if anything is.
func (s *Service) Step(ctx context.Context) {
	now := s.x.Now()
	record, err := s.x.Record()
	if err != nil {
		s.x.Log.Error("backup: what is known of earlier runs cannot be read", "error", err)
		return
	}
	if s.schedule.BackupDue(now, record.lastSuccess()) {
		s.try(now, "backup", func() error { return s.backup(ctx, s.schedule.FullDue(now, record.LastFull)) })
	}
	if s.x.config.Offsite != nil {
		s.try(now, "sync", func() error { return s.sync(ctx) })
	}
	if s.drillDue(now) {
		s.try(now, "drill", func() error {
			r, err := s.x.Drill(ctx)
			if r != nil {
				s.x.Log.Info("drill held", "green", r.Green, "rpoSeconds", r.RPO, "rtoSeconds", r.RTO)
			}
			return err
		})
	}
	if record, err = s.x.Record(); err == nil && s.schedule.Overdue(now, record.lastSuccess()) {
		s.x.Log.Error("backup: no success within the deadline", "last", record.lastSuccess(), "hours", s.x.config.Schedule.DeadlineHours)
	}
}

// try does a piece of work, unless it failed a short while ago.
func (s *Service) try(now time.Time, what string, work func() error) {
	if since := now.Sub(s.failed[what]); since >= 0 && since < s.Retry {
		return
	}
	err := work()
	if err == nil {
		delete(s.failed, what)
		return
	}
	if errors.Is(err, ErrBusy) || errors.Is(err, context.Canceled) {
		return // somebody does it by hand, or we are stopping
	}
	s.failed[what] = now
	s.x.Log.Error(what+" failed", "error", err, "nextTry", now.Add(s.Retry))
}

func (s *Service) backup(ctx context.Context, full bool) error {
	r, err := s.x.Run(ctx, RunOptions{Full: full})
	if r.Head != nil {
		s.x.Log.Info("backup made", "snapshot", r.Snapshot, "files", r.Head.Files, "bytes", r.Head.Bytes, "written", r.Head.Written, "full", full)
	}
	return err
}

// sync sends the newest snapshot, if it is not off-site.
func (s *Service) sync(ctx context.Context) error {
	receipts, err := s.x.Receipts()
	if err != nil || s.x.newestIsSent(receipts) == nil {
		return err
	}
	r, err := s.x.Sync(ctx, nil)
	if err == nil {
		s.x.Log.Info("backup sent off-site", "run", r.Sequence, "objects", len(r.Objects), "sent", r.SentBytes, "lockedUntil", r.RetainUntil)
	}
	return err
}

func (s *Service) drillDue(now time.Time) bool {
	record, err := s.x.Record()
	if err != nil || record.LastSuccess == nil || s.x.config.Drill.IdentityFile == "" {
		return false
	}
	last, err := s.x.LatestDrill()
	if err != nil || last == nil {
		return true
	}
	if !last.Green {
		return now.Sub(last.Finished) >= redRest
	}
	return s.schedule.DrillDue(now, last.Finished)
}
