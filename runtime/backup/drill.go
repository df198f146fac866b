package backup

import (
	"context"
	"errors"
	"fmt"
	"time"

	"filippo.io/age"

	"github.com/mailplan/mailplan/runtime/backup/drill"
	"github.com/mailplan/mailplan/runtime/backup/extract"
	"github.com/mailplan/mailplan/runtime/backup/local"
)

// Drill restores the newest off-site snapshot, or without a bucket the newest local one, into scratch
// and keeps a signed receipt of what came of it. A red receipt is an error too.
func (x *Executor) Drill(ctx context.Context) (*drill.Receipt, error) {
	release, err := Lock(x.config.State)
	if err != nil {
		return nil, err
	}
	defer release()
	if err := x.prepareKey(); err != nil {
		return nil, err
	}
	identities, err := x.drillIdentities()
	if err != nil {
		return nil, err
	}
	source, name, err := x.drillSource(ctx)
	if err != nil {
		return nil, err
	}
	snapshot, err := extract.Open(ctx, source, x.store.Trusted, identities, x.config.State)
	if err != nil {
		return nil, fmt.Errorf("drill: %w", err)
	}
	defer snapshot.Close()
	d := drill.Drill{Config: x.config, Snapshot: snapshot, Source: name, Key: x.key, Workers: x.Workers, Now: x.Now, Progress: x.Progress}
	r, err := d.Run(ctx)
	if err != nil {
		return nil, err
	}
	return r, r.Err()
}

// LatestDrill returns the newest receipt, or nil.
func (x *Executor) LatestDrill() (*drill.Receipt, error) {
	return drill.Latest(x.config.State, x.store.Trusted)
}

// PermitRisk returns nil if the newest drill was green and recent enough for a step that could lose
// data, and says otherwise why not.
func (x *Executor) PermitRisk() error {
	return drill.Permit(x.config.State, x.store.Trusted, x.Now(), time.Duration(x.config.Drill.MaxAgeDays)*24*time.Hour)
}

func (x *Executor) drillIdentities() ([]age.Identity, error) {
	if x.config.Drill.IdentityFile == "" {
		return nil, errors.New("drill: name the drill's age identity in drill.identityFile")
	}
	return readIdentities(x.config.Drill.IdentityFile)
}

func (x *Executor) drillSource(ctx context.Context) (extract.Source, string, error) {
	if x.config.Offsite != nil {
		bucket, err := x.Bucket()
		if err != nil {
			return nil, "", err
		}
		all, err := bucket.Snapshots(ctx)
		if err != nil {
			return nil, "", err
		}
		if len(all) == 0 {
			return nil, "", fmt.Errorf("drill: bucket %s holds no snapshot", x.config.Offsite.Bucket)
		}
		return all[len(all)-1], "s3://" + x.config.Offsite.Bucket, nil
	}
	all, err := x.store.Snapshots()
	if err != nil {
		return nil, "", err
	}
	newest := local.Newest(all)
	if newest == nil {
		return nil, "", fmt.Errorf("drill: there is no complete snapshot")
	}
	return extract.Folder(newest.Dir), newest.Dir, nil
}
