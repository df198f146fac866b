package schema

import (
	"fmt"
	"strings"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/cuecontext"
	"cuelang.org/go/cue/literal"
	"cuelang.org/go/cue/token"
)

// row is one user in a data file: its address and the fields of #User.
type row struct {
	number  int // from 1, without a header
	pos     Pos
	address node // unknown where it is missing
	fields  node
}

// rowReader reads a kind of data file; what can't be read at all is told in its problems.
type rowReader func(file string, data []byte, columns *structShape) ([]row, Problems)

var rowReaders = map[string]rowReader{
	"users.json": readJSON, "users.yaml": readYAML, "users.yml": readYAML, "users.csv": readCSV,
}

// maxDepth bounds how deep data may be nested; a user needs three levels.
const maxDepth = 32

var errDeep = fmt.Errorf("nested deeper than %d levels", maxDepth)

// take parts the address from a row's fields.
func (r *row) take(n node) {
	r.fields = n
	for i := range n.fields {
		if n.fields[i].name == "address" {
			r.address = n.fields[i].value
			r.fields.fields = append(n.fields[:i:i], n.fields[i+1:]...)
			return
		}
	}
}

// rowChecker turns rows into users. What the shapes prove is valid; what they can't prove CUE decides.
type rowChecker struct {
	layout    *userLayout
	localpart *shape
	domain    *shape
	user      cue.Value // #User, built when first needed
	files     []*ast.File
	problems  Problems
}

func newRowChecker(l *userLayout, s *shapes, files []*ast.File) *rowChecker {
	return &rowChecker{layout: l, localpart: s.of("#Localpart"), domain: s.of("#DomainName"), files: files}
}

// check appends the users of valid rows and collects the problems of others.
func (c *rowChecker) check(users []User, rows []row) []User {
	for i := range rows {
		r := &rows[i]
		localpart, domain, ok := c.split(r)
		if !ok {
			continue
		}
		if !c.layout.shape.proves(&r.fields) && !c.decide(r, localpart, domain) {
			continue
		}
		u := c.layout.user(domain, localpart, r.pos, &r.fields)
		u.fromFile = true
		users = append(users, u)
	}
	return users
}

func (c *rowChecker) split(r *row) (localpart, domain string, ok bool) {
	switch r.address.kind {
	case kindUnknown:
		c.tell(r, "", mistake{message: "address is required and not written", hint: `add address: "localpart@domain"`})
		return "", "", false
	case kindString:
	default:
		c.tell(r, "", mistake{message: fmt.Sprintf("address: found %s, want a string", r.address.phrase(r.address.String()))})
		return "", "", false
	}
	at := strings.LastIndexByte(r.address.text, '@')
	if at < 0 {
		c.tell(r, "", mistake{message: fmt.Sprintf("address: %s has no @", &r.address)})
		return "", "", false
	}
	localpart, domain = r.address.text[:at], r.address.text[at+1:]
	return localpart, domain, c.part(r, c.domain, domain) && c.part(r, c.localpart, localpart)
}

func (c *rowChecker) part(r *row, s *shape, text string) bool {
	n := textNode(text)
	if s.proves(&n) {
		return true
	}
	c.tell(r, "", mistake{message: fmt.Sprintf("address: %s is not %s", &n, s.want()), hint: s.mend(&n), schema: s.pos(&n)})
	return false
}

// decide explains a row that is not proved, if CUE refuses it too.
func (c *rowChecker) decide(r *row, localpart, domain string) bool {
	if !c.user.Exists() {
		c.user = cuecontext.New().BuildInstance(instance(c.files)).LookupPath(cue.ParsePath("#User"))
	}
	v := cuecontext.New().BuildExpr(r.fields.expr()).Unify(c.user)
	refused := v.Validate(cue.Concrete(true), cue.Final())
	if refused == nil {
		r.fields = valueNode(v)
		return true
	}
	at := (*place)(nil).field("domains").field(domain).field("users").field(localpart)
	e := &explainer{}
	e.explain(c.layout.shape, &r.fields, at)
	for _, m := range e.mistakes {
		c.tell(r, m.at.String(), m)
	}
	if len(e.mistakes) == 0 {
		for _, g := range byPath(refused) {
			c.tell(r, at.String(), mistake{message: messageOf(mostSpecific(g.errors))})
		}
	}
	return false
}

func (c *rowChecker) tell(r *row, path string, m mistake) {
	c.problems = append(c.problems, Problem{Pos: r.pos, Path: path, Hint: m.hint, Schema: posOf(m.schema),
		Message: fmt.Sprintf("row %d: %s", r.number, m.message)})
}

// expr is the data as CUE syntax.
func (n *node) expr() ast.Expr {
	switch n.kind {
	case kindString:
		return ast.NewString(n.text)
	case kindInt, kindFloat:
		return numberExpr(n)
	case kindBool:
		return ast.NewBool(n.truth)
	case kindList:
		list := &ast.ListLit{}
		for i := range n.list {
			list.Elts = append(list.Elts, n.list[i].expr())
		}
		return list
	case kindStruct:
		s := &ast.StructLit{}
		for i := range n.fields {
			s.Elts = append(s.Elts, &ast.Field{
				Label: &ast.BasicLit{Kind: token.STRING, Value: literal.String.Quote(n.fields[i].name)},
				Value: n.fields[i].value.expr(),
			})
		}
		return s
	}
	return ast.NewNull()
}

// numberExpr keeps a float one that looks whole.
func numberExpr(n *node) ast.Expr {
	text := n.String()
	if n.kind == kindInt {
		return &ast.BasicLit{Kind: token.INT, Value: text}
	}
	if !strings.ContainsAny(text, ".e") {
		text += ".0"
	}
	return &ast.BasicLit{Kind: token.FLOAT, Value: text}
}
