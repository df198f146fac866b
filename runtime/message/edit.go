package message

import (
	"bytes"
	"sort"
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

// Apply returns the changed header section, its empty line included. Fields that stay keep their bytes.
func (e Edit) Apply(h Header) []byte {
	inserts := append([]Insert(nil), e.Inserts...)
	sort.SliceStable(inserts, func(i, j int) bool { return inserts[i].Order < inserts[j].Order })
	gone := e.removed(h)
	out := make([]byte, 0, 1024)
	for _, f := range inserts {
		if f.Order >= 0 {
			out = f.append(out)
		}
	}
	for i, f := range h.Fields {
		if !gone[i] && (e.Strip == nil || !e.Strip(f)) {
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

func (e Edit) removed(h Header) map[int]bool {
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
	for i, line := range strings.Split(strings.ReplaceAll(f.Value, "\r", ""), "\n") {
		if i > 0 {
			if strings.TrimSpace(line) == "" {
				continue
			}
			out = append(out, "\r\n"...)
			if line[0] != ' ' && line[0] != '\t' {
				out = append(out, '\t')
			}
		}
		out = append(out, line...)
	}
	return append(out, "\r\n"...)
}
