package plan

import (
	"encoding/json"
	"fmt"
	"io"
)

// JSON writes the plan for machines and for saving.
func (p Plan) JSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(p)
}

// Load reads a saved plan. Unknown fields and other versions are refused, because an apply
// must not leave out what it doesn't understand.
func Load(r io.Reader) (Plan, error) {
	dec := json.NewDecoder(r)
	dec.DisallowUnknownFields()
	var p Plan
	if err := dec.Decode(&p); err != nil {
		return Plan{}, fmt.Errorf("read plan: %w", err)
	}
	if p.Version != Version {
		return Plan{}, fmt.Errorf("read plan: version %d, this mailplan reads %d: make the plan anew", p.Version, Version)
	}
	return p, nil
}
