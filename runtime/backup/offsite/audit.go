package offsite

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
)

// Promised returns every object which at that time is still to be locked by one of the receipts, each
// once.
func Promised(receipts []*Receipt, now time.Time) []Object {
	seen := map[string]bool{}
	var all []Object
	for i := len(receipts) - 1; i >= 0; i-- {
		for _, o := range receipts[i].Objects {
			if now.Before(o.RetainUntil) && !seen[o.Key] {
				seen[o.Key] = true
				all = append(all, o)
			}
		}
	}
	return all
}

// Audit asks the bucket for every object: it must be the version that was sent, with its checksum, mode
// and date. Nothing is downloaded. All that is wrong is in the error.
func (b *Bucket) Audit(ctx context.Context, objects []Object) error {
	wrong := make([]error, len(objects))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(8)
	for i, want := range objects {
		group.Go(func() error {
			if err := b.auditObject(ctx, want); err != nil {
				wrong[i] = fmt.Errorf("off-site %s: %w", want.Key, err)
			}
			return ctx.Err()
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return errors.Join(wrong...)
}

func (b *Bucket) auditObject(ctx context.Context, want Object) error {
	seen, err := b.head(ctx, want.Key, "")
	if err == nil {
		return seen.matches(want)
	}
	if !isMissing(err) {
		return err
	}
	if _, versionErr := b.head(ctx, want.Key, want.Version); versionErr == nil {
		return fmt.Errorf("it is hidden behind a delete marker; the locked version %s is still there", want.Version)
	}
	return fmt.Errorf("it is gone: %w", err)
}
