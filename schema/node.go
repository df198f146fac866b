package schema

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/literal"
	"cuelang.org/go/cue/token"
)

// kind is a set of the kinds of values that data has.
type kind uint8

const (
	kindNull kind = 1 << iota
	kindBool
	kindString
	kindInt
	kindFloat
	kindStruct
	kindList

	kindNumber  = kindInt | kindFloat
	kindScalar  = kindNull | kindBool | kindString | kindNumber
	kindAny     = kindScalar | kindStruct | kindList
	kindUnknown = kind(0) // nothing can be said of it
)

// node is a piece of plain data, from CUE or a data file. An int also has its num.
type node struct {
	kind   kind
	text   string // of a string
	num    float64
	whole  int64
	truth  bool
	fields []field
	list   []node
}

type field struct {
	name  string
	value node
}

func (n *node) lookup(name string) *node {
	for i := range n.fields {
		if n.fields[i].name == name {
			return &n.fields[i].value
		}
	}
	return nil
}

// fieldSet collects the fields of a struct, each once. Few are compared, many are hashed.
type fieldSet struct {
	fields []field
	names  map[string]bool
}

// add says false for a name that is there already.
func (s *fieldSet) add(name string, value node) bool {
	if len(s.fields) == 16 {
		s.names = make(map[string]bool, 64)
		for _, f := range s.fields {
			s.names[f.name] = true
		}
	}
	if s.names != nil {
		if s.names[name] {
			return false
		}
		s.names[name] = true
	} else if slices.ContainsFunc(s.fields, func(f field) bool { return f.name == name }) {
		return false
	}
	s.fields = append(s.fields, field{name, value})
	return true
}

func (s *fieldSet) node() node { return node{kind: kindStruct, fields: s.fields} }

// equal compares scalars.
func (n *node) equal(m *node) bool {
	return n.kind == m.kind && n.text == m.text && n.num == m.num && n.truth == m.truth
}

// String is the value as CUE writes it.
func (n *node) String() string {
	switch n.kind {
	case kindString:
		return strconv.Quote(n.text)
	case kindInt:
		return strconv.FormatInt(n.whole, 10)
	case kindFloat:
		return strconv.FormatFloat(n.num, 'g', -1, 64)
	case kindBool:
		return strconv.FormatBool(n.truth)
	case kindNull:
		return "null"
	case kindStruct:
		return "a struct"
	case kindList:
		return "a list"
	}
	return "a value"
}

func textNode(s string) node { return node{kind: kindString, text: s} }

func intNode(i int64) node { return node{kind: kindInt, whole: i, num: float64(i)} }

// exprNode reads a literal; ok is false for anything that needs evaluation.
func exprNode(x ast.Expr) (n node, ok bool) {
	switch x := x.(type) {
	case *ast.BasicLit:
		return literalNode(x)
	case *ast.StructLit:
		return structNode(x)
	case *ast.ListLit:
		n := node{kind: kindList}
		for _, e := range x.Elts {
			item, ok := exprNode(e)
			if !ok {
				return node{}, false
			}
			n.list = append(n.list, item)
		}
		return n, true
	}
	return node{}, false
}

func literalNode(x *ast.BasicLit) (node, bool) {
	switch x.Kind {
	case token.STRING:
		s, err := literal.Unquote(x.Value)
		return textNode(s), err == nil && x.Value[0] == '"'
	case token.INT, token.FLOAT:
		return number(x.Value)
	case token.TRUE, token.FALSE:
		return node{kind: kindBool, truth: x.Kind == token.TRUE}, true
	}
	return node{}, false
}

// number reads a plain decimal number; as in CUE, one with a point or an exponent is no int.
func number(s string) (node, bool) {
	if i, err := strconv.ParseInt(s, 10, 64); err == nil {
		return intNode(i), true
	}
	if strings.Trim(s, "-0123456789") == "" {
		return node{}, false // too large to count with
	}
	f, err := strconv.ParseFloat(s, 64)
	return node{kind: kindFloat, num: f}, err == nil && strings.Trim(s, "+-.eE0123456789") == ""
}

