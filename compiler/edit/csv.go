package edit

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// csvTable edits RFC 4180 cells where they stand; all other bytes stay.
type csvTable struct{}

// record is one line of cells (or several, where a quoted cell has line ends); end is behind its line end.
type record struct {
	start, end int
	cells      []cell
}

type cell struct {
	start, end int // of the raw text, without the space before it
	text       string
}

func (csvTable) set(content []byte, address string, fields []Field) ([]byte, error) {
	records := scan(content)
	if len(records) == 0 {
		return nil, errors.New("the file has no header; its first line names the columns")
	}
	content, records = widen(content, records, fields)
	header, rows := records[0], records[1:]
	at := slices.IndexFunc(rows, func(r record) bool { return r.cell(header, "address").text == address })
	if at < 0 {
		return addRecord(content, append([]Field{{"address", address}}, fields...)), nil
	}
	for i := len(header.cells) - 1; i >= 0; i-- { // from behind, so that positions stay true
		f, ok := named(fields, header.cells[i].text)
		if !ok || i >= len(rows[at].cells) {
			continue
		}
		c := rows[at].cells[i]
		content = slices.Concat(content[:c.start:c.start], []byte(cellText(f)), content[c.end:])
	}
	return content, nil
}

func (csvTable) remove(content []byte, address string) ([]byte, error) {
	records := scan(content)
	for i, r := range records {
		if i > 0 && r.cell(records[0], "address").text == address {
			return slices.Concat(content[:r.start:r.start], content[r.end:]), nil
		}
	}
	return nil, ErrAbsent
}

// widen adds the columns that are missing, empty in every row: a table has no other way to hold one value more.
func widen(content []byte, records []record, fields []Field) ([]byte, []record) {
	for _, f := range fields {
		if f.Value == nil || slices.ContainsFunc(records[0].cells, func(c cell) bool { return c.text == f.Name }) {
			continue
		}
		for i := len(records) - 1; i >= 0; i-- {
			end := records[i].cells[len(records[i].cells)-1].end
			content = slices.Concat(content[:end:end], []byte(","+when(i == 0, f.Name)), content[end:])
		}
		records = scan(content)
	}
	return content, records
}

func addRecord(content []byte, fields []Field) []byte {
	end := newline(content)
	open := content[len(content)-1] != '\n'
	if open {
		content = append(slices.Clip(content), end...)
	}
	records := scan(content)
	header, rows := records[0], records[1:]
	var addresses []string
	for _, r := range rows {
		addresses = append(addresses, r.cell(header, "address").text)
	}
	at := records[len(records)-1].end
	if i := slotOf(addresses, fields[0].Value.(string)); i < len(rows) {
		at = rows[i].start
	}
	content = slices.Concat(content[:at:at], []byte(rowText(header, fields)+end), content[at:])
	if open {
		content = bytes.TrimSuffix(content, []byte(end))
	}
	return content
}

func rowText(header record, fields []Field) string {
	cells := make([]string, len(header.cells))
	for i, c := range header.cells {
		if f, ok := named(fields, c.text); ok {
			cells[i] = cellText(f)
		}
	}
	return strings.Join(cells, ",")
}

func named(fields []Field, name string) (Field, bool) {
	i := slices.IndexFunc(fields, func(f Field) bool { return f.Name == name })
	if i < 0 {
		return Field{}, false
	}
	return fields[i], true
}

// cell is the one below a column of the header; none has an empty text.
func (r record) cell(header record, column string) cell {
	for i, c := range header.cells {
		if c.text == column && i < len(r.cells) {
			return r.cells[i]
		}
	}
	return cell{}
}

// cellText writes a value as schema reads a cell: lists parted by spaces, secret:NAME.
func cellText(f Field) string {
	text := ""
	switch v := f.Value.(type) {
	case nil:
	case int:
		text = strconv.Itoa(v)
	case []string:
		text = strings.Join(v, " ")
	case Secret:
		text = "secret:" + string(v)
	default:
		text = fmt.Sprint(v)
	}
	if strings.ContainsAny(text, "\",\r\n") || strings.HasPrefix(text, " ") {
		return `"` + strings.ReplaceAll(text, `"`, `""`) + `"`
	}
	return text
}

// scan finds the records of a table; empty lines are none.
func scan(content []byte) (out []record) {
	at := len(content) - len(bytes.TrimPrefix(content, []byte("\ufeff")))
	for at < len(content) {
		r := record{start: at}
		for more := true; more; {
			var c cell
			c, at, more = scanCell(content, at)
			r.cells = append(r.cells, c)
		}
		r.end = at
		if len(bytes.TrimSpace(content[r.start:r.end])) > 0 {
			out = append(out, r)
		}
	}
	return out
}

// scanCell reads one cell; next is behind its comma or line end.
func scanCell(content []byte, at int) (c cell, next int, more bool) {
	for at < len(content) && (content[at] == ' ' || content[at] == '\t') {
		at++
	}
	c.start = at
	if at < len(content) && content[at] == '"' {
		at = quoted(content, at)
	}
	for at < len(content) && content[at] != ',' && content[at] != '\n' {
		at++
	}
	c.end = at
	if at < len(content) && content[at] == '\n' && at > c.start && content[at-1] == '\r' {
		c.end--
	}
	c.text = strings.TrimSpace(string(content[c.start:c.end]))
	if len(c.text) > 1 && c.text[0] == '"' {
		c.text = strings.ReplaceAll(strings.TrimSuffix(c.text[1:], `"`), `""`, `"`)
	}
	return c, min(at+1, len(content)), at < len(content) && content[at] == ','
}

// quoted is behind the quote that ends a quoted cell.
func quoted(content []byte, at int) int {
	for at++; at < len(content); at++ {
		if content[at] != '"' {
			continue
		}
		if at+1 < len(content) && content[at+1] == '"' {
			at++
			continue
		}
		return at + 1
	}
	return at
}
