package edge

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/cloudflare/cloudflare-go/v6/option"
)

// creation is a POST that must happen once. find looks for the object that an
// unanswered attempt may have made.
type creation[T any] struct {
	post func() (T, error)
	find func() (T, bool, error)
	// unique says that the provider itself refuses a second object of that
	// name, so that a repeat is safe at once. Else the search goes on for as
	// long as reads may lag before the object is taken for not made.
	unique bool
}

// create runs a creation and returns the one object made.
func create[T any](ctx context.Context, e *Edge, c creation[T]) (T, error) {
	doubt := false
	for try := 1; ; try++ {
		made, err := c.post()
		if err == nil {
			return made, nil
		}
		explained := doubt && c.unique && refusedAsDuplicate(err)
		if !ambiguous(err) && !explained || try >= e.wire.cfg.Tries || ctx.Err() != nil {
			return made, err
		}
		doubt = true
		wait := backoff(try)
		if !c.unique || explained {
			wait = e.settle
		}
		found, ok, ferr := search(ctx, e, wait, c.find)
		if ferr != nil {
			return found, errors.Join(err, ferr)
		}
		if ok {
			return found, nil
		}
	}
}

// search calls find until it succeeds or the time is up.
func search[T any](ctx context.Context, e *Edge, limit time.Duration, find func() (T, bool, error)) (T, bool, error) {
	var waited time.Duration
	for try := 1; ; try++ {
		if err := e.wire.cfg.Sleep(ctx, backoff(try)); err != nil {
			var none T
			return none, false, err
		}
		waited += backoff(try)
		found, ok, err := find()
		if ok || err != nil || waited >= limit {
			return found, ok, err
		}
	}
}

// refusedAsDuplicate tells whether the provider says that the object is there
// already. The codes differ by product; the status and the words do not.
func refusedAsDuplicate(err error) bool {
	var e *Error
	return errors.As(err, &e) && (e.Status == http.StatusConflict || e.Status == http.StatusBadRequest)
}

// removed makes a deletion succeed that found nothing to delete: a repeated
// one whose first answer was lost, or somebody else's.
func removed(err error) error {
	if absent(err) {
		return nil
	}
	return err
}

// again repeats a POST that changes nothing the second time.
func again(ctx context.Context, e *Edge, post func() error) error {
	for try := 1; ; try++ {
		err := post()
		if err == nil || !ambiguous(err) || try >= e.wire.cfg.Tries {
			return err
		}
		if err := e.wire.cfg.Sleep(ctx, backoff(try)); err != nil {
			return err
		}
	}
}

// discard makes a call whose result is of no interest.
func discard(call page) error {
	var raw []byte
	return call(option.WithResponseBodyInto(&raw))
}

// naming adds what was being done to an error.
func naming(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), err)
}
