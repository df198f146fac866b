package schema

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// maxDepth bounds how deep data may be nested; a user needs three levels.
const maxDepth = 32

var errDeep = fmt.Errorf("nested deeper than %d levels", maxDepth)

// readJSON reads a list of objects.
func readJSON(file string, data []byte, _ *structShape) ([]row, Problems) {
	r := jsonRows{file: file, data: data, dec: json.NewDecoder(bytes.NewReader(data)), line: 1}
	r.dec.UseNumber()
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
	n := node{kind: kindStruct}
	for r.dec.More() {
		key, err := r.dec.Token()
		if err != nil {
			return node{}, err
		}
		name, _ := key.(string)
		if n.lookup(name) != nil {
			return node{}, fmt.Errorf("%q is written twice in one object", name)
		}
		value, err := r.value(depth + 1)
		if err != nil {
			return node{}, err
		}
		n.fields = append(n.fields, field{name, value})
	}
	_, err := r.dec.Token()
	return n, err
}

// readYAML reads a list of mappings.
func readYAML(file string, data []byte, _ *structShape) ([]row, Problems) {
	doc, problems := yamlDocument(file, data)
	if doc == nil {
		return nil, problems
	}
	if doc.Kind != yaml.SequenceNode {
		return nil, Problems{{Pos: yamlPos(file, doc), Message: "want a list of users, - address: …"}}
	}
	var rows []row
	for i, item := range doc.Content {
		u := row{number: i + 1, pos: yamlPos(file, item)}
		n, err := yamlValue(item, 0)
		if err == nil && n.kind != kindStruct {
			err = fmt.Errorf("found %s, want a mapping", n.phrase(n.String()))
		}
		if err != nil {
			problems = append(problems, Problem{Pos: u.pos, Message: fmt.Sprintf("row %d: %v", u.number, err)})
			continue
		}
		u.take(n)
		rows = append(rows, u)
	}
	return rows, problems
}

func yamlPos(file string, n *yaml.Node) Pos { return Pos{File: file, Line: n.Line, Column: n.Column} }

// yamlDocument is the one document of a file; an empty file has none.
func yamlDocument(file string, data []byte) (*yaml.Node, Problems) {
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc yaml.Node
	if err := dec.Decode(&doc); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, nil
		}
		return nil, Problems{{Pos: yamlErrorPos(file, err), Message: "not YAML: " + yamlErrorText(err)}}
	}
	var more yaml.Node
	if err := dec.Decode(&more); !errors.Is(err, io.EOF) {
		return nil, Problems{{Pos: Pos{File: file}, Message: "has more than one document"}}
	}
	if len(doc.Content) == 0 {
		return nil, nil
	}
	return doc.Content[0], nil
}

// yamlErrorPos takes the line out of the reader's words, which is the only place that has it.
func yamlErrorPos(file string, err error) Pos {
	pos := Pos{File: file}
	_, _ = fmt.Sscanf(err.Error(), "yaml: line %d:", &pos.Line)
	return pos
}

func yamlErrorText(err error) string {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	if rest, ok := strings.CutPrefix(text, "line "); ok {
		if _, after, ok := strings.Cut(rest, ": "); ok {
			return after
		}
	}
	return text
}

func yamlValue(n *yaml.Node, depth int) (node, error) {
	if depth > maxDepth {
		return node{}, errDeep
	}
	switch n.Kind {
	case yaml.ScalarNode:
		return yamlScalar(n)
	case yaml.SequenceNode:
		list := node{kind: kindList}
		for _, item := range n.Content {
			v, err := yamlValue(item, depth+1)
			if err != nil {
				return node{}, err
			}
			list.list = append(list.list, v)
		}
		return list, nil
	case yaml.MappingNode:
		return yamlMapping(n, depth)
	}
	return node{}, fmt.Errorf("anchors and aliases can't be used here")
}

func yamlMapping(n *yaml.Node, depth int) (node, error) {
	m := node{kind: kindStruct}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		if key.Kind != yaml.ScalarNode {
			return node{}, fmt.Errorf("a key must be a name")
		}
		if m.lookup(key.Value) != nil {
			return node{}, fmt.Errorf("%q is written twice", key.Value)
		}
		v, err := yamlValue(n.Content[i+1], depth+1)
		if err != nil {
			return node{}, err
		}
		m.fields = append(m.fields, field{key.Value, v})
	}
	return m, nil
}

