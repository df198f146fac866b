package backup

import (
	"errors"
	"time"

	"github.com/mailplan/mailplan/runtime/backup/drill"
	"github.com/mailplan/mailplan/runtime/report"
)

// Standing is how backups and drills stand, for people.
func (x *Executor) Standing() (*report.Backup, error) {
	record, err := x.Record()
	if err != nil {
		return nil, err
	}
	receipts, sent := x.Receipts()
	last, held := x.LatestDrill()
	if err := errors.Join(sent, held); err != nil {
		return nil, err
	}
	deadline := time.Duration(x.config.Schedule.DeadlineHours) * time.Hour
	s := &report.Backup{LastRun: told(record.LastRun), LastSuccess: told(record.LastSuccess),
		Overdue: x.Now().Sub(record.lastSuccess()) > deadline, Damaged: len(record.BadPacks), Drill: toldDrill(last)}
	if s.Verified, err = x.verified(record); err != nil {
		return nil, err
	}
	if n := len(receipts); n > 0 {
		s.Offsite = &report.Sent{Folder: receipts[n-1].Folder, At: receipts[n-1].Sent, Locked: receipts[n-1].RetainUntil}
	}
	if err := x.PermitRisk(); err != nil {
		s.Risky = err.Error()
	}
	return s, nil
}

// verified names the snapshot of which every copy was read and found whole; empty when there is none left.
func (x *Executor) verified(record Record) (string, error) {
	all, err := x.store.Snapshots()
	if err != nil {
		return "", err
	}
	for _, one := range all {
		if record.VerifiedHead != "" && one.HeadHash == record.VerifiedHead {
			return one.Kind + "/" + one.Name, nil
		}
	}
	return "", nil
}

func told(r *Result) *report.Run {
	if r == nil {
		return nil
	}
	run := &report.Run{Snapshot: r.Snapshot, Started: r.Started, Finished: r.Finished, Problem: r.Error}
	if r.Head != nil {
		run.Files, run.Bytes, run.Written = r.Head.Files, r.Head.Bytes, r.Head.Written
	}
	return run
}

func toldDrill(r *drill.Receipt) *report.Drill {
	if r == nil {
		return nil
	}
	d := &report.Drill{Snapshot: r.Snapshot, Source: r.Source, Finished: r.Finished, Green: r.Green, RPO: r.RPO, RTO: r.RTO, Files: r.Files}
	for _, c := range r.Checks {
		d.Checks = append(d.Checks, report.Check{Name: c.Name, OK: c.OK, Detail: c.Detail})
	}
	return d
}
