package plan

import (
	"cmp"
	"container/heap"
	"fmt"
	"slices"
	"strings"
)

// Phase says when in a plan an object is made: each phase needs only what the ones before it made.
// Order is safety: after every step, a crash included, an address that was valid before and is valid
// after stays deliverable, and recent signatures still verify. Check holds a plan to that.
type Phase int

// The phases of creation and update. What is taken down goes the other way round: first no mail is
// led to it, last its data-free remains are removed.
const (
	Publish Phase = iota // names and keys in DNS that others must see before anything uses them
	Lay                  // directories
	Place                // files
	Start                // services
	Open                 // accounts that come
	Switch               // tables and signing that lead to what stands now
	Route                // MX and routing rules: the doors open when everything behind them stands
	Leave                // accounts that go
	Last                 // what tells the next plan how far this one came: after all deletions, too
)

// Ref names an object as a dependency: plane, kind and ID.
func (o Object) Ref() string { return ref(o.Plane, o.Kind, o.ID) }

// Ref names the object of a change.
func (c Change) Ref() string { return ref(c.Plane, c.Kind, c.ID) }

func ref(p Plane, kind, id string) string { return string(p) + "/" + kind + "/" + id }

// Order sorts changes by phase and makes every change come after those of the objects it needs, as far as
// they are changed at all; deletions come in the opposite order. It is stable. A circle of needs is an error.
func Order(changes []Change) error {
	slices.SortStableFunc(changes, func(a, b Change) int { return cmp.Compare(a.rank(), b.rank()) })
	byRef := map[string][]int{}
	for i, c := range changes {
		byRef[c.Ref()] = append(byRef[c.Ref()], i)
	}
	g := graph{next: make([][]int, len(changes)), waits: make([]int, len(changes))}
	for i, c := range changes {
		for _, need := range c.Needs {
			for _, j := range byRef[need] {
				g.edge(i, j, c.Verb == Delete, changes[j].Verb == Delete)
			}
		}
	}
	order := g.sort()
	if len(order) < len(changes) {
		return fmt.Errorf("the plan goes in a circle: %s", strings.Join(g.stuck(changes), ", "))
	}
	sorted := make([]Change, len(changes))
	for i, j := range order {
		sorted[i] = changes[j]
	}
	copy(changes, sorted)
	return nil
}

// rank: deletions of routes come before everything, all others that do not go in their turn after everything, in reverse.
func (c Change) rank() int {
	const span = int(Leave) + 1
	switch {
	case c.Phase == Last:
		return 3*span + 1
	case c.Verb != Delete, c.InTurn:
		return span + int(c.Phase)
	case c.Phase == Route:
		return 0
	default:
		return 3*span - int(c.Phase)
	}
}

// graph is the order that is still to be respected, by index.
type graph struct {
	next  [][]int
	waits []int
}

// edge says that change i needs the object of change j: made before, deleted after.
func (g *graph) edge(i, j int, deleting, neededGoes bool) {
	switch {
	case i == j:
		return
	case deleting && neededGoes: // first what needs, then what is needed
		i, j = j, i
	case deleting != neededGoes:
		return
	}
	g.next[j] = append(g.next[j], i)
	g.waits[i]++
}

// sort is Kahn's: of all that wait for nothing the first goes first.
func (g *graph) sort() []int {
	free := &indexes{}
	for i, n := range g.waits {
		if n == 0 {
			*free = append(*free, i)
		}
	}
	heap.Init(free)
	order := make([]int, 0, len(g.waits))
	for free.Len() > 0 {
		i := heap.Pop(free).(int)
		order = append(order, i)
		for _, k := range g.next[i] {
			if g.waits[k]--; g.waits[k] == 0 {
				heap.Push(free, k)
			}
		}
	}
	return order
}

func (g *graph) stuck(changes []Change) []string {
	var names []string
	for i, n := range g.waits {
		if n > 0 {
			names = append(names, changes[i].title())
		}
	}
	return names
}

type indexes []int

func (x indexes) Len() int           { return len(x) }
func (x indexes) Less(i, j int) bool { return x[i] < x[j] }
func (x indexes) Swap(i, j int)      { x[i], x[j] = x[j], x[i] }
func (x *indexes) Push(v any)        { *x = append(*x, v.(int)) }
func (x *indexes) Pop() any {
	old := *x
	v := old[len(old)-1]
	*x = old[:len(old)-1]
	return v
}
