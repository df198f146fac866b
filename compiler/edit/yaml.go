package edit

import (
	"fmt"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// yamlTable edits a block sequence of mappings by lines, each of which may be in flow style on one line; rows and fields that
// are not touched keep every byte.
type yamlTable struct{}

func (t yamlTable) set(content []byte, address string, fields []Field) ([]byte, error) {
	rows, err := t.rows(content)
	if err != nil {
		return nil, err
	}
	at := slices.IndexFunc(rows, func(n *yaml.Node) bool { return entry(n, "address") == address })
	if at < 0 {
		return t.add(content, rows, append([]Field{{"address", address}}, fields...))
	}
	for _, f := range fields {
		if content, err = t.field(content, at, f); err != nil {
			return nil, err
		}
	}
	return content, nil
}

func (t yamlTable) remove(content []byte, address string) ([]byte, error) {
	rows, err := t.rows(content)
	if err != nil {
		return nil, err
	}
	at := slices.IndexFunc(rows, func(n *yaml.Node) bool { return entry(n, "address") == address })
	if at < 0 {
		return nil, ErrAbsent
	}
	l := lines(content)
	return slices.Concat(l[:rows[at].Line-1:rows[at].Line-1], l[t.end(l, rows, at):]).join(), nil
}

// field changes one line of a row in block style, or the row's one line in flow style.
func (t yamlTable) field(content []byte, at int, f Field) ([]byte, error) {
	rows, err := t.rows(content)
	if err != nil {
		return nil, err
	}
	row := rows[at]
	l := lines(content)
	if row.Style&yaml.FlowStyle != 0 {
		return flowField(l, row, f)
	}
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
	if f.Value == nil {
		if first {
			return nil, errFlow(key.Line)
		}
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

func (t yamlTable) add(content []byte, rows []*yaml.Node, fields []Field) ([]byte, error) {
	l, end := lines(content), newline(content)
	dash, at := "- ", len(l)
	if len(rows) > 0 {
		line := l[rows[0].Line-1]
		dash = line[:min(rows[0].Column-1, len(line))]
		if strings.TrimSpace(dash) != "-" {
			return nil, errFlow(rows[0].Line)
		}
		var have []string
		for _, r := range rows {
			have = append(have, entry(r, "address"))
		}
		if i := slotOf(have, fields[0].Value.(string)); i < len(rows) {
			at = t.start(l, rows[i])
		} else {
			at = t.end(l, rows, len(rows)-1)
		}
	}
	var text strings.Builder
	if len(rows) > 0 && rows[0].Style&yaml.FlowStyle != 0 {
		text.WriteString(dash + flowRow(fields) + end)
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

func (yamlTable) rows(content []byte) ([]*yaml.Node, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(content, &doc); err != nil {
		return nil, fmt.Errorf("not YAML: %w", err)
	}
	if len(doc.Content) == 0 {
		return nil, nil
	}
	list := doc.Content[0]
	if list.Kind != yaml.SequenceNode || list.Style&yaml.FlowStyle != 0 {
		return nil, errFlow(list.Line)
	}
	for i, n := range list.Content {
		if n.Kind != yaml.MappingNode || len(n.Content) == 0 {
			return nil, fmt.Errorf("row %d is no mapping", i+1)
		}
	}
	return list.Content, nil
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
