package schema

import (
	"fmt"
	"iter"
	"slices"
	"strings"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/errors"
	"cuelang.org/go/cue/token"
)

// presenter turns what CUE says of an invalid site into one problem for each mistake, at the author's line.
type presenter struct {
	src    *Source
	shapes *shapes
}

// present explains a site that CUE refused. The raw site is the author's alone, without the schema: walking
// it beside the schema's shapes finds every mistake, where CUE stops at the first of a struct or says one
// in many ways. What the shapes can't see, such as two contradicting files, is told in CUE's words.
func (p *presenter) present(raw cue.Value, refused error) Problems {
	e := &explainer{}
	n := writtenNode(raw, p.src.root, p.src.lifted)
	e.explain(p.shapes.of("#Site"), &n, nil)
	var ps Problems
	known := explained{at: map[string]bool{}, above: map[string]bool{}}
	for _, m := range e.mistakes {
		ps = append(ps, p.problem(m))
		known.add(m.at.String())
	}
	for _, m := range e.meant {
		known.add(m.String())
	}
	for _, group := range byPath(refused) {
		if !known.covers(group.path) {
			ps = append(ps, p.told(group))
		}
	}
	return onePerLine(ps)
}

// explained are the paths of known mistakes, and all paths above them.
type explained struct{ at, above map[string]bool }

func (x explained) add(path string) {
	x.at[path] = true
	for up := range ancestors(path) {
		x.above[up] = true
	}
}

// covers says that there is a known mistake at the path, above it or below it.
func (x explained) covers(path string) bool {
	for up := range ancestors(path) {
		if x.at[up] {
			return true
		}
	}
	return x.at[path] || x.above[path]
}

// ancestors are the paths above a path, the empty one included, and some pieces of quoted names, which do
// no harm as no path is like them.
func ancestors(path string) iter.Seq[string] {
	return func(yield func(string) bool) {
		if path != "" && !yield("") {
			return
		}
		for i, c := range path {
			if (c == '.' || c == '[') && !yield(path[:i]) {
				return
			}
		}
	}
}

// onePerLine joins what one written value causes at many paths, such as a pattern, a comprehension or a
// definition.
func onePerLine(ps Problems) Problems {
	var kept Problems
	more := map[int]int{}
	last := map[Pos]int{} // the last kept problem of a place
	for _, p := range ps {
		if at, ok := last[p.Pos]; ok && sameCause(kept[at], p) {
			more[at]++
			continue
		}
		last[p.Pos] = len(kept)
		kept = append(kept, p)
	}
	for at, n := range more {
		kept[at].Message += fmt.Sprintf(" (and %d more like it)", n)
	}
	return kept
}

func sameCause(a, b Problem) bool {
	return a.Schema == b.Schema && a.Schema.Line > 0 && sameField(a.Path, b.Path) || a.Message == b.Message && a.Hint == b.Hint
}

// sameField says that two paths end in the same name.
func sameField(a, b string) bool {
	return a != b && a[strings.LastIndexByte(a, '.')+1:] == b[strings.LastIndexByte(b, '.')+1:]
}

func (p *presenter) problem(m mistake) Problem {
	return Problem{
		Pos: p.src.find(m.at.labels(), m.label), Path: m.at.String(),
		Message: m.message, Hint: m.hint, Schema: posOf(m.schema),
	}
}

// group is all that CUE says of one path.
type group struct {
	labels []string
	path   string
	errors []errors.Error
}

func byPath(err error) []group {
	var groups []group
	index := map[string]int{}
	for _, e := range errors.Errors(err) {
		labels, path := sitePath(e.Path())
		i, ok := index[path]
		if !ok {
			i = len(groups)
			index[path] = i
			groups = append(groups, group{labels: labels, path: path})
		}
		groups[i].errors = append(groups[i].errors, e)
	}
	return groups
}

// sitePath reads the path of an error, where names stand as in CUE and an index is a bare number.
func sitePath(path []string) (labels []string, text string) {
	var at *place
	for _, l := range path {
		label := l
		if strings.Trim(l, "0123456789") == "" {
			l = "[" + l + "]"
			label = l
		} else if sel := cue.ParsePath(l).Selectors(); len(sel) == 1 && sel[0].LabelType() == cue.StringLabel {
			label = sel[0].Unquoted()
			l = quoteLabel(label)
		}
		labels = append(labels, label)
		at = &place{at, l}
	}
	return labels, at.String()
}

// told is a group in CUE's words, at the author's line. Where a secret may be meant, no value is shown.
func (p *presenter) told(g group) Problem {
	e := mostSpecific(g.errors)
	problem := Problem{Path: g.path, Message: messageOf(e), Pos: p.src.find(g.labels, false)}
	mine, schema := p.positions(e)
	if len(mine) > 0 && !slices.Contains(mine, problem.Pos) {
		problem.Pos = mine[0]
	}
	if len(schema) > 0 && len(mine) < 2 {
		problem.Schema = schema[0]
	}
	secret := p.shapes.secretAt(g.labels)
	if secret {
		problem.Message = "CUE refuses this value"
	}
	switch format, args := e.Msg(); {
	case strings.HasPrefix(format, "conflicting values") && len(mine) > 1:
		problem.Message = "two values contradict each other"
		if !secret {
			problem.Message = fmt.Sprintf("%v and %v contradict each other", args[0], args[1])
		}
		problem.Hint = "the other stands at " + other(mine, problem.Pos).String() + "; keep one"
	case strings.HasPrefix(format, "incomplete value"):
		problem.Message = "is not decided yet"
		if !secret {
			problem.Message += fmt.Sprintf(": %v", args[0])
		}
		problem.Hint = "write one value"
	case format == "field not allowed":
		problem.Hint = "a definition of your own closes the struct around it"
	}
	return problem
}

func other(list []Pos, than Pos) Pos {
	for _, p := range list {
		if p != than {
			return p
		}
	}
	return than
}

// mostSpecific prefers what names the values over what counts alternatives.
func mostSpecific(list []errors.Error) errors.Error {
	for _, e := range list {
		if format, _ := e.Msg(); !strings.Contains(format, "errors in empty disjunction") {
			return e
		}
	}
	return list[0]
}

// messageOf is what an error says, with its cause, without path and position.
func messageOf(e errors.Error) string {
	format, args := e.Msg()
	text := strings.TrimSuffix(fmt.Sprintf(format, args...), ":")
	if cause, ok := errors.Unwrap(e).(errors.Error); ok {
		text += ": " + messageOf(cause)
	}
	return text
}

// positions parts the author's places from the schema's.
func (p *presenter) positions(e errors.Error) (mine, schema []Pos) {
	for _, at := range append([]token.Pos{e.Position()}, e.InputPositions()...) {
		pos := posOf(at)
		switch {
		case pos == Pos{}:
		case p.src.wrote(pos.File):
			if !slices.Contains(mine, pos) {
				mine = append(mine, pos)
			}
		default:
			schema = append(schema, pos)
		}
	}
	return mine, schema
}
