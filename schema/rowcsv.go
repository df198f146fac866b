package schema

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

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
