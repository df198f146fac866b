package backup

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/mailplan/mailplan/runtime/backup/local"
	"github.com/mailplan/mailplan/runtime/backup/manifest"
	"github.com/mailplan/mailplan/runtime/backup/offsite"
	"github.com/mailplan/mailplan/runtime/durable"
)

// ErrNoOffsite says that the configuration names no bucket.
var ErrNoOffsite = errors.New("the configuration has no off-site part")

// Bucket returns the bucket of the configuration.
func (x *Executor) Bucket() (*offsite.Bucket, error) {
	if x.config.Offsite == nil {
		return nil, ErrNoOffsite
	}
	return offsite.New(*x.config.Offsite)
}

// Sync sends the newest complete snapshot to the bucket, or what is missing of it there, and keeps the
// receipt.
func (x *Executor) Sync(ctx context.Context, progress func(int64)) (*offsite.Receipt, error) {
	release, err := Lock(x.config.State)
	if err != nil {
		return nil, err
	}
	defer release()
	if err := x.prepareKey(); err != nil {
		return nil, err
	}
	bucket, err := x.Bucket()
	if err != nil {
		return nil, err
	}
	all, err := x.store.Snapshots()
	if err != nil {
		return nil, err
	}
	newest := local.Newest(all)
	if newest == nil {
		return nil, errors.New("there is no complete snapshot to send")
	}
	receipt, err := bucket.Send(ctx, *newest, x.Now(), progress)
	if err != nil {
		return nil, err
	}
	return receipt, x.keepReceipt(receipt)
}

func (x *Executor) keepReceipt(r *offsite.Receipt) error {
	if err := os.MkdirAll(x.statePath("offsite"), 0o700); err != nil {
		return err
	}
	body, err := json.Marshal(r)
	if err != nil {
		return err
	}
	if err := durable.Replace(x.statePath(receiptName(r)), manifest.SignLine(body, x.key)); err != nil {
		return err
	}
	return x.dropReceipts(r.Sent)
}

// dropReceipts removes the receipts whose locks have ended: nothing is promised by them any more.
func (x *Executor) dropReceipts(now time.Time) error {
	all, err := x.Receipts()
	if err != nil {
		return err
	}
	for _, r := range all {
		if now.After(r.RetainUntil) {
			err = errors.Join(err, os.Remove(x.statePath(receiptName(r))))
		}
	}
	return err
}

func receiptName(r *offsite.Receipt) string {
	return fmt.Sprintf("offsite/%08d-%s", r.Sequence, r.Week)
}

// Receipts returns what was sent, oldest first. A receipt that is not signed by the executor is an error.
func (x *Executor) Receipts() ([]*offsite.Receipt, error) {
	paths, err := filepath.Glob(x.statePath("offsite/*"))
	if err != nil {
		return nil, err
	}
	slices.Sort(paths)
	var all []*offsite.Receipt
	for _, path := range paths {
		if filepath.Ext(path) == ".new" {
			continue
		}
		file, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		body, err := manifest.OpenLine(file, x.store.Trusted)
		if err != nil {
			return nil, fmt.Errorf("receipt %s: %w", filepath.Base(path), err)
		}
		r := &offsite.Receipt{}
		if err := json.Unmarshal(body, r); err != nil {
			return nil, fmt.Errorf("receipt %s: %w", filepath.Base(path), err)
		}
		all = append(all, r)
	}
	return all, nil
}

// VerifyOffsite asks the bucket for every object still promised: version, checksum, lock and date. It
// returns how many it asked for. The newest complete snapshot must be among what was sent.
func (x *Executor) VerifyOffsite(ctx context.Context) (int, error) {
	bucket, err := x.Bucket()
	if err != nil {
		return 0, err
	}
	now, err := bucket.Check(ctx, x.Now())
	if err != nil {
		return 0, err
	}
	receipts, err := x.Receipts()
	if err != nil {
		return 0, err
	}
	objects := offsite.Promised(receipts, now)
	return len(objects), errors.Join(x.newestIsSent(receipts), bucket.Audit(ctx, objects))
}

func (x *Executor) newestIsSent(receipts []*offsite.Receipt) error {
	all, err := x.store.Snapshots()
	if err != nil {
		return err
	}
	newest := local.Newest(all)
	if newest == nil || slices.ContainsFunc(receipts, func(r *offsite.Receipt) bool { return r.HeadHash == newest.HeadHash }) {
		return nil
	}
	return fmt.Errorf("the snapshot of %s (run %d) is not off-site", newest.Head.Name, newest.Head.Sequence)
}
