package plan

import "io"

// Mail writes the headline alone: what happens to addresses, and to who signs in.
func (p Plan) Mail(w io.Writer, s Style) error {
	t := text{w: w, style: s}
	t.headline(p)
	return t.err
}
