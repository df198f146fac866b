// Package edit changes CUE files the way their author would: one field at a time, by the smallest patch to the text,
// with comments and layout kept. It turns (file, site path, expression) into new bytes and knows nothing of the schema.
package edit

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/literal"
	"cuelang.org/go/cue/parser"
	"cuelang.org/go/cue/token"
)

// ErrAbsent says that a file has nothing of the path, so that another file may be the place.
var ErrAbsent = errors.New("no part of the path is in this file")

// Set gives the field at path the value, a CUE expression, in one file. A field that is there gets a new value where
// it stands; else it is added to the nearest struct around it. ErrAbsent comes back when not even the first
// label of the path is in the file.
func Set(name string, content []byte, path, value string) ([]byte, error) {
	labels, err := split(path)
	if err != nil {
		return nil, err
	}
	file, err := parser.ParseFile(name, content, parser.ParseComments)
	if err != nil {
		return nil, fmt.Errorf("parse %s: %w", name, err)
	}
	place, depth := find(file.Decls, labels)
	if depth == 0 {
		return nil, ErrAbsent
	}
	p := patch{content: content}
	if depth == len(labels) {
		p.replace(place.value(), value)
	} else if err := p.insert(place, labels[:depth], labels[depth:], value); err != nil {
		return nil, fmt.Errorf("%s: %s: %w", name, path, err)
	}
	if _, err := parser.ParseFile(name, p.content, parser.ParseComments); err != nil {
		return nil, fmt.Errorf("%s: the edit of %s does not fit there; make it by hand: %s", name, path, value)
	}
	return p.content, nil
}

// Append adds the field on a line of its own at the end of a file, for paths that begin in no file.
func Append(content []byte, path, value string) ([]byte, error) {
	labels, err := split(path)
	if err != nil {
		return nil, err
	}
	out := bytes.TrimRight(content, "\n")
	return []byte(string(out) + "\n\n" + chain(labels) + value + "\n"), nil
}

// place is how far a path leads into a file: the last field on the way, and the field at whose level it begins
// (for a: b: c the level of c is that of a).
type place struct {
	field *ast.Field
	level *ast.Field
	elem  ast.Expr // set when the path ends in a list element
}

func (p place) value() ast.Expr {
	if p.elem != nil {
		return p.elem
	}
	return p.field.Value
}

// find descends as far as the file goes with the path. Of several ways (a field may be written in parts)
// the deepest wins, of equal ones the last.
func find(decls []ast.Decl, labels []string) (best place, depth int) {
	for _, d := range decls {
		f, ok := d.(*ast.Field)
		if !ok || label(f) != labels[0] {
			continue
		}
		p, n := place{field: f, level: f}, 1
		if len(labels) > 1 {
			if inner, m := descend(f.Value, labels[1:]); m > 0 {
				p, n = inner, m+1
				if onChain(f.Value, p.level) {
					p.level = f
				}
			}
		}
		if n >= depth {
			best, depth = p, n
		}
	}
	return best, depth
}

func descend(value ast.Expr, labels []string) (place, int) {
	switch v := value.(type) {
	case *ast.StructLit:
		return find(v.Elts, labels)
	case *ast.ListLit:
		i, err := strconv.Atoi(labels[0])
		if err != nil || i >= len(v.Elts) {
			return place{}, 0
		}
		if len(labels) > 1 {
			if p, n := descend(v.Elts[i], labels[1:]); n > 0 {
				return p, n + 1
			}
		}
		return place{elem: v.Elts[i]}, 1
	}
	return place{}, 0
}

// onChain says whether a value is the rest of a chain a: b: c that begins with the field.
func onChain(value ast.Expr, field *ast.Field) bool {
	s, ok := value.(*ast.StructLit)
	return ok && !s.Lbrace.IsValid() && len(s.Elts) == 1 && s.Elts[0] == ast.Decl(field)
}

func label(f *ast.Field) string {
	name, _, err := ast.LabelName(f.Label)
	if err != nil {
		return ""
	}
	return name
}

