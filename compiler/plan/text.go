package plan

import (
	"fmt"
	"io"
	"strings"
)

// Style is how a plan is coloured; the zero value is plain text.
type Style struct {
	Create, Update, Delete, Dim, Reset string
}

// Colour is for terminals.
var Colour = Style{Create: "\x1b[32m", Update: "\x1b[33m", Delete: "\x1b[31m", Dim: "\x1b[2m", Reset: "\x1b[0m"}

// listed is how many addresses of each sort a headline names.
const listed = 12

// Text writes the plan for people: headline in mail terms, changes by plane, counts.
func (p Plan) Text(w io.Writer, s Style) error {
	t := text{w: w, style: s}
	t.headline(p)
	t.body(p)
	for _, r := range p.Refusals {
		t.line("apply needs --allow %s: %s", r.Guard, r.names())
	}
	if risks := p.Risks(); risks != nil {
		t.line("apply asks for a backup that is known to work, or --allow %s: %s", GuardBackup, strings.Join(risks, ", "))
	}
	t.line("plan %s: %s", p.ID(), p.counts())
	return t.err
}

func (t *text) body(p Plan) {
	for _, plane := range planes {
		t.plane(plane, p.Changes)
	}
	t.conflicts(p.Conflicts)
	t.irreversible(p.Changes)
}

func (t *text) irreversible(changes []Change) {
	for _, c := range changes {
		if c.Irreversible != "" {
			t.line("  %s! for good: %s %s: %s%s", t.style.Delete, c.Plane, c.title(), c.Irreversible, t.style.Reset)
		}
	}
}

func (p Plan) counts() string {
	s := fmt.Sprintf("%d to create, %d to update, %d to delete, %d unchanged",
		p.Count(Create), p.Count(Update), p.Count(Delete), p.Unchanged)
	if n := len(p.Conflicts); n > 0 {
		s += fmt.Sprintf(", %d in conflict", n)
	}
	return s
}

type text struct {
	w     io.Writer
	style Style
	err   error
}

func (t *text) line(format string, args ...any) {
	if t.err == nil {
		_, t.err = fmt.Fprintf(t.w, format+"\n", args...)
	}
}

func (t *text) headline(p Plan) {
	h := p.Headline
	t.line("%s: %s", p.Site, h.Summary())
	t.addresses("+", t.style.Create, h.Gained)
	t.addresses("~", t.style.Update, h.Rerouted)
	t.addresses("-", t.style.Delete, h.Lost)
	t.people("locked out", t.style.Delete, h.LockedOut)
	t.people("let in", t.style.Create, h.LetIn)
	t.people("restarted", t.style.Update, h.Restarts)
}

func (t *text) addresses(sign, colour string, list []AddressChange) {
	for i, a := range list {
		if i == listed {
			t.line("  %s%s … and %d more%s", colour, sign, len(list)-listed, t.style.Reset)
			return
		}
		t.line("  %s%s %s%s  %s", colour, sign, a.Address, t.style.Reset, a.move())
	}
}

func (a AddressChange) move() string {
	switch {
	case a.Before == "":
		return "-> " + a.After
	case a.After == "":
		return "was " + a.Before + ", refused now"
	default:
		return a.Before + " -> " + a.After
	}
}

func (t *text) people(what, colour string, list []string) {
	if len(list) == 0 {
		return
	}
	shown := list
	if len(list) > listed {
		shown = append(list[:listed:listed], fmt.Sprintf("and %d more", len(list)-listed))
	}
	t.line("  %s%s: %s%s", colour, what, strings.Join(shown, ", "), t.style.Reset)
}

func (t *text) plane(plane Plane, changes []Change) {
	head := true
	for _, c := range changes {
		if c.Plane != plane {
			continue
		}
		if head {
			t.line("%s", plane)
			head = false
		}
		t.change(c)
	}
}

func (t *text) change(c Change) {
	sign, colour := c.sign(t.style)
	out := fmt.Sprintf("  %s%s %s%s", colour, sign, c.title(), t.style.Reset)
	if v := c.value(); v != "" {
		out += "  " + v
	}
	if c.Note != "" {
		out += "  (" + c.Note + ")"
	}
	if c.Pos != "" {
		out += "  " + t.style.Dim + c.Pos + t.style.Reset
	}
	t.line("%s", out)
}

func (c Change) sign(s Style) (sign, colour string) {
	switch c.Verb {
	case Create:
		return "+", s.Create
	case Delete:
		return "-", s.Delete
	default:
		return "~", s.Update
	}
}

// title leaves out the kind where the ID speaks for itself.
func (c Change) title() string {
	if c.Kind == "record" {
		return c.ID
	}
	return c.Kind + " " + c.ID
}

func (c Change) value() string {
	switch {
	case c.Verb == Update && c.Before != c.After:
		return short(c.Before) + " -> " + short(c.After)
	case c.Verb == Delete:
		return short(c.Before)
	default:
		return short(c.After)
	}
}

// short keeps both ends of a long value: keys differ in the middle, terms of a policy at the end.
func short(s string) string {
	const most = 72
	if len(s) <= most {
		return s
	}
	return s[:most-13] + "…" + s[len(s)-12:]
}

func (t *text) conflicts(list []Conflict) {
	if len(list) == 0 {
		return
	}
	t.line("in the way, and not made by mailplan:")
	for _, c := range list {
		t.line("  ! %s %s  live %s, wanted %s  %s", c.Plane, c.ID, short(c.Live), short(c.Desired), c.Pos)
	}
}
