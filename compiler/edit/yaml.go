package edit

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// yamlTable edits a sequence of mappings, in block style by lines and in flow style by items; rows and fields that are not
// touched keep every byte. What an edit did is read back: it did that and nothing else, or it is refused.
type yamlTable struct{}

// errShape says where a table is written in a way that no edit finds its way through, and what to do.
func errShape(line int) error {
	return fmt.Errorf("line %d: users written like this are not edited; write them as - address: …, one field a line, or as {address: …, quotaMB: …}, or make the edit by hand", line)
}

func (t yamlTable) set(content []byte, address string, fields []Field) ([]byte, error) {
	list, at, err := t.find(content, address)
	if err != nil {
		return nil, err
	}
	out, line := content, 1
	if at < 0 {
		fields = append([]Field{{"address", address}}, fields...)
		out, err = t.add(content, list, fields)
	} else {
		line = list.Content[at].Line
		for i := 0; i < len(fields) && err == nil; i++ {
			out, err = t.field(out, at, fields[i])
		}
	}
	if err != nil {
		return nil, err
	}
	return out, t.meant(content, out, line, func(rows map[string]map[string]any) {
		if rows[address] == nil {
			rows[address] = map[string]any{}
		}
		for _, f := range fields {
			if f.Value == nil {
				delete(rows[address], f.Name)
			} else {
				rows[address][f.Name] = f.plain()
			}
		}
	})
}

func (t yamlTable) remove(content []byte, address string) ([]byte, error) {
	list, at, err := t.find(content, address)
	if err != nil {
		return nil, err
	}
	if at < 0 {
		return nil, ErrAbsent
	}
	row := list.Content[at]
	out := content
	if list.Style&yaml.FlowStyle != 0 {
		f, ok := flowAt(string(content), offsetOf(string(content), list))
		if !ok || len(f.items) != len(list.Content) {
			return nil, errShape(list.Line)
		}
		out = []byte(f.remove(at))
	} else {
		l := lines(content)
		from := row.Line - 1
		for from > 0 && !strings.HasPrefix(strings.TrimSpace(l[from]), "-") { // a row may begin below its dash
			from--
		}
		out = slices.Concat(l[:from:from], l[t.end(l, list.Content, at):]).join()
	}
	return out, t.meant(content, out, row.Line, func(rows map[string]map[string]any) { delete(rows, address) })
}

// meant holds that an edit made of all rows what change makes of them.
func (t yamlTable) meant(before, after []byte, line int, change func(rows map[string]map[string]any)) error {
	want, err := rowsByAddress(before)
	if err != nil {
		return err
	}
	change(want)
	if got, err := rowsByAddress(after); err != nil || !reflect.DeepEqual(got, want) {
		return errShape(line)
	}
	return nil
}

func rowsByAddress(content []byte) (map[string]map[string]any, error) {
	var list []map[string]any
	if err := yaml.Unmarshal(content, &list); err != nil {
		return nil, fmt.Errorf("not YAML: %w", err)
	}
	rows := map[string]map[string]any{}
	for i, r := range list {
		address, ok := r["address"].(string)
		if !ok || rows[address] != nil {
			return nil, fmt.Errorf("row %d has no address of its own", i+1)
		}
		rows[address] = r
	}
	return rows, nil
}

// field changes the lines of one field of a row in block style, or the row's item in flow style.
func (t yamlTable) field(content []byte, at int, f Field) ([]byte, error) {
	list, err := t.list(content)
	if err != nil {
		return nil, err
	}
	rows := list.Content
	row := rows[at]
	if row.Style&yaml.FlowStyle != 0 {
		mapping, ok := flowAt(string(content), offsetOf(string(content), row))
		if !ok {
			return nil, errShape(row.Line)
		}
		text, ok := mapping.set(row, f)
		if !ok {
			return nil, errShape(row.Line)
		}
		return []byte(text), nil
	}
	l := lines(content)
	for i := 0; i+1 < len(row.Content); i += 2 {
		key, value := row.Content[i], row.Content[i+1]
		if key.Value != f.Name {
			continue
		}
		next := t.end(l, rows, at)
		if i+2 < len(row.Content) {
			next = row.Content[i+2].Line - 1
		}
		return t.change(l, key, value, next, i == 0, f)
	}
	if f.Value == nil {
		return content, nil
	}
	last := row.Content[len(row.Content)-2]
	end := t.end(l, rows, at)
	for end > last.Line && blankLine(l[end-1]) {
		end--
	}
	line := strings.Repeat(" ", row.Column-1) + f.Name + ": " + plain(f)
	return slices.Insert(l.ended(end), end, line+newline(content)).join(), nil
}

