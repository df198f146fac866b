package schema

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/token"
)

// shapes are the definitions as shapes, walked on demand.
type shapes struct {
	defs map[string]*ast.Field
	done map[string]*shape
}

func newShapes(files []*ast.File) *shapes {
	s := &shapes{defs: map[string]*ast.Field{}, done: map[string]*shape{}}
	for _, file := range files {
		for _, d := range file.Decls {
			if f, ok := d.(*ast.Field); ok {
				if id, ok := f.Label.(*ast.Ident); ok {
					s.defs[id.Name] = f
				}
			}
		}
	}
	return s
}

// of is the shape of a definition.
func (s *shapes) of(name string) *shape {
	if done := s.done[name]; done != nil {
		return done
	}
	f := s.defs[name]
	if f == nil {
		return unsaid()
	}
	done := s.expr(f.Value)
	s.name(done, words(f))
	s.done[name] = done
	return done
}

// secretAt says whether a path is, or is inside, a place where a reference to a secret is wanted.
func (s *shapes) secretAt(labels []string) bool {
	sh := s.of("#Site")
	for _, l := range labels {
		if sh = sh.inside(l); sh == nil || sh.secret() {
			return sh != nil
		}
	}
	return false
}

// inside is the shape of a field or element; nil where the schema has none.
func (s *shape) inside(label string) *shape {
	for i := range s.alts {
		switch a := &s.alts[i]; {
		case a.fields != nil:
			return a.fields.of(label)
		case a.list != nil:
			return a.list.rest
		}
	}
	return nil
}

// name gives alternatives their words: those of a definition or of a field's @want. Structs and constants
// speak for themselves, a list's words are for its elements.
func (s *shapes) name(sh *shape, words string) {
	for i := range sh.alts {
		a := &sh.alts[i]
		switch {
		case words == "" || a.value != nil || a.fields != nil:
		case a.list == nil:
			a.words = words
		case a.list.rest != nil:
			s.name(a.list.rest, words)
		}
	}
}

func unsaid() *shape { return &shape{alts: []alt{{kinds: kindAny}}, inexact: true} }

func (s *shapes) expr(x ast.Expr) *shape {
	switch x := x.(type) {
	case *ast.Ident:
		return s.ident(x)
	case *ast.BasicLit:
		return constant(x)
	case *ast.ParenExpr:
		return s.expr(x.X)
	case *ast.UnaryExpr:
		return s.unary(x)
	case *ast.BinaryExpr:
		switch x.Op {
		case token.AND:
			return both(s.expr(x.X), s.expr(x.Y))
		case token.OR:
			return either(s.expr(x.X), s.expr(x.Y))
		}
	case *ast.StructLit:
		return s.structure(x)
	case *ast.ListLit:
		return s.elements(x)
	}
	return unsaid()
}

var basics = map[string]kind{"_": kindAny, "string": kindString, "int": kindInt, "float": kindFloat,
	"number": kindNumber, "bool": kindBool, "null": kindNull}

func (s *shapes) ident(x *ast.Ident) *shape {
	if k, ok := basics[x.Name]; ok {
		return &shape{alts: []alt{{kinds: k, pos: x.Pos()}}}
	}
	def := *s.of(x.Name)
	def.alts = slices.Clone(def.alts)
	return &def
}

func constant(x ast.Expr) *shape {
	n, ok := exprNode(x)
	if !ok {
		return unsaid()
	}
	return &shape{alts: []alt{{kinds: n.kind, value: &n, pos: x.Pos()}}}
}

