package schema

import (
	"fmt"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/token"
)

// Pos is the user's line of a site path such as domains."example.com".users.alice; where nothing is
// written there, that of the nearest ancestor. A user from a data file stands at its row.
func (s *Source) Pos(sitePath string) Pos {
	p := cue.ParsePath(sitePath)
	if p.Err() != nil {
		return Pos{File: s.shown}
	}
	var labels []string
	for _, sel := range p.Selectors() {
		if sel.LabelType() == cue.IndexLabel {
			labels = append(labels, fmt.Sprintf("[%d]", sel.Index()))
		} else {
			labels = append(labels, sel.Unquoted())
		}
	}
	return s.find(labels, false)
}

// find is where the path, or its nearest written ancestor, stands: a struct at its label, any other value
// where it begins unless its label is asked for.
func (s *Source) find(labels []string, label bool) Pos {
	if len(labels) > 3 && labels[0] == "domains" && labels[2] == "users" {
		if u := s.row(labels[1], labels[3]); u != nil {
			return u.Pos
		}
	}
	at := s.root
	for i, l := range labels {
		next := at.kid(l, s.lifted)
		if next == nil {
			return posOf(at.label)
		}
		at = next
		if i == len(labels)-1 && !label {
			return posOf(at.value())
		}
	}
	return posOf(at.label)
}

// row is the user of a data file at this address.
func (s *Source) row(domain, localpart string) *User {
	if s.rows == nil {
		s.rows = map[string]*User{}
		for i := range s.Users {
			if u := &s.Users[i]; u.fromFile {
				s.rows[u.Localpart+"@"+u.Domain] = u
			}
		}
	}
	return s.rows[localpart+"@"+domain]
}

// spot is one path in the syntax of the user's files, with all that is written there.
type spot struct {
	label token.Pos
	exprs []ast.Expr
	order []string // regular fields and elements
	kids  map[string]*spot
}

func rootSpot(files []*ast.File) *spot {
	root := &spot{kids: map[string]*spot{}}
	for _, f := range files {
		if !root.label.IsValid() && len(f.Decls) > 1 {
			root.label = f.Pos()
		}
		root.declare(f.Decls, nil)
	}
	return root
}

// value is where a literal begins; a struct stands at its label.
func (p *spot) value() token.Pos {
	for _, x := range p.exprs {
		if _, ok := x.(*ast.StructLit); !ok {
			return x.Pos()
		}
	}
	return p.label
}

type liftedDecls map[*ast.StructLit][]ast.Decl

func (p *spot) kid(name string, lifted liftedDecls) *spot {
	p.read(lifted)
	return p.kids[name]
}

// read finds what is written below, once.
func (p *spot) read(lifted liftedDecls) {
	if p.kids == nil {
		p.kids = map[string]*spot{}
		for _, x := range p.exprs {
			p.expand(x, lifted)
		}
	}
}

func (p *spot) expand(x ast.Expr, lifted liftedDecls) {
	switch x := x.(type) {
	case *ast.StructLit:
		p.declare(x.Elts, lifted)
		p.declare(lifted[x], lifted)
	case *ast.ListLit:
		for i, e := range x.Elts {
			p.put(fmt.Sprintf("[%d]", i), e.Pos(), e, true)
		}
	case *ast.ParenExpr:
		p.expand(x.X, lifted)
	case *ast.Alias:
		p.expand(x.Expr, lifted)
	case *ast.BinaryExpr:
		if x.Op == token.AND {
			p.expand(x.X, lifted)
			p.expand(x.Y, lifted)
		}
	}
}

func (p *spot) declare(decls []ast.Decl, lifted liftedDecls) {
	for _, d := range decls {
		switch d := d.(type) {
		case *ast.Field:
			if name, ident, err := ast.LabelName(d.Label); err == nil {
				p.put(name, d.Pos(), d.Value, !ident || name[0] != '_' && name[0] != '#')
			}
		case *ast.EmbedDecl:
			p.expand(d.Expr, lifted)
		case *ast.Comprehension:
			p.expand(d.Value, lifted)
		}
	}
}

func (p *spot) put(name string, label token.Pos, x ast.Expr, regular bool) {
	k := p.kids[name]
	if k == nil {
		k = &spot{label: label}
		p.kids[name] = k
		if regular {
			p.order = append(p.order, name)
		}
	}
	k.exprs = append(k.exprs, x)
}
