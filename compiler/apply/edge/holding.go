package edge

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// notEmpty is the code with which the provider refuses to delete a bucket that holds objects.
const notEmpty = 10008

// DeleteEmptyBucket removes a bucket, but leaves one alone that holds objects, and says whether it is gone.
func (e *Edge) DeleteEmptyBucket(ctx context.Context, b Bucket) (gone bool, err error) {
	err = e.DeleteBucket(ctx, b)
	if refused, ok := errors.AsType[*Error](err); ok && refused.has(notEmpty) {
		return false, nil
	}
	return err == nil, err
}

// Holding returns the zones of the account in which any of the domains is. One that is in none is left out.
func (e *Edge) Holding(ctx context.Context, domains []string) ([]Zone, error) {
	if len(domains) == 0 {
		return nil, nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	all, err := e.listZones(ctx, "")
	if err != nil {
		return nil, fmt.Errorf("list zones: %w", err)
	}
	e.held = all
	var zones []Zone
	for _, z := range all {
		for _, d := range domains {
			if d := host(d); d == z.Name || strings.HasSuffix(d, "."+z.Name) {
				zones = append(zones, z)
				break
			}
		}
	}
	return zones, nil
}
