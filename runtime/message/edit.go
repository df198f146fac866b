package message

import (
	"bytes"
	"slices"
	"strings"
)

// Insert is a field to add. Its value may be folded.
type Insert struct {
	Name, Value string
	Order       int // 0 and above: on top, lower first; below 0: at the end of the section
}

// Removal takes fields of one name out.
type Removal struct {
	Name string
	Nth  int // 0: all; 1 is the first; -1 the last
}

// Edit is a set of changes to a header section.
type Edit struct {
	Strip   func(Field) bool // fields that must not come in from outside
	Remove  []Removal
	Inserts []Insert
}

// strayField begins a field for a first line that looks like the continuation of one, lest it continue ours.
const strayField = "X-Mailplan-Stray:"

// Apply returns the changed header section, its empty line included. Fields that stay keep their bytes.
func (e Edit) Apply(h Header) []byte {
	inserts := slices.Clone(e.Inserts)
	slices.SortStableFunc(inserts, func(a, b Insert) int { return a.Order - b.Order })
	gone := e.removed(h)
	out := make([]byte, 0, e.room(h))
	for _, f := range inserts {
		if f.Order >= 0 {
			out = f.append(out)
		}
	}
	for i, f := range h.Fields {
		if !gone[i] && (e.Strip == nil || !e.Strip(f)) {
			if i == 0 && len(out) > 0 && (f.Raw[0] == ' ' || f.Raw[0] == '\t') {
				out = append(out, strayField...)
			}
			out = append(out, f.Raw...)
		}
	}
	for _, f := range inserts {
		if f.Order < 0 {
			out = f.append(endLine(out))
		}
	}
	return append(out, h.End...)
}

// room is how long the changed section can be, but for lines that have to be folded.
func (e Edit) room(h Header) int {
	n := len(h.End) + 2 + len(strayField)
	for _, f := range h.Fields {
		n += len(f.Raw)
	}
	for _, f := range e.Inserts {
		n += len(f.Name) + len(f.Value) + 4
	}
	return n
}

func (e Edit) removed(h Header) map[int]bool {
	if len(e.Remove) == 0 {
		return nil
	}
	gone := map[int]bool{}
	for _, r := range e.Remove {
		var at []int
		for i, f := range h.Fields {
			if f.Is(r.Name) {
				at = append(at, i)
			}
		}
		switch n := len(at); {
		case r.Nth == 0:
			for _, i := range at {
				gone[i] = true
			}
		case r.Nth > 0 && r.Nth <= n:
			gone[at[r.Nth-1]] = true
		case r.Nth < 0 && -r.Nth <= n:
			gone[at[n+r.Nth]] = true
		}
	}
	return gone
}

func endLine(b []byte) []byte {
	if len(b) == 0 || bytes.HasSuffix(b, []byte("\n")) {
		return b
	}
	return append(b, "\r\n"...)
}

// append writes the field with CRLF line ends. A line of the value that would begin a field of its own
// becomes a folded one.
func (f Insert) append(out []byte) []byte {
	out = append(append(out, f.Name...), ": "...)
	first := true
	for line := range strings.SplitSeq(strings.ReplaceAll(f.Value, "\r", ""), "\n") {
		if !first {
			if strings.TrimSpace(line) == "" {
				continue
			}
			out = append(out, "\r\n"...)
			if line[0] != ' ' && line[0] != '\t' {
				out = append(out, '\t')
			}
		}
		out, first = append(out, line...), false
	}
	return append(out, "\r\n"...)
}
