package edit

import (
	"bytes"
	"slices"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/parser"
)

// body is what stands between two brackets, or a whole file: spans of elements without their commas and comments.
type body struct {
	open, end int // offsets of the brackets; -1 and the length for a file
	elems     []span
	strict    bool // every element but the last is followed by a comma, and the last is not (JSON)
}

// span is one element. Doc is where the comment above it begins, or start.
type span struct {
	doc, start, end int
	label           string // empty for what is no field
}

func (s span) labelled() bool { return s.label != "" }

func structBody(s *ast.StructLit) body {
	return body{open: s.Lbrace.Offset(), end: s.Rbrace.Offset(), elems: spans(s.Elts)}
}

func listBody(l *ast.ListLit) body {
	b := body{open: l.Lbrack.Offset(), end: l.Rbrack.Offset()}
	for _, e := range l.Elts {
		b.elems = append(b.elems, spanOf(e, ""))
	}
	return b
}

func spans(decls []ast.Decl) (out []span) {
	for _, d := range decls {
		switch d := d.(type) {
		case *ast.Field:
			out = append(out, spanOf(d, label(d)))
		case *ast.CommentGroup, *ast.Ellipsis:
		default:
			out = append(out, spanOf(d, ""))
		}
	}
	return out
}

func spanOf(n ast.Node, label string) span {
	s := span{start: n.Pos().Offset(), end: n.End().Offset(), label: label}
	s.doc = s.start
	for _, c := range ast.Comments(n) {
		if c.Doc {
			s.doc = min(s.doc, c.Pos().Offset())
		}
	}
	return s
}

// body is where the place stands, and as which element.
func (p place) body(size int) (body, int) {
	var b body
	var node ast.Node = p.level
	switch h := p.holder.(type) {
	case *ast.File:
		b = body{open: -1, end: size, elems: spans(h.Decls)}
	case *ast.StructLit:
		b = structBody(h)
	case *ast.ListLit:
		b, node = listBody(h), p.elem
	}
	at := node.Pos().Offset()
	return b, slices.IndexFunc(b.elems, func(s span) bool { return s.start == at })
}

// slot is where a new label belongs: in order where the fields are sorted, else at the end.
func (b body) slot(label string) int {
	end := len(b.elems)
	if end < 3 { // two may be in order by chance
		return end
	}
	for i, e := range b.elems {
		if !e.labelled() || i > 0 && b.elems[i-1].label >= e.label {
			return end
		}
	}
	if i := slices.IndexFunc(b.elems, func(e span) bool { return e.label > label }); i >= 0 {
		return i
	}
	return end
}

type patch struct{ content []byte }

func (p *patch) splice(start, end int, text string) {
	p.content = slices.Concat(p.content[:start:start], []byte(text), p.content[end:])
}

func (p *patch) parsed(name, what string) ([]byte, error) {
	if _, err := parser.ParseFile(name, p.content, parser.ParseComments); err != nil {
		return nil, unfit(name, what)
	}
	return p.content, nil
}

// insert adds an element as the i-th, on its own line where its neighbours have lines.
func (p *patch) insert(b body, i int, text string) {
	switch {
	case len(b.elems) == 0:
		p.first(b, text)
	case i == 0:
		p.before(b, text)
	default:
		p.after(b, i-1, text)
	}
}

func (p *patch) first(b body, text string) {
	inner := p.content[b.open+1 : b.end]
	if !bytes.Contains(inner, []byte("\n")) {
		p.splice(b.open+1, b.end, text)
		return
	}
	start := b.end - len(p.indent(b.end))
	p.splice(start, start, p.indent(b.open)+"\t"+text+newline(p.content))
}

func (p *patch) before(b body, text string) {
	next := b.elems[0]
	comma := b.strict || p.comma(next.end, b.end) > 0
	if line := p.line(b.open+1, next.doc); line >= 0 && b.open >= 0 {
		p.splice(line, line, newline(p.content)+p.indent(next.start)+text+when(comma, ","))
		return
	}
	p.splice(next.start, next.start, text+", ")
}

func (p *patch) after(b body, i int, text string) {
	prev, bound := b.elems[i], b.end
	if i+1 < len(b.elems) {
		bound = b.elems[i+1].doc
	}
	comma := p.comma(prev.end, bound)
	line := p.line(prev.end, bound)
	if line < 0 && b.open >= 0 {
		p.splice(prev.end, prev.end, ", "+text)
		return
	}
	if line < 0 {
		line = len(p.content)
	}
	last := i+1 == len(b.elems)
	p.splice(line, line, newline(p.content)+p.indent(prev.start)+text+when(comma > 0 && !(b.strict && last), ","))
	if b.strict && comma == 0 {
		p.splice(prev.end, prev.end, ",")
	}
}

// remove takes the i-th element out, with its lines where it has them for itself.
func (p *patch) remove(b body, i int) {
	e, end := b.elems[i], b.elems[i].end
	bound := b.end
	if i+1 < len(b.elems) {
		bound = b.elems[i+1].doc
	}
	if c := p.comma(end, bound); c > 0 {
		end = c
	}
	first := len(bytes.TrimSpace(p.content[p.lineStart(e.doc):e.doc])) == 0
	line := p.line(end, bound)
	if line < 0 && b.open < 0 && i+1 == len(b.elems) {
		line = len(p.content)
	}
	switch {
	case first && line >= 0:
		p.cut(p.lineStart(e.doc), min(line+len(newline(p.content)), len(p.content)))
	case i > 0 && len(bytes.Trim(p.content[b.elems[i-1].end:e.start], " \t\r\n,")) == 0:
		p.splice(b.elems[i-1].end, e.end, "")
		return
	case i+1 < len(b.elems) && p.line(end, bound) < 0:
		p.splice(e.doc, b.elems[i+1].start, "")
	default:
		p.splice(e.doc, end, "")
	}
	if b.strict && i > 0 && i+1 == len(b.elems) {
		prev := b.elems[i-1].end
		p.splice(prev, p.comma(prev, e.doc), "")
	}
}

// cut takes whole lines out, and one of two empty lines that would meet.
func (p *patch) cut(start, end int) {
	blank := []byte(newline(p.content))
	above := start == 0 || bytes.HasSuffix(p.content[:start], append(slices.Clone(blank), blank...))
	if above && bytes.HasPrefix(p.content[end:], blank) {
		end += len(blank)
	}
	p.splice(start, end, "")
}

// comma is the offset behind a comma that follows from, or 0.
func (p *patch) comma(from, bound int) int {
	for i := from; i < bound; i++ {
		switch p.content[i] {
		case ' ', '\t', '\r', '\n':
		case ',':
			return i + 1
		default:
			return 0
		}
	}
	return 0
}

// line is where the line of from ends, -1 when that is not before bound.
func (p *patch) line(from, bound int) int {
	i := bytes.IndexByte(p.content[from:bound], '\n')
	if i < 0 {
		return -1
	}
	if i += from; i > 0 && p.content[i-1] == '\r' {
		i--
	}
	return i
}

func (p *patch) lineStart(at int) int { return bytes.LastIndexByte(p.content[:at], '\n') + 1 }

// indent is the white space at the beginning of the line of an offset.
func (p *patch) indent(at int) string {
	line := p.content[p.lineStart(at):at]
	return string(line[:len(line)-len(bytes.TrimLeft(line, " \t"))])
}

// newline is how the file ends its lines.
func newline(content []byte) string {
	if bytes.Contains(content, []byte("\r\n")) {
		return "\r\n"
	}
	return "\n"
}

func when(yes bool, text string) string {
	if yes {
		return text
	}
	return ""
}