// structNode reads a struct of plain fields, each named once.
func structNode(x *ast.StructLit) (node, bool) {
	set := fieldSet{fields: make([]field, 0, len(x.Elts))}
	for _, d := range x.Elts {
		f, ok := d.(*ast.Field)
		if !ok {
			return node{}, false
		}
		name, named := plainLabel(f)
		value, plain := exprNode(f.Value)
		if !named || !plain || !set.add(name, value) {
			return node{}, false
		}
	}
	return set.node(), true
}

// plainLabel is the name of a regular field that nothing can refer to by an alias.
func plainLabel(f *ast.Field) (string, bool) {
	if f.Constraint != token.ILLEGAL || f.Alias != nil || len(f.Attrs) > 0 {
		return "", false
	}
	return labelName(f.Label)
}

func labelName(l ast.Label) (string, bool) {
	switch l := l.(type) {
	case *ast.Ident:
		return l.Name, l.Name[0] != '_' && l.Name[0] != '#'
	case *ast.BasicLit:
		if l.Kind != token.STRING || l.Value[0] != '"' {
			return "", false
		}
		s, err := literal.Unquote(l.Value)
		return s, err == nil
	}
	return "", false
}

// writtenNode is valueNode for values that hold errors, where CUE does not list what is beside them: it
// goes by what is written.
func writtenNode(v cue.Value, at *spot, lifted liftedDecls) node {
	if n := valueNode(v); n.kind&kindScalar != 0 || v.Validate() == nil {
		return n
	}
	at.read(lifted)
	n := node{kind: kindStruct}
	for i, name := range at.order {
		if item := fmt.Sprintf("[%d]", i); name == item {
			n.kind = kindList
			n.list = append(n.list, writtenNode(v.LookupPath(cue.MakePath(cue.Index(i))), at.kids[name], lifted))
			continue
		}
		value := writtenNode(v.LookupPath(cue.MakePath(cue.Str(name))), at.kids[name], lifted)
		n.fields = append(n.fields, field{name, value})
	}
	if len(at.order) == 0 {
		return node{}
	}
	return n
}

// valueNode reads what CUE evaluated; what is not concrete has an unknown kind.
func valueNode(v cue.Value) node {
	v, _ = v.Default()
	switch v.IncompleteKind() {
	case cue.NullKind:
		return node{kind: kindNull}
	case cue.StructKind:
		return fieldsNode(v)
	case cue.ListKind:
		return itemsNode(v)
	}
	return scalarNode(v)
}

func scalarNode(v cue.Value) node {
	switch v.Kind() {
	case cue.BoolKind:
		b, _ := v.Bool()
		return node{kind: kindBool, truth: b}
	case cue.StringKind:
		s, _ := v.String()
		return textNode(s)
	case cue.IntKind:
		i, err := v.Int64()
		if err != nil {
			return node{}
		}
		return intNode(i)
	case cue.FloatKind, cue.NumberKind:
		f, _ := v.Float64()
		return node{kind: kindFloat, num: f}
	}
	return node{}
}

func fieldsNode(v cue.Value) node {
	n := node{kind: kindStruct}
	fields, err := v.Fields()
	if err != nil {
		return node{}
	}
	for fields.Next() {
		n.fields = append(n.fields, field{fields.Selector().Unquoted(), valueNode(fields.Value())})
	}
	return n
}

func itemsNode(v cue.Value) node {
	n := node{kind: kindList}
	items, err := v.List()
	if err != nil {
		return node{}
	}
	for items.Next() {
		n.list = append(n.list, valueNode(items.Value()))
	}
	return n
}

// place is where a node stands, as a chain to the root; a list index is a label in brackets.
type place struct {
	up    *place
	label string
}

func (p *place) field(name string) *place { return &place{p, quoteLabel(name)} }

func (p *place) index(i int) *place { return &place{p, fmt.Sprintf("[%d]", i)} }

// String is the site path.
func (p *place) String() string {
	if p == nil {
		return ""
	}
	up := p.up.String()
	if up == "" || strings.HasPrefix(p.label, "[") {
		return up + p.label
	}
	return up + "." + p.label
}

func quoteLabel(name string) string {
	if ast.IsValidIdent(name) && name[0] != '_' && name[0] != '#' {
		return name
	}
	return strconv.Quote(name)
}

// labels are the parts of the path, from the root, without quotes.
func (p *place) labels() []string {
	if p == nil {
		return nil
	}
	label := p.label
	if s, err := strconv.Unquote(label); err == nil {
		label = s
	}
	return append(p.up.labels(), label)
}
