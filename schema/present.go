package schema

import (
	"fmt"

	"cuelang.org/go/cue/errors"
)

// present turns what CUE says into problems at the user's lines.
func present(s *Source, err error) Problems {
	var ps Problems
	for _, e := range errors.Errors(err) {
		format, args := e.Msg()
		ps = append(ps, Problem{Pos: posOf(e.Position()), Message: fmt.Sprintf(format, args...)})
	}
	return ps
}
