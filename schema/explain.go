package schema

import (
	"fmt"
	"slices"
	"strings"

	"cuelang.org/go/cue/token"
)

// mistake is one thing wrong with plain data, before its place in a file is known.
type mistake struct {
	at      *place
	label   bool // the mistake is in the field's name
	message string
	hint    string
	schema  token.Pos
}

// explainer collects the mistakes of plain data, each once, all of them.
type explainer struct {
	mistakes []mistake
	meant    []*place // not told to be missing, as a mistyped field is told instead
	hide     bool     // inside a reference to a secret: what stands there may be the secret itself
}

func (e *explainer) add(m mistake) { e.mistakes = append(e.mistakes, m) }

// explain says what of the data the shape does not accept.
func (e *explainer) explain(s *shape, n *node, at *place) {
	if n.kind == kindUnknown || s.proves(n) {
		return
	}
	if a := s.only(n.kind); a != nil && n.kind == kindStruct && a.fields != nil {
		e.structure(a, n, at)
		return
	}
	if a := s.only(n.kind); a != nil && n.kind == kindList && a.list != nil {
		e.elements(a, n, at)
		return
	}
	if !s.accepts(n) {
		e.leaf(s, n, at)
	}
}

// only is the single alternative of a kind.
func (s *shape) only(k kind) *alt {
	var found *alt
	for i := range s.alts {
		if s.alts[i].kinds&k == 0 {
			continue
		}
		if found != nil {
			return nil
		}
		found = &s.alts[i]
	}
	return found
}

func (e *explainer) structure(a *alt, n *node, at *place) {
	defer func(before bool) { e.hide = before }(e.hide)
	e.hide = e.hide || a.fields.fields["secret"] != nil
	meant := map[string]bool{}
	for i := range n.fields {
		f := &n.fields[i]
		if sh := a.fields.of(f.name); sh != nil {
			e.inside(a, sh, f, at)
		} else if !a.fields.open {
			meant[nearest(f.name, a.fields.order)] = true
			e.unknown(a, f.name, at)
		}
	}
	for _, name := range a.fields.order {
		switch {
		case n.lookup(name) != nil:
		case meant[name]:
			e.meant = append(e.meant, at.field(name))
		default:
			e.absent(a.fields.fields[name], name, at)
		}
	}
}

// inside explains a field; a name of the author's own that is near a known one may have meant that.
func (e *explainer) inside(a *alt, s *shape, f *field, at *place) {
	before := len(e.mistakes)
	e.explain(s, &f.value, at.field(f.name))
	if len(e.mistakes) == before || a.fields.fields[f.name] != nil {
		return
	}
	if near := nearest(f.name, a.fields.order); near != "" {
		e.mistakes[before].hint = "did you mean " + at.field(near).String() + "?"
	}
}

// unknown tells of a field that can't be there, by its name.
func (e *explainer) unknown(a *alt, name string, at *place) {
	m := mistake{at: at.field(name), label: true, schema: a.pos}
	if len(a.fields.order) == 0 && len(a.fields.patterns) == 1 {
		label := a.fields.patterns[0].label
		n := textNode(name)
		m.message = fmt.Sprintf("the name %s is not %s", n.String(), label.want())
		m.hint = label.mend(&n)
		m.schema = label.alts[0].pos
	} else {
		m.message = "unknown field " + quoteLabel(name)
		m.hint = "the fields here are " + strings.Join(a.fields.order, ", ")
		if near := nearest(name, a.fields.order); near != "" {
			m.hint = "did you mean " + near + "?"
		}
	}
	e.add(m)
}

// absent tells of a field that must be written, there or further down.
func (e *explainer) absent(f *fieldShape, name string, at *place) {
	if f.maybeAbsent() {
		return
	}
	here := at.field(name)
	if f.need == regular {
		if a := f.shape.only(kindStruct); a != nil && a.fields != nil {
			e.structure(a, &node{kind: kindStruct}, here)
			return
		}
	}
	m := mistake{at: here, message: "is required and not written", schema: f.pos}
	m.hint = fmt.Sprintf("add %s: %s", quoteLabel(name), f.shape.sample())
	if f.doc != "" {
		m.hint += " (" + f.doc + ")"
	}
	e.add(m)
}

