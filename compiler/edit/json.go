package edit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/literal"
	"cuelang.org/go/cue/parser"
)

// jsonTable edits an array of objects. JSON is CUE as far as the grammar goes, so that CUE's parser gives the places.
type jsonTable struct{}

func (t jsonTable) set(content []byte, address string, fields []Field) ([]byte, error) {
	if len(bytes.TrimSpace(content)) == 0 {
		content = []byte("[]\n")
	}
	list, rows, err := t.rows(content)
	if err != nil {
		return nil, err
	}
	p := patch{content: content}
	row, known := rowOf(rows, address)
	if !known {
		b := listBody(list)
		b.strict = true
		p.insert(b, slotOf(addresses(rows), address), object(append([]Field{{"address", address}}, fields...)))
		return t.valid(p.content)
	}
	for _, f := range fields {
		if err := t.field(&p, row.index, f); err != nil {
			return nil, err
		}
	}
	return t.valid(p.content)
}

// field changes one member of a row.
func (t jsonTable) field(p *patch, index int, f Field) error {
	list, _, err := t.rows(p.content)
	if err != nil {
		return err
	}
	s := list.Elts[index].(*ast.StructLit)
	b := structBody(s)
	b.strict = true
	for i, d := range s.Elts {
		member, ok := d.(*ast.Field)
		if !ok || label(member) != f.Name {
			continue
		}
		if f.Value == nil {
			p.remove(b, i)
		} else {
			p.splice(member.Value.Pos().Offset(), member.Value.End().Offset(), f.json())
		}
		return nil
	}
	if f.Value != nil {
		p.insert(b, len(b.elems), strconv.Quote(f.Name)+": "+f.json())
	}
	return nil
}

func (t jsonTable) remove(content []byte, address string) ([]byte, error) {
	list, rows, err := t.rows(content)
	if err != nil {
		return nil, err
	}
	row, ok := rowOf(rows, address)
	if !ok {
		return nil, ErrAbsent
	}
	p := patch{content: content}
	b := listBody(list)
	b.strict = true
	p.remove(b, row.index)
	return t.valid(p.content)
}

func (jsonTable) valid(content []byte) ([]byte, error) {
	if !json.Valid(content) {
		return nil, errors.New("the edit does not fit there; make it by hand")
	}
	return content, nil
}

// jsonRow is a row by its number and address.
type jsonRow struct {
	index   int
	address string
}

func (jsonTable) rows(content []byte) (*ast.ListLit, []jsonRow, error) {
	e, err := parser.ParseExpr("", content)
	if err != nil {
		return nil, nil, fmt.Errorf("not JSON: %w", err)
	}
	list, ok := e.(*ast.ListLit)
	if !ok {
		return nil, nil, errors.New("want an array of users")
	}
	var rows []jsonRow
	for i, elem := range list.Elts {
		s, ok := elem.(*ast.StructLit)
		if !ok {
			return nil, nil, fmt.Errorf("row %d is no object", i+1)
		}
		rows = append(rows, jsonRow{i, member(s, "address")})
	}
	return list, rows, nil
}

// member is the string of a member, empty without one.
func member(s *ast.StructLit, name string) string {
	for _, d := range s.Elts {
		if f, ok := d.(*ast.Field); ok && label(f) == name {
			if lit, ok := f.Value.(*ast.BasicLit); ok {
				if text, err := literal.Unquote(lit.Value); err == nil {
					return text
				}
			}
		}
	}
	return ""
}

func rowOf(rows []jsonRow, address string) (jsonRow, bool) {
	for _, r := range rows {
		if r.address == address {
			return r, true
		}
	}
	return jsonRow{}, false
}

func addresses(rows []jsonRow) (out []string) {
	for _, r := range rows {
		out = append(out, r.address)
	}
	return out
}

func object(fields []Field) string {
	var parts []string
	for _, f := range fields {
		if f.Value != nil {
			parts = append(parts, strconv.Quote(f.Name)+": "+f.json())
		}
	}
	return "{" + strings.Join(parts, ", ") + "}"
}
