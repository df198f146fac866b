package schema

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"cuelang.org/go/cue/token"
)

// Pos is a place in a file the user wrote; Line and Column count from 1, 0 is unknown. File is relative to
// the current folder where that is shorter.
type Pos struct {
	File   string `json:"file,omitempty"`
	Line   int    `json:"line,omitempty"`
	Column int    `json:"column,omitempty"`
}

// String is file:line:column, as far as known.
func (p Pos) String() string {
	switch {
	case p.Line == 0:
		return p.File
	case p.Column == 0:
		return fmt.Sprintf("%s:%d", p.File, p.Line)
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
}

func posOf(p token.Pos) Pos {
	if !p.IsValid() {
		return Pos{}
	}
	at := p.Position()
	return Pos{File: at.Filename, Line: at.Line, Column: at.Column}
}

// Before says whether p stands earlier than q, by file name first.
func (p Pos) Before(q Pos) bool { return comparePos(p, q) < 0 }

func comparePos(a, b Pos) int {
	return cmp.Or(strings.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
}

// Problem is one mistake of a site, at the place where its author can mend it.
type Problem struct {
	Pos     Pos    `json:"pos"`
	Path    string `json:"path,omitempty"` // site path such as domains."example.com".users.alice
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
	Schema  Pos    `json:"schema,omitzero"` // the definition that asks for it
}

// String is the printed form: the user's line first, the schema's and the hint indented below it.
func (p Problem) String() string {
	var b strings.Builder
	if s := p.Pos.String(); s != "" {
		b.WriteString(s + ": ")
	}
	if p.Path != "" {
		b.WriteString(p.Path + ": ")
	}
	b.WriteString(p.Message)
	if p.Schema != (Pos{}) {
		b.WriteString("\n    " + p.Schema.String())
	}
	if p.Hint != "" {
		b.WriteString("\n    hint: " + p.Hint)
	}
	return b.String()
}

// Problems is an error of many mistakes, sorted by file and line.
type Problems []Problem

// Error prints all problems, one below the other.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// Err is the problems as an error, sorted and each once; nil when there are none.
func (ps Problems) Err() error {
	if len(ps) == 0 {
		return nil
	}
	sorted := slices.Clone(ps)
	slices.SortStableFunc(sorted, func(a, b Problem) int {
		return cmp.Or(comparePos(a.Pos, b.Pos), strings.Compare(a.Path, b.Path), strings.Compare(a.Message, b.Message))
	})
	return slices.Compact(sorted)
}
