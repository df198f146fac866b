package edit

import (
	"strconv"

	"cuelang.org/go/cue/ast"
)

// place is how far a path leads into a file: the last field on the way, the field at whose level it begins (for
// a: b: c the level of c is that of a), and what holds that level: a file, a struct in braces, a list.
type place struct {
	depth  int
	field  *ast.Field
	level  *ast.Field
	elem   ast.Expr // set when the path ends in a list element
	holder ast.Node
}

func (p place) value() ast.Expr {
	if p.elem != nil {
		return p.elem
	}
	return p.field.Value
}

// find descends as far as the file goes with the path. Of several ways (a field may be written in parts)
// the deepest wins; of equal ones the last that has braces, else the last.
func find(holder ast.Node, decls []ast.Decl, labels []string) (best place) {
	for _, d := range decls {
		f, ok := d.(*ast.Field)
		if !ok || label(f) != labels[0] {
			continue
		}
		p := place{depth: 1, field: f, level: f, holder: holder}
		if len(labels) > 1 {
			if inner := descend(f.Value, labels[1:]); inner.depth > 0 {
				p = inner
				p.depth++
				if onChain(f.Value, p.level) {
					p.level, p.holder = f, holder
				}
			}
		}
		if p.depth > best.depth || p.depth == best.depth && (p.braced() || !best.braced()) {
			best = p
		}
	}
	return best
}

func (p place) braced() bool {
	s, ok := p.value().(*ast.StructLit)
	return ok && s.Lbrace.IsValid()
}

func descend(value ast.Expr, labels []string) place {
	switch v := value.(type) {
	case *ast.StructLit:
		return find(v, v.Elts, labels)
	case *ast.ListLit:
		i, err := strconv.Atoi(labels[0])
		if err != nil || i < 0 || i >= len(v.Elts) {
			return place{}
		}
		if len(labels) > 1 {
			if p := descend(v.Elts[i], labels[1:]); p.depth > 0 {
				p.depth++
				return p
			}
		}
		return place{depth: 1, elem: v.Elts[i], holder: v}
	}
	return place{}
}

// onChain says whether a value is the rest of a chain a: b: c that begins with the field.
func onChain(value ast.Expr, field *ast.Field) bool {
	s, ok := value.(*ast.StructLit)
	return ok && field != nil && !s.Lbrace.IsValid() && len(s.Elts) == 1 && s.Elts[0] == ast.Decl(field)
}

// levels is how many labels the chain from the level to the field has.
func (p place) levels() int {
	n := 1
	for f := p.level; f != p.field; n++ {
		s, ok := f.Value.(*ast.StructLit)
		if !ok || len(s.Elts) != 1 {
			break
		}
		inner, ok := s.Elts[0].(*ast.Field)
		if !ok {
			break
		}
		f = inner
	}
	return n
}

func label(f *ast.Field) string {
	name, _, err := ast.LabelName(f.Label)
	if err != nil {
		return ""
	}
	return name
}