func (e *explainer) elements(a *alt, n *node, at *place) {
	if len(n.list) < len(a.list.first) {
		e.add(mistake{at: at, message: fmt.Sprintf("has %d elements, want at least %d", len(n.list), len(a.list.first)), schema: a.pos})
	}
	for i := range n.list {
		if sh := a.list.of(i); sh != nil {
			e.explain(sh, &n.list[i], at.index(i))
		} else {
			e.add(mistake{at: at.index(i), message: fmt.Sprintf("one element too many, want %d", len(a.list.first)), schema: a.pos})
		}
	}
}

func (e *explainer) leaf(s *shape, n *node, at *place) {
	m := mistake{at: at, hint: s.mend(n), schema: s.pos(n)}
	found := n.String()
	if e.hide {
		found, m.hint = "this "+kindName(n.kind), ""
	}
	if s.secret() {
		found = "a " + kindName(n.kind)
		m.hint = `a secret's value belongs in the secrets file; name it here: {secret: "NAME"}`
	}
	switch choices := s.choices(); {
	case n.kind == kindString && n.text == "":
		m.message = "is empty, want " + s.want()
	case s.kinds()&n.kind == 0 || s.secret():
		m.message = fmt.Sprintf("found %s, want %s", n.phrase(found), s.want())
	case len(choices) > 0:
		m.message = fmt.Sprintf("%s is not one of %s", found, strings.Join(choices, ", "))
	default:
		m.message = fmt.Sprintf("%s is not %s", found, s.want())
	}
	e.add(m)
}

// phrase is the value with its kind before it, as far as the value does not show it.
func (n *node) phrase(found string) string {
	switch n.kind {
	case kindString, kindInt, kindFloat:
		if found == n.String() {
			return "the " + kindName(n.kind) + " " + found
		}
	}
	return found
}

func kindName(k kind) string {
	switch k {
	case kindString:
		return "string"
	case kindInt, kindFloat:
		return "number"
	case kindBool:
		return "truth value"
	case kindStruct:
		return "struct"
	case kindList:
		return "list"
	}
	return "value"
}

func (s *shape) kinds() kind {
	var k kind
	for i := range s.alts {
		k |= s.alts[i].kinds
	}
	return k
}

// secret says that a reference to a secret is wanted here, so that what was written may be one itself.
func (s *shape) secret() bool {
	return slices.ContainsFunc(s.alts, func(a alt) bool { return a.fields != nil && a.fields.fields["secret"] != nil })
}

// choices are the constants where there is nothing else to choose from.
func (s *shape) choices() []string {
	var list []string
	for _, a := range s.alts {
		if a.value == nil {
			return nil
		}
		if text := a.value.plain(); !slices.Contains(list, text) {
			list = append(list, text)
		}
	}
	return list
}

// plain is the value without quotes.
func (n *node) plain() string {
	if n.kind == kindString && n.text != "" {
		return n.text
	}
	return n.String()
}

// pos is where the schema asks for it: the first alternative of the data's kind, else the first.
func (s *shape) pos(n *node) token.Pos {
	for _, a := range s.alts {
		if a.kinds&n.kind != 0 && a.value == nil {
			return a.pos
		}
	}
	if len(s.alts) == 0 {
		return token.NoPos
	}
	return s.alts[0].pos
}

// nearest is the name that was probably meant, empty when none is near.
func nearest(name string, names []string) string {
	best, least := "", max(1, len(name)/3)+1
	for _, n := range names {
		if d := distance(strings.ToLower(name), strings.ToLower(n)); d < least {
			best, least = n, d
		}
	}
	return best
}

// distance is how many letters must be added, dropped, changed or swapped with their neighbour.
func distance(a, b string) int {
	prev2, prev, cur := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		cur[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			cur[j] = min(prev[j]+1, cur[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				cur[j] = min(cur[j], prev2[j-2]+1)
			}
		}
		prev2, prev, cur = prev, cur, prev2
	}
	return prev[len(b)]
}
