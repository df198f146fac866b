package plan

import (
	"bytes"
	"fmt"

	"github.com/rogpeppe/go-internal/diff"
)

// Diff compares the live with the desired. Objects of equal value are left alone; of those that share an ID
// the remaining ones are paired in order and updated; the rest is created, or deleted if it is ours.
// Foreign objects are never changed; one that a Sole object would double is a conflict.
// Changes come in the order of desired, deletions last in the order of live. Cost is linear.
func Diff(live, desired []Object) (changes []Change, conflicts []Conflict) {
	rest := index(live)
	var open []Object
	for _, d := range desired {
		if !rest.take(d.key(), func(l Object) bool { return bytes.Equal(l.Value, d.Value) }) {
			open = append(open, d)
		}
	}
	for _, d := range open {
		if l, ok := rest.pop(d.key()); ok {
			changes = append(changes, update(l, d))
			continue
		}
		if l, ok := rest.foreign(d); ok {
			conflicts = append(conflicts, Conflict{Plane: d.Plane, ID: d.ID, Live: l.Show, Desired: d.Show, From: d.From})
			continue
		}
		changes = append(changes, create(d))
	}
	for _, l := range live {
		if !l.Foreign && !l.Keep && rest.take(l.key(), func(o Object) bool { return o.Handle == l.Handle && bytes.Equal(o.Value, l.Value) }) {
			changes = append(changes, remove(l))
		}
	}
	return changes, conflicts
}

func create(d Object) Change {
	return Change{Plane: d.Plane, Verb: Create, Kind: d.Kind, ID: d.ID, New: d.Value, After: d.Show, From: d.From,
		Phase: d.Phase, Needs: d.Needs, Effects: d.Effects, Irreversible: d.Irreversible}
}

func update(l, d Object) Change {
	c := create(d)
	c.Verb, c.Old, c.Before, c.Handle, c.Note = Update, l.Value, l.Show, l.Handle, lines(l.Text, d.Text)
	if d.UpdatePhase != 0 {
		c.Phase = d.UpdatePhase
	}
	return c
}

func remove(l Object) Change {
	return Change{Plane: l.Plane, Verb: Delete, Kind: l.Kind, ID: l.ID, Old: l.Value, Before: l.Show, Handle: l.Handle, From: l.From,
		Phase: l.Phase, Needs: l.Needs, Effects: l.Effects, Irreversible: l.Irreversible, InTurn: l.InTurn}
}

// lines counts what a text gained and lost: "+3 -1".
func lines(old, new []byte) string {
	if old == nil || new == nil {
		return ""
	}
	added, removed := 0, 0
	for _, line := range bytes.Split(diff.Diff("old", old, "new", new), []byte("\n")) {
		switch {
		case bytes.HasPrefix(line, []byte("+++")), bytes.HasPrefix(line, []byte("---")):
		case bytes.HasPrefix(line, []byte("+")):
			added++
		case bytes.HasPrefix(line, []byte("-")):
			removed++
		}
	}
	return fmt.Sprintf("+%d -%d", added, removed)
}

// remaining are the live objects that no desired one has claimed yet.
type remaining map[key][]Object

func index(live []Object) remaining {
	r := make(remaining, len(live))
	for _, l := range live {
		r[l.key()] = append(r[l.key()], l)
	}
	return r
}

func (r remaining) take(k key, match func(Object) bool) bool {
	for i, l := range r[k] {
		if match(l) {
			r[k] = append(r[k][:i:i], r[k][i+1:]...)
			return true
		}
	}
	return false
}

// pop takes the first object of ours.
func (r remaining) pop(k key) (Object, bool) {
	for i, l := range r[k] {
		if !l.Foreign {
			r[k] = append(r[k][:i:i], r[k][i+1:]...)
			return l, true
		}
	}
	return Object{}, false
}

func (r remaining) foreign(d Object) (Object, bool) {
	if !d.Sole {
		return Object{}, false
	}
	for _, l := range r[d.key()] {
		if l.Foreign {
			return l, true
		}
	}
	return Object{}, false
}
