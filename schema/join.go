package schema

import "slices"

// either accepts what one of the two accepts; a default is that of the first that has one.
func either(a, b *shape) *shape {
	sh := &shape{alts: slices.Concat(a.alts, b.alts), preset: a.preset, inexact: a.inexact || b.inexact}
	if sh.preset == nil {
		sh.preset = b.preset
	}
	if sh.preset != nil {
		sh.plain()
	}
	return sh
}

// plain drops the default as an alternative where another accepts it as well: #Port | *587 is a port.
func (s *shape) plain() {
	others := &shape{}
	for _, a := range s.alts {
		if !a.preset {
			others.alts = append(others.alts, a)
		}
	}
	if others.accepts(s.preset) {
		s.alts = others.alts
	}
}

// both is what meets the two: each pair of alternatives that can be met together.
func both(a, b *shape) *shape {
	sh := &shape{preset: a.preset, inexact: a.inexact || b.inexact}
	if sh.preset == nil {
		sh.preset = b.preset
	}
	for _, x := range a.alts {
		for _, y := range b.alts {
			sh.inexact = sh.inexact || x.list != nil && y.list != nil // lists are not joined
			if m, ok := meet(x, y); ok {
				sh.alts = append(sh.alts, m)
			}
		}
	}
	return sh
}

// meet is the alternative that meets both; ok is false where nothing does.
func meet(x, y alt) (alt, bool) {
	m := alt{kinds: x.kinds & y.kinds, value: x.value, tests: slices.Concat(x.tests, y.tests), words: x.words, pos: x.pos}
	if m.value == nil {
		m.value = y.value
	}
	if x.kinds == kindAny && len(x.tests) == 0 || !m.pos.IsValid() {
		m.pos = y.pos
	}
	if m.words == "" {
		m.words = y.words
	}
	m.fields = joinStructs(x.fields, y.fields)
	m.list = x.list
	if m.list == nil {
		m.list = y.list
	}
	if m.value == nil {
		return m, m.kinds != 0
	}
	return m, x.accepts(m.value) && y.accepts(m.value)
}

// joinStructs has the fields of both, as unification and embedding do.
func joinStructs(a, b *structShape) *structShape {
	if a == nil || b == nil {
		if a == nil {
			return b
		}
		return a
	}
	j := &structShape{fields: map[string]*fieldShape{}, patterns: slices.Concat(a.patterns, b.patterns), open: a.open && b.open}
	for _, part := range []*structShape{a, b} {
		for _, name := range part.order {
			j.add(name, part.fields[name])
		}
	}
	return j
}

// add joins a further declaration of a field to those before.
func (s *structShape) add(name string, f *fieldShape) {
	old := s.fields[name]
	if old == nil {
		s.fields[name] = f
		s.order = append(s.order, name)
		return
	}
	joined := *old
	joined.shape = both(old.shape, f.shape)
	joined.need = min(old.need, f.need)
	if joined.doc == "" {
		joined.doc = f.doc
	}
	s.fields[name] = &joined
}
