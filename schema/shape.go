package schema

import (
	"regexp"

	"cuelang.org/go/cue/token"
)

// shape is what the schema wants at one place: one of the alternatives. Shapes are walked out of the
// definitions (see compile in shapes.go); they prove plain data valid without the evaluator and put in
// words why other data is not. Whether a site is valid is for CUE to say.
type shape struct {
	alts    []alt
	preset  *node // the default, where there is one
	inexact bool  // has something that shapes can't say: nothing is proved by it
}

// alt is one alternative: a constant, or all values of some kinds that pass the tests.
type alt struct {
	kinds  kind
	value  *node // a constant
	tests  []test
	preset bool   // it is the default
	words  string // what it is called, such as "a TCP port"
	fields *structShape
	list   *listShape
	pos    token.Pos
}

type structShape struct {
	fields   map[string]*fieldShape
	order    []string
	patterns []patternShape
	open     bool
}

type fieldShape struct {
	shape *shape
	need  need
	doc   string // first sentence of its comment
	pos   token.Pos
}

// need says what it means when a field is left out.
type need uint8

const (
	regular  need = iota // it has its default, or what its own fields default to
	required             // a mistake
	optional             // nothing
)

type patternShape struct {
	label *shape
	value *shape
}

type listShape struct {
	first []*shape
	rest  *shape // nil: no more
}

// test is one condition on a scalar.
type test struct {
	op    token.Token // =~ !~ >= > <= < !=
	match *regexp.Regexp
	than  node
}

func (t test) passes(n *node) bool {
	switch t.op {
	case token.MAT:
		return n.kind == kindString && t.match.MatchString(n.text)
	case token.NMAT:
		return n.kind == kindString && !t.match.MatchString(n.text)
	case token.NEQ:
		return !n.equal(&t.than)
	case token.GEQ:
		return n.num >= t.than.num
	case token.GTR:
		return n.num > t.than.num
	case token.LEQ:
		return n.num <= t.than.num
	case token.LSS:
		return n.num < t.than.num
	}
	return false
}

// proves says that the data is certainly valid here.
func (s *shape) proves(n *node) bool { return !s.inexact && s.accepts(n) }

func (s *shape) accepts(n *node) bool {
	for i := range s.alts {
		if s.alts[i].accepts(n) {
			return true
		}
	}
	return false
}

func (a *alt) accepts(n *node) bool {
	if a.kinds&n.kind == 0 || a.value != nil && !a.value.equal(n) {
		return false
	}
	for _, t := range a.tests {
		if !t.passes(n) {
			return false
		}
	}
	switch {
	case n.kind == kindStruct && a.fields != nil:
		return a.fields.accepts(n)
	case n.kind == kindList && a.list != nil:
		return a.list.accepts(n)
	}
	return true
}

func (s *structShape) accepts(n *node) bool {
	for i := range n.fields {
		f := s.of(n.fields[i].name)
		if f == nil && s.open {
			continue
		}
		if f == nil || !f.proves(&n.fields[i].value) {
			return false
		}
	}
	for name, f := range s.fields {
		if f.need != optional && n.lookup(name) == nil && !f.maybeAbsent() {
			return false
		}
	}
	return true
}

// of is the shape of a field by its name; nil where there can't be one.
func (s *structShape) of(name string) *shape {
	if f := s.fields[name]; f != nil {
		return f.shape
	}
	label := textNode(name)
	for _, p := range s.patterns {
		if p.label.proves(&label) {
			return p.value
		}
	}
	return nil
}

// maybeAbsent says that a field that is not written gets a value all the same.
func (f *fieldShape) maybeAbsent() bool {
	if f.need != regular {
		return f.need == optional
	}
	return f.shape.preset != nil || f.shape.accepts(&node{kind: kindStruct}) || f.shape.accepts(&node{kind: kindList})
}

func (l *listShape) accepts(n *node) bool {
	if len(n.list) < len(l.first) {
		return false
	}
	for i := range n.list {
		item := l.of(i)
		if item == nil || !item.proves(&n.list[i]) {
			return false
		}
	}
	return true
}

func (l *listShape) of(i int) *shape {
	if i < len(l.first) {
		return l.first[i]
	}
	return l.rest
}