func (s *shapes) unary(x *ast.UnaryExpr) *shape {
	if x.Op == token.MUL {
		sh := s.expr(x.X)
		if n, ok := exprNode(x.X); ok {
			sh.preset = &n
			for i := range sh.alts {
				sh.alts[i].preset = true
			}
		} else {
			sh.inexact = true
		}
		return sh
	}
	n, ok := exprNode(x.X)
	if !ok {
		return unsaid()
	}
	t := test{op: x.Op, than: n}
	a := alt{kinds: kindNumber, tests: []test{t}, pos: x.Pos()}
	switch x.Op {
	case token.MAT, token.NMAT:
		re, err := regexp.Compile(n.text)
		if err != nil {
			return unsaid()
		}
		a.kinds, a.tests[0].match = kindString, re
	case token.NEQ:
		a.kinds = n.kind
	case token.GEQ, token.GTR, token.LEQ, token.LSS:
		if n.kind&kindNumber == 0 {
			return unsaid()
		}
	default:
		return unsaid()
	}
	return &shape{alts: []alt{a}}
}

func (s *shapes) structure(x *ast.StructLit) *shape {
	st := &structShape{fields: map[string]*fieldShape{}}
	sh := &shape{alts: []alt{{kinds: kindStruct, pos: x.Pos()}}}
	for _, d := range x.Elts {
		switch d := d.(type) {
		case *ast.Field:
			s.declare(st, d)
		case *ast.EmbedDecl:
			embedded := s.expr(d.Expr)
			if len(embedded.alts) != 1 || embedded.alts[0].fields == nil {
				return unsaid()
			}
			sh.inexact = sh.inexact || embedded.inexact
			st = joinStructs(st, embedded.alts[0].fields)
		case *ast.Ellipsis:
			st.open = true
		case *ast.CommentGroup, *ast.Attribute:
		default:
			return unsaid()
		}
	}
	sh.alts[0].fields = st
	return sh
}

func (s *shapes) declare(st *structShape, f *ast.Field) {
	value := s.expr(f.Value)
	want := attribute(f, "want")
	if list, ok := f.Label.(*ast.ListLit); ok && len(list.Elts) == 1 {
		label := s.expr(list.Elts[0])
		s.name(label, want)
		st.patterns = append(st.patterns, patternShape{label, value})
		return
	}
	s.name(value, want)
	name, ok := labelName(f.Label)
	if !ok {
		return
	}
	fs := &fieldShape{shape: value, doc: sentence(f), pos: f.Pos()}
	switch f.Constraint {
	case token.NOT:
		fs.need = required
	case token.OPTION:
		fs.need = optional
	}
	st.add(name, fs)
}

func (s *shapes) elements(x *ast.ListLit) *shape {
	l := &listShape{}
	for _, e := range x.Elts {
		if rest, ok := e.(*ast.Ellipsis); ok {
			l.rest = &shape{alts: []alt{{kinds: kindAny}}}
			if rest.Type != nil {
				l.rest = s.expr(rest.Type)
			}
			continue
		}
		l.first = append(l.first, s.expr(e))
	}
	return &shape{alts: []alt{{kinds: kindList, list: l, pos: x.Pos()}}}
}

// attribute is the text of a field's attribute, such as @want("32 hexadecimal digits").
func attribute(f *ast.Field, name string) string {
	for _, a := range f.Attrs {
		if key, body := a.Split(); key == name {
			text, err := strconv.Unquote(body)
			if err != nil {
				panic("embedded schema: " + a.Text + ": " + err.Error())
			}
			return text
		}
	}
	return ""
}

// words are what a definition calls its values: its comment's first sentence after "is" or "are".
func words(def *ast.Field) string {
	if want := attribute(def, "want"); want != "" {
		return want
	}
	_, what, _ := strings.Cut(sentence(def), " is ")
	return what
}

// sentence is the first sentence of a field's comment, without its full stop.
func sentence(f *ast.Field) string {
	var text string
	for _, g := range ast.Comments(f) {
		if g.Doc {
			text = strings.Join(strings.Fields(g.Text()), " ")
		}
	}
	if end := sentenceEnd.FindStringIndex(text); end != nil {
		text = text[:end[0]]
	}
	return strings.TrimSuffix(text, ".")
}

var sentenceEnd = regexp.MustCompile(`\. [A-Z]`)
