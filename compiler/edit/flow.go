package edit

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// flow is a {…} or […] of YAML's flow style as it stands in a text, on one line or on several.
type flow struct {
	text  string
	open  int // offset of the bracket that opens
	items []item
	close int // of the one that closes
}

// item runs from its first byte to behind its last; a comma or the closing bracket stands at stop, comments may lie between.
type item struct{ start, end, stop int }

// flowAt reads what begins at an offset; ok is false where nothing does, or where it does not end.
func flowAt(text string, open int) (f flow, ok bool) {
	if open >= len(text) || text[open] != '{' && text[open] != '[' {
		return f, false
	}
	f = flow{text: text, open: open}
	for at := open + 1; ; {
		i := nextItem(text, at)
		if i.stop < 0 {
			return f, false
		}
		if i.start < i.stop {
			f.items = append(f.items, i)
		}
		if text[i.stop] != ',' {
			f.close = i.stop
			return f, true
		}
		at = i.stop + 1
	}
}

// nextItem reads to a comma or a closing bracket that is its own; stop is -1 where there is none. An item without a byte
// starts where it stops.
func nextItem(text string, at int) item {
	i := item{start: -1}
	depth, last := 0, byte(0) // last is the byte before, but for spaces and comments
	for ; at < len(text); at++ {
		c := text[at]
		switch {
		case space(c):
			continue
		case c == '#' && space(text[at-1]):
			eol := strings.IndexByte(text[at:], '\n')
			if eol < 0 {
				return item{stop: -1}
			}
			at += eol
			continue
		case depth == 0 && (c == ',' || c == '}' || c == ']'):
			if i.start < 0 {
				i.start, i.end = at, at
			}
			i.stop = at
			return i
		}
		if i.start < 0 {
			i.start = at
		}
		switch {
		case (c == '"' || c == '\'') && strings.IndexByte("\x00:,[{", last) >= 0:
			if at = closingQuote(text, at); at < 0 {
				return item{stop: -1}
			}
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			depth--
		}
		i.end, last = at+1, c
	}
	return item{stop: -1}
}

func space(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }

// closingQuote is the offset of the quote that ends what one begins at an offset, -1 without one.
func closingQuote(text string, at int) int {
	quote := text[at]
	for at++; at < len(text); at++ {
		switch {
		case quote == '"' && text[at] == '\\', quote == '\'' && strings.HasPrefix(text[at:], "''"):
			at++
		case text[at] == quote:
			return at
		}
	}
	return -1
}

// insert puts an item before that of a number, or behind the last one, on a line of its own where the others are.
func (f flow) insert(n int, text string) string {
	end := newline([]byte(f.text))
	switch {
	case len(f.items) == 0:
		return f.text[:f.open+1] + text + f.text[f.close:]
	case n < len(f.items):
		next := f.items[n]
		indent, own := f.indent(next)
		if !own {
			return f.text[:next.start] + text + ", " + f.text[next.start:]
		}
		at := f.commented(next)
		return f.text[:at] + indent + text + "," + end + f.text[at:]
	}
	last := f.items[len(f.items)-1]
	indent, own := f.indent(last)
	if !own {
		return f.text[:last.end] + ", " + text + f.text[last.end:]
	}
	from, trailing := last.end, f.text[last.stop] == ','
	if trailing {
		from = last.stop + 1
	}
	eol := strings.IndexByte(f.text[from:], '\n')
	if eol < 0 || from+eol > f.close {
		return f.text[:last.end] + "," + end + indent + text + f.text[last.end:]
	}
	at := from + eol + 1 // what stands behind the last one, a comment, stays there
	if trailing {
		return f.text[:at] + indent + text + "," + end + f.text[at:]
	}
	return f.text[:last.end] + "," + f.text[last.end:at] + indent + text + end + f.text[at:]
}

// indent is what stands before an item on its line; own is false where that is more than spaces.
func (f flow) indent(i item) (before string, own bool) {
	before = f.text[f.lineOf(i.start):i.start]
	return before, strings.TrimLeft(before, " \t") == ""
}

func (f flow) lineOf(at int) int { return strings.LastIndexByte(f.text[:at], '\n') + 1 }

// commented is where the line of an item begins, or the first of the comments right above it.
func (f flow) commented(i item) int {
	at := f.lineOf(i.start)
	for at > f.open {
		above := f.lineOf(at - 1)
		if above <= f.open || !strings.HasPrefix(strings.TrimSpace(f.text[above:at]), "#") {
			break
		}
		at = above
	}
	return at
}

