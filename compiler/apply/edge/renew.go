package edge

import "context"

// RefreshServiceToken lets a token's secret be valid for its whole duration from now on; the secret stays the same.
func (e *Edge) RefreshServiceToken(ctx context.Context, t ServiceToken) error {
	err := again(ctx, e, func() error { // a second time does no harm
		_, err := e.wire.send(ctx, "POST", e.below("access/service_tokens/%s/refresh", t.ID), nil)
		return err
	})
	return naming(err, "refresh service token %s", t.Name)
}
