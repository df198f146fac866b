package offsite

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Audit asks the bucket for every object of a receipt whose lock has not ended: it must be the version
// that was sent, with its checksum, mode and date. Nothing is downloaded. All that is wrong is in the
// error. now is the server's time.
func (b *Bucket) Audit(ctx context.Context, r *Receipt, now time.Time) error {
	if !now.Before(r.RetainUntil) {
		return nil
	}
	var wrong []error
	for _, want := range r.Objects {
		if err := b.auditObject(ctx, want); err != nil {
			wrong = append(wrong, fmt.Errorf("off-site run %d: %s: %w", r.Sequence, want.Key, err))
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
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
