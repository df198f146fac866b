package edit

import (
	"errors"

	"cuelang.org/go/cue/ast"
)

// add writes the rest of a path: into the braces of the value found, or beside the field when it has none.
func (p *patch) add(at place, labels []string, value string) error {
	done, rest := labels[:at.depth], labels[at.depth:]
	field := chain(rest) + value
	if s, ok := at.value().(*ast.StructLit); ok && s.Lbrace.IsValid() {
		b := structBody(s)
		p.insert(b, b.slot(rest[0]), field)
		return nil
	}
	if at.elem != nil || at.level == nil {
		return errors.New("there is no struct to put the field in")
	}
	// relay: password: …  gets a second line  relay: tls: …
	b, i := at.body(len(p.content))
	p.insert(b, i+1, chain(done[len(done)-at.levels():])+field)
	return nil
}
