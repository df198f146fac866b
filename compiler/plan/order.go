package plan

import "slices"

// Phase says when in a plan an object is made: each phase needs only what the ones before it made.
// Order is safety: after every step, a crash included, an address that was valid before and is valid
// after stays deliverable, and recent signatures still verify.
type Phase int

// The phases of creation and update. What is taken down goes the other way round: first no mail is
// led to it, last its data-free remains are removed.
const (
	Publish Phase = iota // names and keys in DNS that others must see before anything uses them
	Lay                  // directories
	Place                // files
	Start                // services
	Open                 // accounts
	Route                // MX and routing rules: the doors open when everything behind them stands
)

// Order sorts changes into a safe order, stable within a phase.
func Order(changes []Change) {
	slices.SortStableFunc(changes, func(a, b Change) int { return a.rank() - b.rank() })
}

// rank: deletions of routes come before everything, all other deletions after everything, in reverse.
func (c Change) rank() int {
	const span = int(Route) + 1
	switch {
	case c.Verb != Delete:
		return span + int(c.Phase)
	case c.Phase == Route:
		return 0
	default:
		return 3*span - int(c.Phase)
	}
}
