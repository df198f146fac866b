package edge

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// operation is one call that changes something, with what it leaves behind.
type operation struct {
	name string
	// pattern is the endpoint that changes the state.
	pattern string
	// setup prepares the state and returns the call.
	setup func(t *testing.T, r *rig) func(context.Context) error
	// state reads what the call changes.
	state func(ctx context.Context, r *rig) (any, error)
	// repeats says that doing it twice is harmless and may happen.
	repeats bool
}

// underFaults runs every operation under every fault, with prompt and with
// lagging reads: it converges to what a healthy run leaves, with one effect, or
// it reports the provider's words and has changed nothing.
func underFaults(t *testing.T, ops []operation) {
	for _, op := range ops {
		t.Run(op.name, func(t *testing.T) {
			t.Parallel()
			want := healthy(t, op)
			for _, tc := range faults {
				for _, lag := range []int{0, 2} {
					t.Run(fmt.Sprintf("%s, lag %d", tc.name, lag), func(t *testing.T) {
						r := newRig(t)
						do := op.setup(t, r)
						before := mustState(t, r, op)
						r.cf.Lag(lag)
						r.inject(tc.fault, op.pattern)
						effects := r.cf.Effects(op.pattern)

						err := do(context.Background())
						noToken(t, err)
						effects = r.cf.Effects(op.pattern) - effects
						r.cf.Heal()
						after := mustState(t, r, op)
						if tc.stops {
							var e *Error
							if !errors.As(err, &e) || len(e.Details) == 0 {
								t.Errorf("err %v, want the provider's words", err)
							}
							if diff := cmp.Diff(before, after, ignoreIDs); diff != "" {
								t.Errorf("a refused call changed the state (-before +after):\n%s", diff)
							}
							return
						}
						if err != nil {
							t.Fatal(err)
						}
						if effects != 1 && !(op.repeats && effects == 2) {
							t.Errorf("%d effects, want 1", effects)
						}
						if diff := cmp.Diff(want, after, ignoreIDs); diff != "" {
							t.Errorf("state (-healthy run +this run):\n%s", diff)
						}
					})
				}
			}
		})
	}
}

// healthy returns what an operation leaves when nothing goes wrong.
func healthy(t *testing.T, op operation) any {
	r := newRig(t)
	do := op.setup(t, r)
	if r.cf.Effects(op.pattern) != 0 && !op.repeats {
		t.Logf("setup already used %s", op.pattern)
	}
	before := mustState(t, r, op)
	if err := do(context.Background()); err != nil {
		t.Fatal(err)
	}
	after := mustState(t, r, op)
	if cmp.Equal(before, after, ignoreIDs) {
		t.Fatalf("the operation changed nothing: %+v", after)
	}
	return after
}

func mustState(t *testing.T, r *rig, op operation) any {
	t.Helper()
	state, err := op.state(context.Background(), r)
	if err != nil {
		t.Fatal(err)
	}
	return state
}

// ignoreIDs leaves out what the provider invents for each object.
var ignoreIDs = cmp.FilterPath(func(p cmp.Path) bool {
	switch p.Last().String() {
	case ".ID", ".AUD", ".ClientID", ".ClientSecret", ".Priority", ".Etag", ".Tag", ".TokenID", ".Version":
		return true
	}
	return false
}, cmp.Ignore())
