package edit

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// errFlow says where a table is written in a way that is not edited by lines, and what to do.
func errFlow(line int) error {
	return fmt.Errorf("line %d: only users one below the other, each as - address: … or as - {address: …} on one line, are edited; write it so, or make the edit by hand", line)
}

// flowField changes a row that is one line of {…}.
func flowField(l textLines, row *yaml.Node, f Field) ([]byte, error) {
	text := l[row.Line-1]
	from, ok := bytesTo(text, row.Column-1)
	end := closingBrace(text, from)
	if !ok || end < 0 {
		return nil, errFlow(row.Line)
	}
	i := slices.IndexFunc(row.Content, func(n *yaml.Node) bool { return n.Value == f.Name })
	for i > 0 && i%2 == 1 { // a value that is named like a key
		next := slices.IndexFunc(row.Content[i+1:], func(n *yaml.Node) bool { return n.Value == f.Name })
		if next < 0 {
			i = -1
			break
		}
		i += 1 + next
	}
	switch {
	case i < 0 && f.Value == nil:
	case i < 0:
		last := len(strings.TrimRight(text[:end], " ,"))
		text = text[:last] + ", " + f.Name + ": " + flowPlain(f) + text[last:]
	default:
		at, ok := bytesTo(text, row.Content[i].Column-1)
		stop := item(text, at)
		if !ok || stop < 0 {
			return nil, errFlow(row.Line)
		}
		text = replaceItem(text, at, stop, i == 0, f)
	}
	l[row.Line-1] = text
	return l.join(), nil
}

// replaceItem gives the item of {…} that lies between at and stop another value, or takes it out with one comma.
func replaceItem(text string, at, stop int, first bool, f Field) string {
	item := strings.TrimRight(text[at:stop], " ")
	if f.Value != nil {
		return text[:at] + f.Name + ": " + flowPlain(f) + text[at+len(item):]
	}
	if first {
		return text[:at] + strings.TrimLeft(strings.TrimPrefix(text[stop:], ","), " ")
	}
	return strings.TrimRight(text[:at], " ,") + text[at+len(item):]
}

// flowPlain is a value that ends where it should between commas and braces.
func flowPlain(f Field) string {
	if s := plain(f); !strings.ContainsAny(s, ",[]{}:#") {
		return s
	}
	return f.json()
}

// flowRow is a whole row in that style.
func flowRow(fields []Field) string {
	var items []string
	for _, f := range fields {
		if f.Value != nil {
			items = append(items, f.Name+": "+flowPlain(f))
		}
	}
	return "{" + strings.Join(items, ", ") + "}"
}

// bytesTo is the offset of the character of that number; YAML counts characters.
func bytesTo(text string, characters int) (offset int, ok bool) {
	for range characters {
		if offset >= len(text) {
			return 0, false
		}
		_, size := utf8.DecodeRuneInString(text[offset:])
		offset += size
	}
	return offset, true
}

// closingBrace is where the brace that opens at from closes, -1 where it does not on this line.
func closingBrace(text string, from int) int {
	if from >= len(text) || text[from] != '{' {
		return -1
	}
	at := from + 1
	for at < len(text) && text[at] != '}' {
		if at = item(text, at); at < 0 {
			return -1
		}
		if text[at] == ',' {
			at++
		}
	}
	if at >= len(text) {
		return -1
	}
	return at
}

// item is where the item of {…} or […] that holds offset at ends: at its comma or the bracket that closes around it.
func item(text string, at int) int {
	depth, quote := 0, byte(0)
	for ; at < len(text); at++ {
		switch c := text[at]; {
		case quote == '"' && c == '\\', quote == '\'' && c == quote && strings.HasPrefix(text[at+1:], "'"):
			at++
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case (c == '"' || c == '\'') && begins(text, at):
			quote = c
		case c == '{' || c == '[':
			depth++
		case (c == '}' || c == ']') && depth > 0:
			depth--
		case depth == 0 && (c == ',' || c == '}' || c == ']'):
			return at
		}
	}
	return -1
}

// begins says whether a quote opens a value, and is no part of a word.
func begins(text string, at int) bool {
	before := strings.TrimRight(text[:at], " ")
	return before == "" || strings.ContainsAny(before[len(before)-1:], ":,[{")
}
