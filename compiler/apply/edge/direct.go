package edge

import (
	"context"
	"fmt"
)

// Tunnel, Access and rulesets are called without the SDK: its packages for
// them would make the program 9 MB larger, and every answer is decoded here
// anyway. Pacing, repeats and errors are the same.

// below spells a path of the account.
func (e *Edge) below(format string, args ...any) string {
	return "accounts/" + e.account + "/" + fmt.Sprintf(format, args...)
}

// direct makes one call and decodes its result.
func direct[T any](ctx context.Context, e *Edge, method, path string, body any) (T, error) {
	raw, err := e.wire.send(ctx, method, path, body)
	if err != nil {
		var none T
		return none, err
	}
	return decode[T](raw)
}

// directList collects every page of a list; its path ends in ? or &.
func directList[T any](ctx context.Context, e *Edge, perPage int, path string) ([]T, error) {
	return collect[T](func(n int) ([]byte, error) {
		return e.wire.send(ctx, "GET", fmt.Sprintf("%spage=%d&per_page=%d", path, n, perPage), nil)
	})
}