// remove takes an item out with one comma, and with its line where it has one of its own.
func (f flow) remove(n int) string {
	i := f.items[n]
	if f.text[i.stop] == ',' {
		if _, own := f.indent(i); own {
			if rest, after, found := strings.Cut(f.text[i.stop+1:], "\n"); found && blankLine(rest) {
				return f.text[:f.lineOf(i.start)] + after
			}
		}
		return f.text[:i.start] + strings.TrimLeft(f.text[i.stop+1:], " ")
	}
	after := f.text[i.end:]
	if rest, _, found := strings.Cut(f.text[i.end:i.stop], "\n"); found && blankLine(rest) { // its comment goes with it
		after = after[len(strings.TrimSuffix(rest, "\r")):]
	}
	if n == 0 {
		return f.text[:i.start] + after
	}
	before := f.items[n-1]
	gap := strings.TrimRight(f.text[before.stop+1:i.start], " \t\r\n") // a comment in it stays
	if gap != "" && !strings.Contains(after[:strings.IndexAny(after, "}]")], "\n") {
		gap += newline([]byte(f.text))
	}
	return f.text[:before.stop] + gap + after
}

// set gives a field of the mapping that begins at an offset another value, or takes it out.
func (f flow) set(row *yaml.Node, field Field) (string, bool) {
	if len(f.items)*2 != len(row.Content) {
		return "", false
	}
	for n, i := range f.items {
		if row.Content[2*n].Value != field.Name {
			continue
		}
		if field.Value == nil {
			return f.remove(n), true
		}
		at := valueOf(f.text, i)
		if at < 0 {
			return "", false
		}
		return f.text[:at] + flowPlain(field) + f.text[i.end:], true
	}
	if field.Value == nil {
		return f.text, true
	}
	return f.insert(len(f.items), f.entry(field)), true
}

// entry spells a field like those that are there: with its name in quotes where the first has its own.
func (f flow) entry(field Field) string {
	if len(f.items) > 0 && f.text[f.items[0].start] == '"' {
		return strconv.Quote(field.Name) + ": " + field.json()
	}
	return field.Name + ": " + flowPlain(field)
}

// valueOf is where the value of name: value begins, -1 where there is none.
func valueOf(text string, i item) int {
	at, quoted := i.start, false
	if text[at] == '"' || text[at] == '\'' {
		at, quoted = closingQuote(text, at)+1, true
	}
	for ; at < i.end; at++ {
		if text[at] != ':' || !quoted && at+1 < i.end && !space(text[at+1]) {
			continue
		}
		for at++; at < i.end && space(text[at]); at++ {
		}
		if at == i.end {
			return -1
		}
		return at
	}
	return -1
}

// flowPlain is a value that ends where it should between commas and brackets.
func flowPlain(f Field) string {
	if s := plain(f); !strings.ContainsAny(s, ",[]{}:#") {
		return s
	}
	return f.json()
}

// flowRow is a whole row in that style, with the names in quotes like JSON's or without.
func flowRow(fields []Field, quoted bool) string {
	var items []string
	for _, f := range fields {
		switch {
		case f.Value == nil:
		case quoted:
			items = append(items, strconv.Quote(f.Name)+": "+f.json())
		default:
			items = append(items, f.Name+": "+flowPlain(f))
		}
	}
	return "{" + strings.Join(items, ", ") + "}"
}

// offsetOf is where a node begins; YAML counts lines from 1, and characters.
func offsetOf(text string, n *yaml.Node) int {
	at := 0
	for range n.Line - 1 {
		next := strings.IndexByte(text[at:], '\n')
		if next < 0 {
			return len(text)
		}
		at += next + 1
	}
	for range n.Column - 1 {
		if at >= len(text) {
			return len(text)
		}
		_, size := utf8.DecodeRuneInString(text[at:])
		at += size
	}
	return at
}

// addFlow adds a row to a list in flow style.
func addFlow(content []byte, list *yaml.Node, fields []Field) ([]byte, error) {
	f, ok := flowAt(string(content), offsetOf(string(content), list))
	if !ok || len(f.items) != len(list.Content) {
		return nil, errShape(list.Line)
	}
	quoted := false
	if len(f.items) > 0 {
		first, _ := flowAt(f.text, f.items[0].start)
		quoted = len(first.items) > 0 && f.text[first.items[0].start] == '"'
	}
	return []byte(f.insert(slotOf(addressesOf(list.Content), fields[0].Value.(string)), flowRow(fields, quoted))), nil
}

func addressesOf(rows []*yaml.Node) []string {
	var out []string
	for _, r := range rows {
		out = append(out, entry(r, "address"))
	}
	return out
}
