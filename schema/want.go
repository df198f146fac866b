package schema

import (
	"fmt"
	"slices"
	"strings"

	"cuelang.org/go/cue/token"
)

// want puts in words what the shape accepts.
func (s *shape) want() string {
	var list []string
	for i := range s.alts {
		if text := s.alts[i].want(); !slices.Contains(list, text) {
			list = append(list, text)
		}
	}
	if choices := s.choices(); len(choices) > 1 {
		return "one of " + strings.Join(choices, ", ")
	}
	return strings.Join(list, " or ")
}

func (a *alt) want() string {
	switch {
	case a.value != nil:
		return a.value.String()
	case a.fields != nil:
		return a.fields.sample()
	case a.list != nil:
		return "a list"
	}
	bounds := a.bounds()
	if a.words != "" {
		if bounds != "" && a.kinds&kindNumber != 0 {
			return a.words + " (" + bounds + ")"
		}
		return a.words
	}
	return strings.TrimSpace(kindWords(a.kinds) + " " + bounds)
}

func kindWords(k kind) string {
	switch {
	case k == kindString:
		return "a string"
	case k == kindInt:
		return "a whole number"
	case k&^kindNumber == 0:
		return "a number"
	case k == kindBool:
		return "true or false"
	}
	return "a value"
}

// bounds puts the tests in words.
func (a *alt) bounds() string {
	var least, most string
	var other []string
	for _, t := range a.tests {
		switch t.op {
		case token.GEQ:
			least = t.than.String()
		case token.LEQ:
			most = t.than.String()
		case token.GTR:
			other = append(other, "above "+t.than.String())
		case token.LSS:
			other = append(other, "below "+t.than.String())
		case token.NEQ:
			if t.than.text == "" && t.than.kind == kindString {
				other = append(other, "that is not empty")
			} else {
				other = append(other, "other than "+t.than.String())
			}
		case token.MAT:
			other = append(other, "that matches "+t.match.String())
		case token.NMAT:
			other = append(other, "that does not match "+t.match.String())
		}
	}
	switch {
	case least != "" && most != "":
		other = append(other, "from "+least+" to "+most)
	case least != "":
		other = append(other, "of at least "+least)
	case most != "":
		other = append(other, "of at most "+most)
	}
	return strings.Join(other, ", ")
}

// sample shows how a value is written.
func (s *shape) sample() string {
	for i := range s.alts {
		if a := &s.alts[i]; a.value != nil || a.fields != nil {
			return a.want()
		}
	}
	switch k := s.kinds(); {
	case k&^kindNumber == 0:
		return "NUMBER"
	case k == kindString:
		return `"…"`
	case k == kindList:
		return "[…]"
	}
	return "…"
}

func (s *structShape) sample() string {
	var parts []string
	for _, name := range s.order {
		if s.fields[name].need == required {
			text := s.fields[name].shape.sample()
			if name == "secret" {
				text = `"NAME"`
			}
			parts = append(parts, quoteLabel(name)+": "+text)
		}
	}
	if len(parts) == 0 && len(s.patterns) == 1 && len(s.order) == 0 {
		return `{"NAME": …}`
	}
	if len(parts) == 0 {
		return "a struct"
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

// mend proposes what was probably meant; empty when nothing near is valid.
func (s *shape) mend(n *node) string {
	if n.kind == kindString && n.text != "" {
		for _, text := range rewritten(n.text) {
			if m := textNode(text); s.accepts(&m) {
				return "write " + m.String()
			}
		}
		if m, ok := unquoted(n.text); ok && s.accepts(&m) {
			return "write " + m.String() + " without quotes"
		}
		if near := nearest(n.text, s.choices()); near != "" {
			return "did you mean " + near + "?"
		}
	}
	if n.kind&(kindNumber|kindBool) != 0 {
		if m := textNode(n.String()); s.accepts(&m) {
			return "write it in quotes: " + m.String()
		}
	}
	if m := (node{kind: kindList, list: []node{*n}}); n.kind != kindList && s.accepts(&m) {
		return fmt.Sprintf("write a list: [%s]", n)
	}
	return ""
}

// rewritten are the usual slips set right, the likeliest first.
func rewritten(s string) []string {
	trimmed := strings.TrimSpace(s)
	lower, upper := strings.ToLower(trimmed), strings.ToUpper(trimmed)
	list := []string{trimmed, lower, upper, strings.TrimSuffix(lower, "."), strings.TrimSuffix(upper, "B"),
		strings.TrimSuffix(upper, "IB"), "0" + trimmed, "/" + trimmed, strings.TrimSuffix(trimmed, "/"), "ssh://" + trimmed,
		strings.ReplaceAll(trimmed, " ", ":")}
	if trimmed == upper {
		list = append(list, strings.ReplaceAll(trimmed, " ", "_"))
	}
	if localpart, domain, ok := strings.Cut(lower, "@"); ok && strings.Contains(domain, ".") { // else half a domain was meant
		list = append(list, localpart)
	}
	return append(list, strings.ReplaceAll(lower, "_", "-"), strings.ReplaceAll(lower, " ", "."),
		strings.ReplaceAll(lower, " ", "-"), strings.ReplaceAll(lower, " ", ""))
}

// unquoted is the number or truth value that a string spells.
func unquoted(s string) (node, bool) {
	switch s {
	case "true", "yes", "on":
		return node{kind: kindBool, truth: true}, true
	case "false", "no", "off":
		return node{kind: kindBool}, true
	}
	return number(s)
}