func yamlScalar(n *yaml.Node) (node, error) {
	switch n.ShortTag() {
	case "!!int", "!!float":
		v, ok := number(n.Value)
		if !ok {
			return node{}, fmt.Errorf("%q: write the number in decimal, or in quotes", n.Value)
		}
		return v, nil
	case "!!bool":
		return node{kind: kindBool, truth: strings.EqualFold(n.Value, "true")}, nil
	case "!!null":
		return node{kind: kindNull}, nil
	}
	return textNode(n.Value), nil // dates included
}

// readCSV reads a table with a header: address and fields of #User. An empty cell is left out.
func readCSV(file string, data []byte, columns *structShape) ([]row, Problems) {
	r := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(data, []byte("\ufeff"))))
	r.ReuseRecord = true
	r.TrimLeadingSpace = true
	header, err := r.Read()
	if errors.Is(err, io.EOF) {
		return nil, nil
	}
	if err != nil {
		return nil, Problems{csvProblem(file, err)}
	}
	t := csvTable{file: file, reader: r, columns: columns}
	if problems := t.head(header); len(problems) > 0 {
		return nil, problems
	}
	return t.rows()
}

type csvTable struct {
	file    string
	reader  *csv.Reader
	columns *structShape
	names   []string
	shapes  []*shape
}

func (t *csvTable) head(header []string) (problems Problems) {
	known := append([]string{"address"}, t.columns.order...)
	for i, name := range header {
		name = strings.Clone(strings.TrimSpace(name))
		line, column := t.reader.FieldPos(i)
		problem := Problem{Pos: Pos{File: t.file, Line: line, Column: column}}
		switch f := t.columns.fields[name]; {
		case slices.Contains(t.names, name):
			problem.Message = "column " + name + " is there twice"
		case name == "address":
			t.shapes = append(t.shapes, &shape{alts: []alt{{kinds: kindString}}})
		case f == nil:
			problem.Message = fmt.Sprintf("unknown column %q", name)
			problem.Hint = "the columns are " + strings.Join(known, ", ")
			if near := nearest(name, known); near != "" {
				problem.Hint = "did you mean " + near + "?"
			}
		default:
			t.shapes = append(t.shapes, f.shape)
		}
		if problem.Message != "" {
			problems = append(problems, problem)
		}
		t.names = append(t.names, name)
	}
	if !slices.Contains(t.names, "address") && len(problems) == 0 {
		problems = Problems{{Pos: Pos{File: t.file, Line: 1}, Message: "no column address", Hint: "the first line names the columns: address,quotaMB,…"}}
	}
	return problems
}

func (t *csvTable) rows() (rows []row, problems Problems) {
	for number := 1; ; number++ {
		cells, err := t.reader.Read()
		if errors.Is(err, io.EOF) {
			return rows, problems
		}
		if err != nil {
			problems = append(problems, csvProblem(t.file, err))
			if !errors.Is(err, csv.ErrFieldCount) {
				return rows, problems
			}
			continue
		}
		line, _ := t.reader.FieldPos(0)
		r := row{number: number, pos: Pos{File: t.file, Line: line}}
		n := node{kind: kindStruct, fields: make([]field, 0, len(cells))}
		for i, cell := range cells {
			if cell != "" {
				n.fields = append(n.fields, field{t.names[i], t.shapes[i].cell(strings.Clone(cell))})
			}
		}
		r.take(n)
		rows = append(rows, r)
	}
}

// cell reads a cell as the kind of value that its column wants: secret:NAME is a reference to a secret, a
// list is parted by spaces.
func (s *shape) cell(text string) node {
	kinds := s.kinds()
	if name, ok := strings.CutPrefix(text, "secret:"); ok && kinds&kindStruct != 0 {
		return node{kind: kindStruct, fields: []field{{"secret", textNode(name)}}}
	}
	if kinds&kindString != 0 {
		return textNode(text)
	}
	if kinds&kindList != 0 {
		n := node{kind: kindList}
		for _, item := range strings.Fields(text) {
			n.list = append(n.list, textNode(item))
		}
		return n
	}
	if n, ok := number(text); ok && kinds&kindNumber != 0 {
		return n
	}
	return textNode(text)
}

func csvProblem(file string, err error) Problem {
	problem := Problem{Pos: Pos{File: file}, Message: "not CSV: " + err.Error()}
	if parse := (*csv.ParseError)(nil); errors.As(err, &parse) {
		problem.Pos.Line, problem.Pos.Column = parse.Line, parse.Column
		problem.Message = "not CSV: " + parse.Err.Error()
		if errors.Is(err, csv.ErrFieldCount) {
			problem.Pos.Column = 0
			problem.Message = "has another number of cells than the header"
		}
	}
	return problem
}