// split parts a site path: domains."example.com".records[0].ttl.
func split(path string) ([]string, error) {
	var labels []string
	for rest := path; rest != ""; {
		var label string
		switch {
		case rest[0] == '"':
			end := closing(rest)
			if end < 0 {
				return nil, fmt.Errorf("path %s: a quote is open", path)
			}
			text, err := literal.Unquote(rest[:end+1])
			if err != nil {
				return nil, fmt.Errorf("path %s: %w", path, err)
			}
			label, rest = text, rest[end+1:]
		case rest[0] == '[':
			index, after, ok := strings.Cut(rest[1:], "]")
			if !ok {
				return nil, fmt.Errorf("path %s: a bracket is open", path)
			}
			label, rest = index, after
		default:
			end := strings.IndexAny(rest, ".[")
			if end < 0 {
				end = len(rest)
			}
			label, rest = rest[:end], rest[end:]
		}
		labels = append(labels, label)
		rest = strings.TrimPrefix(rest, ".")
	}
	if len(labels) == 0 {
		return nil, errors.New("the path is empty")
	}
	return labels, nil
}

// closing finds the quote that ends the string at the beginning of s.
func closing(s string) int {
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return i
		}
	}
	return -1
}

type patch struct{ content []byte }

func (p *patch) replace(old ast.Expr, value string) {
	p.splice(old.Pos().Offset(), old.End().Offset(), value)
}

// insert adds the rest of the path: into the braces of the value found, or beside the field when it has none.
func (p *patch) insert(at place, done, rest []string, value string) error {
	field := chain(rest) + value
	if s, ok := at.value().(*ast.StructLit); ok && s.Lbrace.IsValid() {
		p.into(s, field)
		return nil
	}
	if at.elem != nil || at.level == nil {
		return errors.New("there is no struct to put the field in")
	}
	// relay: password: …  gets a second line  relay: tls: …
	head := chain(done[len(done)-levels(at):])
	p.after(at.level, head+field)
	return nil
}

// levels is how many labels the chain from at.level to at.field has.
func levels(at place) int {
	n := 1
	for f := at.level; f != at.field; n++ {
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

// chain writes labels as a: b: .
func chain(labels []string) string {
	var b strings.Builder
	for _, l := range labels {
		if ast.IsValidIdent(l) {
			b.WriteString(l)
		} else {
			b.WriteString(literal.String.Quote(l))
		}
		b.WriteString(": ")
	}
	return b.String()
}

// into adds a field at the end of a struct, on its own line where the struct has lines.
func (p *patch) into(s *ast.StructLit, field string) {
	open, end := s.Lbrace.Offset(), s.Rbrace.Offset()
	inner := bytes.TrimSpace(p.content[open+1 : end])
	switch {
	case bytes.Contains(p.content[open:end], []byte("\n")):
		indent := p.indent(s.Rbrace) + "\t"
		start := end - len(p.indent(s.Rbrace))
		p.splice(start, start, indent+field+"\n")
	case len(inner) == 0:
		p.splice(open+1, end, field)
	default:
		p.splice(end, end, ", "+field)
	}
}

// after adds a field on a line below another.
func (p *patch) after(f *ast.Field, field string) {
	end := f.End().Offset()
	if i := bytes.IndexByte(p.content[end:], '\n'); i >= 0 {
		end += i
	} else {
		end = len(p.content)
	}
	p.splice(end, end, "\n"+p.indent(f.Pos())+field)
}

// indent is the white space at the beginning of the line of a position.
func (p *patch) indent(at token.Pos) string {
	start := bytes.LastIndexByte(p.content[:at.Offset()], '\n') + 1
	line := p.content[start:at.Offset()]
	return string(line[:len(line)-len(bytes.TrimLeft(line, " \t"))])
}

func (p *patch) splice(start, end int, text string) {
	p.content = []byte(string(p.content[:start]) + text + string(p.content[end:]))
}
