package schema

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// readJSON reads a list of objects.
func readJSON(file string, data []byte, _ *structShape) ([]row, Problems) {
	r := newJSONRows(file, data)
	rows, err := r.read()
	if err != nil {
		return nil, Problems{{Pos: r.at(r.fault(err)), Message: "not JSON: " + err.Error()}}
	}
	return rows, r.problems
}

type jsonRows struct {
	file     string
	data     []byte
	dec      *json.Decoder
	line     int   // of offset seen
	seen     int64 // lines are counted up to here
	problems Problems
}

func newJSONRows(file string, data []byte) *jsonRows {
	r := &jsonRows{file: file, data: data, dec: json.NewDecoder(bytes.NewReader(data)), line: 1}
	r.dec.UseNumber()
	return r
}

// fault is where an error stands.
func (r *jsonRows) fault(err error) int64 {
	if syntax := (*json.SyntaxError)(nil); errors.As(err, &syntax) {
		return syntax.Offset
	}
	return r.dec.InputOffset()
}

// at is the line of an offset; offsets must not go back.
func (r *jsonRows) at(offset int64) Pos {
	offset = min(max(offset, r.seen), int64(len(r.data)))
	r.line += bytes.Count(r.data[r.seen:offset], []byte("\n"))
	r.seen = offset
	return Pos{File: r.file, Line: r.line}
}

// start is where the next value begins.
func (r *jsonRows) start() int64 {
	at := r.dec.InputOffset()
	for at < int64(len(r.data)) && strings.IndexByte(" \t\r\n,", r.data[at]) >= 0 {
		at++
	}
	return at
}

func (r *jsonRows) read() ([]row, error) {
	if t, err := r.dec.Token(); err != nil || t != json.Delim('[') {
		if err == nil || errors.Is(err, io.EOF) {
			err = fmt.Errorf("want a list of users, [{\"address\": …}, …]")
		}
		return nil, err
	}
	var rows []row
	for number := 1; r.dec.More(); number++ {
		u := row{number: number, pos: r.at(r.start())}
		n, err := r.value(0)
		if err != nil {
			return nil, err
		}
		if n.kind != kindStruct {
			r.problems = append(r.problems, Problem{Pos: u.pos, Message: fmt.Sprintf("row %d: found %s, want an object", number, n.phrase(n.String()))})
			continue
		}
		u.take(n)
		rows = append(rows, u)
	}
	if _, err := r.dec.Token(); err != nil {
		return nil, err
	}
	if _, err := r.dec.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("something follows the list")
	}
	return rows, nil
}

func (r *jsonRows) value(depth int) (node, error) {
	t, err := r.dec.Token()
	if err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return node{}, err
	}
	if depth > maxDepth {
		return node{}, errDeep
	}
	switch t := t.(type) {
	case string:
		return textNode(t), nil
	case json.Number:
		n, ok := number(t.String())
		if !ok {
			return node{}, fmt.Errorf("number %s is too large", t)
		}
		return n, nil
	case bool:
		return node{kind: kindBool, truth: t}, nil
	case json.Delim:
		if t == '[' {
			return r.array(depth)
		}
		return r.object(depth)
	}
	return node{kind: kindNull}, nil
}

func (r *jsonRows) array(depth int) (node, error) {
	n := node{kind: kindList}
	for r.dec.More() {
		item, err := r.value(depth + 1)
		if err != nil {
			return node{}, err
		}
		n.list = append(n.list, item)
	}
	_, err := r.dec.Token()
	return n, err
}

func (r *jsonRows) object(depth int) (node, error) {
	var set fieldSet
	for r.dec.More() {
		key, err := r.dec.Token()
		if err != nil {
			return node{}, err
		}
		name, _ := key.(string)
		value, err := r.value(depth + 1)
		if err != nil {
			return node{}, err
		}
		if !set.add(name, value) {
			return node{}, fmt.Errorf("%q is written twice in one object", name)
		}
	}
	_, err := r.dec.Token()
	return set.node(), err
}
