package schema

import (
	"cuelang.org/go/cue/ast"
)

// A site's users are mostly plain literals, and thousands of them are what makes the evaluator slow. So
// those that the shapes prove valid are lifted out of the syntax before it is evaluated. That changes
// nothing only if nothing else can speak of them: no second declaration of the same user, no pattern,
// embedding or comprehension around it, and no reference in the site that could mean it. Where in doubt, a
// user stays.

// liftedUser is a candidate: a user's declaration and the struct that it stands in.
type liftedUser struct {
	domain, localpart string
	in                *ast.StructLit
	field             *ast.Field
	node              node
}

type lifter struct {
	layout     *userLayout
	localpart  *shape
	refs       map[string]bool   // every identifier in an expression of the site
	candidates []liftedUser      // in the order of the files
	count      map[[2]string]int // declarations of a domain's user
	stuck      bool              // nothing can be lifted
	stay       map[string]bool   // domains whose users stay
}

// lift takes out the users that it can and adds them to the site's.
func (s *Source) lift(layout *userLayout, shapes *shapes, files []*ast.File) {
	l := &lifter{layout: layout, localpart: shapes.of("#Localpart"), refs: references(files),
		count: map[[2]string]int{}, stay: map[string]bool{}}
	for _, f := range files {
		l.file(f)
	}
	if l.stuck || l.refs["domains"] || l.refs["users"] || l.refs["self"] {
		return
	}
	s.lifted = liftedDecls{}
	gone := map[ast.Decl]bool{}
	for i := range l.candidates {
		c := &l.candidates[i]
		if l.stay[c.domain] || l.refs[c.localpart] || l.count[[2]string{c.domain, c.localpart}] > 1 {
			continue
		}
		gone[c.field] = true
		s.lifted[c.in] = append(s.lifted[c.in], c.field)
		s.Users = append(s.Users, layout.user(c.domain, c.localpart, posOf(c.field.Pos()), &c.node))
	}
	for in := range s.lifted {
		in.Elts = without(in.Elts, gone)
	}
}

func without(decls []ast.Decl, gone map[ast.Decl]bool) []ast.Decl {
	var kept []ast.Decl
	for _, d := range decls {
		if !gone[d] {
			kept = append(kept, d)
		}
	}
	return kept
}

// file looks for domains; whatever else could declare some, by a pattern or an embedding, stops lifting.
func (l *lifter) file(f *ast.File) {
	l.stuck = l.stuck || !l.fields(f.Decls, func(name string, field *ast.Field) {
		if name != "domains" {
			return
		}
		domains, ok := field.Value.(*ast.StructLit)
		l.stuck = l.stuck || !ok || !l.fields(domains.Elts, l.domain)
	})
}

func (l *lifter) domain(name string, field *ast.Field) {
	domain, ok := field.Value.(*ast.StructLit)
	ok = ok && l.fields(domain.Elts, func(part string, field *ast.Field) {
		if part != "users" {
			return
		}
		users, ok := field.Value.(*ast.StructLit)
		ok = ok && l.fields(users.Elts, func(localpart string, field *ast.Field) {
			l.user(name, localpart, users, field)
		})
		l.stay[name] = l.stay[name] || !ok
	})
	l.stay[name] = l.stay[name] || !ok
}

func (l *lifter) user(domain, localpart string, in *ast.StructLit, field *ast.Field) {
	l.count[[2]string{domain, localpart}]++
	label := textNode(localpart)
	n, ok := exprNode(field.Value)
	if ok && l.localpart.proves(&label) && l.layout.shape.proves(&n) {
		l.candidates = append(l.candidates, liftedUser{domain, localpart, in, field, n})
	}
}

// fields calls f for every plain field; false means that there is something else that could declare more.
func (l *lifter) fields(decls []ast.Decl, f func(name string, field *ast.Field)) bool {
	plain := true
	for _, d := range decls {
		switch d := d.(type) {
		case *ast.Field:
			if name, ok := plainLabel(d); ok {
				f(name, d)
			} else if id, ok := d.Label.(*ast.Ident); !ok || id.Name[0] != '_' && id.Name[0] != '#' {
				plain = false
			}
		case *ast.Package, *ast.ImportDecl, *ast.LetClause, *ast.CommentGroup:
		default:
			plain = false
		}
	}
	return plain
}

// references are all names that expressions use. A name in a label refers to nothing.
func references(files []*ast.File) map[string]bool {
	refs := map[string]bool{}
	var visit func(n ast.Node) bool
	visit = func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.Ident:
			refs[n.Name] = true
		case *ast.Field:
			if _, ok := n.Label.(*ast.Ident); !ok {
				ast.Walk(n.Label, visit, nil)
			}
			ast.Walk(n.Value, visit, nil)
			return false
		}
		return true
	}
	for _, f := range files {
		for _, d := range f.Decls {
			if _, ok := d.(*ast.Package); !ok {
				ast.Walk(d, visit, nil)
			}
		}
	}
	return refs
}
