package backup

import (
	"context"
	"io"

	"github.com/mailplan/mailplan/runtime/backup/local"
)

// tip is the newest head. A store that has none goes on from the newest off-site: a host that came back with empty disks
// must not count from 1 again, or older snapshots in the bucket would pass for newer ones. Without an answer of the
// bucket it begins anew, since a backup comes first.
func (x *Executor) tip(ctx context.Context) (local.Link, error) {
	tip, err := x.store.Tip()
	if err != nil || tip.Head != nil || x.config.Offsite == nil {
		return tip, err
	}
	file, err := x.newestHead(ctx)
	if err == nil && file != nil {
		tip, err = x.store.Adopt(file)
	}
	if err != nil {
		x.Log.Warn("the store is empty, and what is off-site is not known: runs are counted from 1", "error", err)
		return local.Link{}, nil
	}
	return tip, nil
}

// newestHead reads the head of the newest snapshot in the bucket; nil when that has none.
func (x *Executor) newestHead(ctx context.Context) ([]byte, error) {
	bucket, err := x.Bucket()
	if err != nil {
		return nil, err
	}
	all, err := bucket.Snapshots(ctx)
	if err != nil || len(all) == 0 {
		return nil, err
	}
	file, err := all[len(all)-1].Open(ctx, local.HeadFile)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(io.NewSectionReader(file, 0, file.Size()))
}
