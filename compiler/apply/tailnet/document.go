package tailnet

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/tailscale/hujson"

	"github.com/mailplan/mailplan/compiler/plan"
)

// document is a policy file (HuJSON) in which the entries of one site bear its mark as a comment. Everything else
// in it stays as it is, comments and layout included.
type document struct {
	root hujson.Value
	mark string
}

// entry is one member of tagOwners, or one element of grants or tests.
type entry struct {
	kind    string
	id      string
	value   json.RawMessage // canonical
	ours    bool
	comment []string // lines without slashes
	layout  []byte   // the value as it is written in its file
}

// source is the value as its file has it. (A Clone would lose trailing commas.)
func (e entry) source() hujson.Value {
	v, err := hujson.Parse(bytes.Clone(e.layout))
	if err != nil {
		panic(fmt.Sprintf("tailnet: what was packed does not parse: %v", err))
	}
	return v
}

// sections of a policy file by the kind of their entries, in the order in which they can be written one by one.
var sections = []struct{ kind, name string }{{KindTagOwner, "tagOwners"}, {KindGrant, "grants"}, {KindTest, "tests"}}

func section(kind string) string {
	for _, s := range sections {
		if s.kind == kind {
			return s.name
		}
	}
	return ""
}

func parse(text []byte, site string) (*document, error) {
	root, err := hujson.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("policy file: %w", err)
	}
	if _, ok := root.Value.(*hujson.Object); !ok {
		return nil, fmt.Errorf("policy file: no object")
	}
	return &document{root: root, mark: "// mailplan " + site}, nil
}

// find is the value of a section; names are as good in any case. It is made where it is missing.
func (d *document) find(name string, make bool) *hujson.Value {
	top := d.root.Value.(*hujson.Object)
	for i := range top.Members {
		if label, ok := top.Members[i].Name.Value.(hujson.Literal); ok && strings.EqualFold(label.String(), name) {
			return &top.Members[i].Value
		}
	}
	if !make {
		return nil
	}
	v := hujson.Value{BeforeExtra: hujson.Extra(" "), Value: &hujson.Array{}, AfterExtra: hujson.Extra{}}
	if name == section(KindTagOwner) {
		v.Value = &hujson.Object{}
	}
	before := follow(&top.AfterExtra, "\n\t")
	top.Members = append(top.Members, hujson.ObjectMember{Name: hujson.Value{BeforeExtra: before, Value: hujson.String(name)}, Value: v})
	top.AfterExtra = hujson.Extra("\n")
	return &top.Members[len(top.Members)-1].Value
}

// follow is what stands before a new last entry: the comments that stood after the one before it, and its indent.
func follow(rest *hujson.Extra, indent string) hujson.Extra {
	kept := bytes.TrimRight(*rest, " \t\r\n")
	return append(slices.Clone(kept), indent...)
}

// entries lists all entries of the kinds that a site has part in.
func (d *document) entries() ([]entry, error) {
	var all []entry
	for _, s := range sections {
		v := d.find(s.name, false)
		if v == nil {
			continue
		}
		switch list := v.Value.(type) {
		case *hujson.Object:
			for _, m := range list.Members {
				label, _ := m.Name.Value.(hujson.Literal)
				e, err := d.entry(s.kind, label.String(), m.Name.BeforeExtra, m.Value)
				if err != nil {
					return nil, err
				}
				all = append(all, e)
			}
		case *hujson.Array:
			for _, element := range list.Elements {
				e, err := d.entry(s.kind, "", element.BeforeExtra, element)
				if err != nil {
					return nil, err
				}
				all = append(all, e)
			}
		}
	}
	return all, nil
}

func (d *document) entry(kind, id string, before hujson.Extra, v hujson.Value) (entry, error) {
	v.BeforeExtra, v.AfterExtra = nil, nil
	e := entry{kind: kind, id: id, layout: v.Pack()}
	plain := e.source()
	plain.Standardize()
	var data any
	if err := json.Unmarshal(plain.Pack(), &data); err != nil {
		return e, fmt.Errorf("policy file: %w", err)
	}
	e.value = plan.Encode(data)
	if id == "" {
		e.id = name(kind, e.value)
	}
	for line := range strings.Lines(string(before)) {
		line = strings.TrimSpace(line)
		e.ours = e.ours || d.marks(line)
		if text, ok := strings.CutPrefix(line, "//"); ok {
			e.comment = append(e.comment, strings.TrimSpace(text))
		}
	}
	return e, nil
}

