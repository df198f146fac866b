// Package edit changes the files of a site the way their author would: one field at a time, by the smallest patch to
// the text, with comments and layout kept. It turns (file, site path, expression) into new bytes for CUE and
// (file, address, fields) for tables of users in CSV, JSON and YAML. It knows nothing of the schema, and touches no disk.
package edit

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/literal"
	"cuelang.org/go/cue/parser"
)

// ErrAbsent says that a file has nothing of the path, so that another file may be the place.
var ErrAbsent = errors.New("no part of the path is in this file")

// Set gives the field at path the value, a CUE expression, in one file. A field that is there gets a new value where
// it stands; else it is added to the nearest struct around it, in order where the fields there are sorted. ErrAbsent
// comes back when not even the first label of the path is in the file.
func Set(name string, content []byte, path, value string) ([]byte, error) {
	at, labels, err := locate(name, content, path)
	if err != nil {
		return nil, err
	}
	p := patch{content: content}
	if at.depth == len(labels) {
		v := at.value()
		p.splice(v.Pos().Offset(), v.End().Offset(), value)
	} else if err := p.add(at, labels, value); err != nil {
		return nil, fmt.Errorf("%s: %s: %w", name, path, err)
	}
	return p.parsed(name, path+": "+value)
}

// Remove takes the field or list element at path out of one file, with the comment that describes it. ErrAbsent
// comes back when the file does not have it.
func Remove(name string, content []byte, path string) ([]byte, error) {
	at, labels, err := locate(name, content, path)
	if err != nil {
		return nil, err
	}
	if at.depth < len(labels) {
		return nil, ErrAbsent
	}
	p := patch{content: content}
	if at.elem == nil && at.level != at.field {
		p.splice(at.field.Pos().Offset(), at.field.End().Offset(), "{}") // a: b: c: 1 says that a: b is there, without c too
	} else {
		b, i := at.body(len(content))
		p.remove(b, i)
	}
	return p.parsed(name, "-"+path)
}

// SetList makes the list of strings at path hold exactly the items: elements that stay are not touched, new ones
// follow them. What is no plain list yet is set as a whole.
func SetList(name string, content []byte, path string, items []string) ([]byte, error) {
	at, labels, err := locate(name, content, path)
	if err != nil {
		return nil, err
	}
	if at.depth < len(labels) {
		return Set(name, content, path, Strings(items))
	}
	list, have, ok := plainList(at.value())
	if !ok || len(list.Elts) == 0 || !slices.ContainsFunc(have, func(s string) bool { return slices.Contains(items, s) }) {
		return Set(name, content, path, Strings(items))
	}
	p := patch{content: content}
	for i := len(have) - 1; i >= 0; i-- { // from behind, so that positions stay true
		if !slices.Contains(items, have[i]) || slices.Index(have, have[i]) < i {
			p.remove(listBody(list), i)
			return again(p.content, name, path, items)
		}
	}
	for _, item := range items {
		if !slices.Contains(have, item) {
			p.insert(listBody(list), len(list.Elts), literal.String.Quote(item))
			return again(p.content, name, path, items)
		}
	}
	return content, nil
}

// again goes on after one element has changed: each step makes the list nearer to the items.
func again(content []byte, name, path string, items []string) ([]byte, error) {
	if _, err := parser.ParseFile(name, content, parser.ParseComments); err != nil {
		return nil, unfit(name, path+": "+Strings(items))
	}
	return SetList(name, content, path, items)
}

// Append adds the field on a line of its own at the end of a file, for paths that begin in no file.
func Append(content []byte, path, value string) ([]byte, error) {
	labels, err := split(path)
	if err != nil {
		return nil, err
	}
	end := newline(content)
	out := bytes.TrimRight(content, "\r\n")
	return []byte(string(out) + end + end + chain(labels) + value + end), nil
}

// Depth is how many labels of a path a file has: where several files have some, the deepest is the place for an edit.
func Depth(name string, content []byte, path string) (int, error) {
	at, _, err := locate(name, content, path)
	if errors.Is(err, ErrAbsent) {
		return 0, nil
	}
	return at.depth, err
}

// Strings writes a list of strings as CUE.
func Strings(items []string) string {
	var b bytes.Buffer
	for i, item := range items {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(literal.String.Quote(item))
	}
	return "[" + b.String() + "]"
}

func locate(name string, content []byte, path string) (place, []string, error) {
	labels, err := split(path)
	if err != nil {
		return place{}, nil, err
	}
	file, err := parser.ParseFile(name, content, parser.ParseComments)
	if err != nil {
		return place{}, nil, fmt.Errorf("parse %s: %w", name, err)
	}
	at := find(file, file.Decls, labels)
	if at.depth == 0 {
		return at, labels, ErrAbsent
	}
	return at, labels, nil
}

// plainList is a list of nothing but string literals.
func plainList(e ast.Expr) (list *ast.ListLit, have []string, ok bool) {
	list, ok = e.(*ast.ListLit)
	if !ok {
		return nil, nil, false
	}
	for _, elem := range list.Elts {
		lit, ok := elem.(*ast.BasicLit)
		if !ok {
			return nil, nil, false
		}
		text, err := literal.Unquote(lit.Value)
		if err != nil {
			return nil, nil, false
		}
		have = append(have, text)
	}
	return list, have, true
}

func unfit(name, what string) error {
	return fmt.Errorf("%s: the edit does not fit there; make it by hand: %s", name, what)
}
