package plan

import (
	"encoding/json"
	"fmt"
)

// Verb is what is done to an object.
type Verb string

// The verbs.
const (
	Create Verb = "create"
	Update Verb = "update"
	Delete Verb = "delete"
)

// Change is one step: plain data with the site line that asks for it.
type Change struct {
	Plane        Plane           `json:"plane"`
	Verb         Verb            `json:"verb"`
	Kind         string          `json:"kind"`
	ID           string          `json:"id"`
	Old          json.RawMessage `json:"old,omitempty"`
	New          json.RawMessage `json:"new,omitempty"`
	Before       string          `json:"before,omitempty"` // Old in a few words
	After        string          `json:"after,omitempty"`  // New in a few words
	Handle       string          `json:"handle,omitempty"` // provider's identifier of the live object
	From         string          `json:"from,omitempty"`   // site path
	Pos          string          `json:"pos,omitempty"`    // file:line of the site
	Phase        Phase           `json:"phase"`
	Needs        []string        `json:"needs,omitempty"`
	Effects      []string        `json:"effects,omitempty"`
	Irreversible string          `json:"irreversible,omitempty"`
	Note         string          `json:"note,omitempty"`   // consequence, such as "reload"
	Stops        string          `json:"stops,omitempty"`  // service that is away meanwhile
	Risk         string          `json:"risk,omitempty"`   // data that may be lost by it, so that a backup must be known to work
	InTurn       bool            `json:"inTurn,omitempty"` // a deletion that goes in its phase, as an update does
}

// String is one line for people: plane, what is done to what, and from what to what.
func (c Change) String() string {
	s := fmt.Sprintf("%s: %s %s", c.Plane, c.Verb, c.title())
	if v := c.value(); v != "" {
		s += " " + v
	}
	if c.Pos != "" {
		s += " (" + c.Pos + ")"
	}
	return s
}

// Conflict is a live object that is not ours and stands in the way of a declared one.
type Conflict struct {
	Plane   Plane  `json:"plane"`
	ID      string `json:"id"`
	Live    string `json:"live"`
	Desired string `json:"desired"`
	From    string `json:"from,omitempty"`
	Pos     string `json:"pos,omitempty"`
}
