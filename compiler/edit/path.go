package edit

import (
	"errors"
	"fmt"
	"strings"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/literal"
)

// split parts a site path: domains."example.com".records[0].ttl.
func split(path string) ([]string, error) {
	var labels []string
	for rest := path; rest != ""; {
		var label string
		switch {
		case rest[0] == '"':
			end := closing(rest)
			if end < 0 {
				return nil, fmt.Errorf("path %s: a quote is open", path)
			}
			text, err := literal.Unquote(rest[:end+1])
			if err != nil {
				return nil, fmt.Errorf("path %s: %w", path, err)
			}
			label, rest = text, rest[end+1:]
		case rest[0] == '[':
			index, after, ok := strings.Cut(rest[1:], "]")
			if !ok {
				return nil, fmt.Errorf("path %s: a bracket is open", path)
			}
			label, rest = index, after
		default:
			end := strings.IndexAny(rest, ".[")
			if end < 0 {
				end = len(rest)
			}
			label, rest = rest[:end], rest[end:]
		}
		labels = append(labels, label)
		rest = strings.TrimPrefix(rest, ".")
	}
	if len(labels) == 0 {
		return nil, errors.New("the path is empty")
	}
	return labels, nil
}

// closing finds the quote that ends the string at the beginning of s.
func closing(s string) int {
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return i
		}
	}
	return -1
}

// chain writes labels as a: b: .
func chain(labels []string) string {
	var b strings.Builder
	for _, l := range labels {
		if ast.IsValidIdent(l) && !strings.HasPrefix(l, "_") && !strings.HasPrefix(l, "#") {
			b.WriteString(l)
		} else {
			b.WriteString(literal.String.Quote(l))
		}
		b.WriteString(": ")
	}
	return b.String()
}