// change gives a key another value on its own line. The lines up to next belong to it.
func (t yamlTable) change(l textLines, key, value *yaml.Node, next int, first bool, f Field) ([]byte, error) {
	at := key.Line - 1
	for next > at+1 && blankLine(l[next-1]) {
		next--
	}
	if f.Value == nil && first { // the next field moves up to the dash
		if next >= len(l) || len(strings.TrimSpace(l[next][:min(key.Column-1, len(l[next]))])) > 0 {
			return nil, errShape(key.Line)
		}
		l[next] = l[at][:key.Column-1] + l[next][key.Column-1:]
	}
	if f.Value == nil {
		return slices.Delete(l, at, next).join(), nil
	}
	head := l[at][:key.Column-1] + f.Name + ": "
	return slices.Replace(l, at, next, head+plain(f)+comment(key, value)+newline([]byte(l[at]))).join(), nil
}

// comment is what stands behind a value on its line.
func comment(key, value *yaml.Node) string {
	for _, c := range []string{value.LineComment, key.LineComment} {
		if c != "" {
			return " " + c
		}
	}
	return ""
}

func (t yamlTable) add(content []byte, list *yaml.Node, fields []Field) ([]byte, error) {
	if list.Style&yaml.FlowStyle != 0 {
		return addFlow(content, list, fields)
	}
	l, end, rows := lines(content), newline(content), list.Content
	dash, at := "- ", len(l)
	if len(rows) > 0 {
		line := l[rows[0].Line-1]
		if dash = line[:min(rows[0].Column-1, len(line))]; strings.TrimSpace(dash) != "-" { // the first row begins below its dash
			dash = strings.Repeat(" ", list.Column-1) + "- "
		}
		if i := slotOf(addressesOf(rows), fields[0].Value.(string)); i < len(rows) {
			at = t.start(l, rows[i])
		} else {
			at = t.end(l, rows, len(rows)-1)
		}
	}
	var text strings.Builder
	if len(rows) > 0 && rows[0].Style&yaml.FlowStyle != 0 {
		text.WriteString(dash + flowRow(fields, false) + end)
		fields = nil
	}
	for i, f := range fields {
		if f.Value != nil {
			text.WriteString(when(i == 0, dash) + when(i > 0, strings.Repeat(" ", len(dash))) + f.Name + ": " + plain(f) + end)
		}
	}
	return slices.Insert(l.ended(at), at, text.String()).join(), nil
}

// start is the row's first line with the comments right above it.
func (yamlTable) start(l textLines, row *yaml.Node) int {
	at := row.Line - 1
	for at > 0 && strings.HasPrefix(strings.TrimSpace(l[at-1]), "#") {
		at--
	}
	return at
}

// end is the line behind a row's last.
func (t yamlTable) end(l textLines, rows []*yaml.Node, at int) int {
	end := len(l)
	if at+1 < len(rows) {
		end = t.start(l, rows[at+1])
	}
	for end > rows[at].Line && blankLine(l[end-1]) {
		end--
	}
	return end
}

// list is the sequence of a file, one without rows where the file is empty.
func (yamlTable) list(content []byte) (*yaml.Node, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(content, &doc); err != nil {
		return nil, fmt.Errorf("not YAML: %w", err)
	}
	if len(doc.Content) == 0 {
		return &yaml.Node{Kind: yaml.SequenceNode, Line: 1, Column: 1}, nil
	}
	list := doc.Content[0]
	if list.Kind != yaml.SequenceNode {
		return nil, errShape(list.Line)
	}
	for _, n := range list.Content {
		if n.Kind != yaml.MappingNode || len(n.Content) == 0 {
			return nil, errShape(n.Line)
		}
	}
	return list, nil
}

// find gives the number of the row of an address, -1 where there is none.
func (t yamlTable) find(content []byte, address string) (list *yaml.Node, at int, err error) {
	if list, err = t.list(content); err != nil {
		return nil, 0, err
	}
	return list, slices.Index(addressesOf(list.Content), address), nil
}

func entry(row *yaml.Node, name string) string {
	for i := 0; i+1 < len(row.Content); i += 2 {
		if row.Content[i].Value == name {
			return row.Content[i+1].Value
		}
	}
	return ""
}

// plain writes a value without quotes where YAML reads it back as the same text.
func plain(f Field) string {
	s, ok := f.Value.(string)
	if !ok {
		return f.json()
	}
	var back map[string]any
	if err := yaml.Unmarshal([]byte("v: "+s), &back); err == nil && back["v"] == any(s) && !strings.Contains(s, "\n") {
		return s
	}
	return f.json()
}

// textLines are lines with their ends.
type textLines []string

func lines(content []byte) textLines {
	if len(content) == 0 {
		return nil
	}
	return strings.SplitAfter(string(content), "\n")
}

// ended makes sure that the line before at has an end.
func (l textLines) ended(at int) textLines {
	if at > 0 && !strings.HasSuffix(l[at-1], "\n") && l[at-1] != "" {
		l[at-1] += "\n"
	}
	return l
}

func (l textLines) join() []byte { return []byte(strings.Join(l, "")) }

func blankLine(s string) bool {
	s = strings.TrimSpace(s)
	return s == "" || strings.HasPrefix(s, "#")
}
