package backup

import (
	"context"
	"errors"
	"time"

	"filippo.io/age"
	"github.com/mailplan/mailplan/runtime/backup/audit"
	"github.com/mailplan/mailplan/runtime/backup/local"
)

// Verify audits the local snapshots: every byte of every file, and with identities every file inside
// the newest. Packs found damaged are noted, so that the next run stores their files again; a newest
// snapshot found good is never pruned before another is. The error says everything that is wrong.
func (x *Executor) Verify(ctx context.Context, identities []age.Identity, progress func(int64)) (*audit.Report, error) {
	release, err := Lock(x.config.State)
	if err != nil {
		return nil, err
	}
	defer release()
	o := audit.Options{Identities: identities, Scratch: x.config.State, Workers: x.Workers, Now: x.Now(),
		Deadline: time.Duration(x.config.Schedule.DeadlineHours) * time.Hour, Progress: progress}
	for _, c := range x.config.Classes {
		o.Classes = append(o.Classes, c.Name)
	}
	report, err := audit.Local(ctx, x.store, o)
	if err != nil {
		return nil, err
	}
	return report, errors.Join(report.Err(), x.rememberAudit(report))
}

func (x *Executor) rememberAudit(report *audit.Report) error {
	all, err := x.store.Snapshots()
	if err != nil {
		return err
	}
	newest := local.Newest(all)
	return x.remember(func(r *Record) {
		r.BadPacks = report.Damaged
		for _, f := range report.Snapshots {
			if newest != nil && f.Head == newest.HeadHash && len(f.Wrong) == 0 {
				r.VerifiedHead = f.Head
			}
		}
	})
}