// marks says whether a line is a comment of ours.
func (d *document) marks(line string) bool {
	return line == d.mark || strings.HasPrefix(line, d.mark+":")
}

// rule is what names a grant or a test.
type rule struct {
	Src any      `json:"src"`
	Dst []string `json:"dst"`
}

// name tells entries of a list apart as people do: by who is meant.
func name(kind string, value json.RawMessage) string {
	var r rule
	if json.Unmarshal(value, &r) != nil {
		return ""
	}
	var from []string
	switch src := r.Src.(type) {
	case string:
		from = []string{src}
	case []any:
		for _, s := range src {
			from = append(from, fmt.Sprint(s))
		}
	}
	id := strings.Join(from, ", ")
	if kind == KindGrant {
		id += " to " + strings.Join(r.Dst, ", ")
	}
	return id
}

// add appends an entry of ours with its mark and comment.
func (d *document) add(e entry) {
	var before strings.Builder
	before.WriteString("\n\t\t" + d.mark)
	for i, line := range e.comment {
		if i > 0 {
			before.WriteString("\n\t\t" + d.mark)
		}
		before.WriteString(": " + line)
	}
	before.WriteString("\n\t\t")
	v := e.source()
	v.AfterExtra = hujson.Extra{}
	switch list := d.find(section(e.kind), true).Value.(type) {
	case *hujson.Object:
		label := hujson.Value{BeforeExtra: follow(&list.AfterExtra, before.String()), Value: hujson.String(e.id)}
		v.BeforeExtra = hujson.Extra(" ")
		list.Members = append(list.Members, hujson.ObjectMember{Name: label, Value: v})
		list.AfterExtra = hujson.Extra("\n\t")
	case *hujson.Array:
		v.BeforeExtra = follow(&list.AfterExtra, before.String())
		list.Elements = append(list.Elements, v)
		list.AfterExtra = hujson.Extra("\n\t")
	}
}

// replace puts another value in the place of one of ours.
func (d *document) replace(i int, e entry) {
	switch list := d.find(section(e.kind), true).Value.(type) {
	case *hujson.Object:
		list.Members[i].Value.Value = e.source().Value
	case *hujson.Array:
		list.Elements[i].Value = e.source().Value
	}
}

// remove takes one of ours out with its mark. What others have written before it stays, before what follows.
func (d *document) remove(kind string, i int) {
	switch list := d.find(section(kind), true).Value.(type) {
	case *hujson.Object:
		rest := d.unmarked(list.Members[i].Name.BeforeExtra)
		list.Members = slices.Delete(list.Members, i, i+1)
		if i < len(list.Members) {
			prepend(&list.Members[i].Name.BeforeExtra, rest)
		} else {
			prepend(&list.AfterExtra, rest)
		}
	case *hujson.Array:
		rest := d.unmarked(list.Elements[i].BeforeExtra)
		list.Elements = slices.Delete(list.Elements, i, i+1)
		if i < len(list.Elements) {
			prepend(&list.Elements[i].BeforeExtra, rest)
		} else {
			prepend(&list.AfterExtra, rest)
		}
	}
}

// unmarked is what is not ours of the comments before an entry; empty if only space is left.
func (d *document) unmarked(before hujson.Extra) []byte {
	var rest []byte
	for line := range bytes.Lines(before) {
		if !d.marks(string(bytes.TrimSpace(line))) {
			rest = append(rest, line...)
		}
	}
	return bytes.TrimRight(rest, " \t\r\n")
}

func prepend(extra *hujson.Extra, rest []byte) {
	if len(rest) == 0 {
		return
	}
	*extra = slices.Concat(hujson.Extra(rest), hujson.Extra("\n"), bytes.TrimLeft(*extra, "\n"))
}

func (d *document) text() string { return string(d.root.Pack()) }
