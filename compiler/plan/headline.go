package plan

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/mailplan/mailplan/compiler/model"
)

// AddressChange is what a plan does to one address, in mail terms.
type AddressChange struct {
	Address string `json:"address"` // *@domain is a catch-all
	Before  string `json:"before,omitempty"`
	After   string `json:"after,omitempty"`
}

// Headline is a plan in mail terms: what reviewers must see first.
type Headline struct {
	Gained    []AddressChange `json:"gained,omitempty"`
	Lost      []AddressChange `json:"lost,omitempty"`
	Rerouted  []AddressChange `json:"rerouted,omitempty"`
	LockedOut []string        `json:"lockedOut,omitempty"` // could sign in before and can't after
	LetIn     []string        `json:"letIn,omitempty"`
	Restarts  []string        `json:"restarts,omitempty"` // services that are away meanwhile
	ForGood   int             `json:"forGood,omitempty"`  // changes that can't be undone
}

// NewHeadline compares who receives and who signs in, before and after, and sums up what the changes stop.
func NewHeadline(before, after model.Accounts, changes ...Change) Headline {
	var h Headline
	for _, c := range changes {
		if c.Stops != "" {
			h.Restarts = append(h.Restarts, c.Stops)
		}
		if c.Irreversible != "" {
			h.ForGood++
		}
	}
	slices.Sort(h.Restarts)
	h.Restarts = slices.Compact(h.Restarts)
	old, new := before.Destinations(), after.Destinations()
	for _, address := range slices.Sorted(maps.Keys(new)) {
		c := AddressChange{Address: address, Before: old[address], After: new[address]}
		switch {
		case c.Before == "":
			h.Gained = append(h.Gained, c)
		case c.Before != c.After:
			h.Rerouted = append(h.Rerouted, c)
		}
	}
	for _, address := range slices.Sorted(maps.Keys(old)) {
		if new[address] == "" {
			h.Lost = append(h.Lost, AddressChange{Address: address, Before: old[address], After: caught(address, new)})
		}
	}
	h.LockedOut = missing(before.SignIns(), after.SignIns())
	h.LetIn = missing(after.SignIns(), before.SignIns())
	return h
}

// caught is where a lost address' mail goes now: to the catch-all, or nowhere.
func caught(address string, destinations map[string]string) string {
	_, domain, _ := model.SplitAddress(address)
	if all := destinations["*@"+domain]; all != "" && !strings.HasPrefix(address, "*@") {
		return "catch-all " + all
	}
	return ""
}

func missing(from, in map[string]bool) []string {
	var out []string
	for address := range from {
		if !in[address] {
			out = append(out, address)
		}
	}
	slices.Sort(out)
	return out
}

// Empty says that nobody notices anything.
func (h Headline) Empty() bool {
	return len(h.Gained)+len(h.Lost)+len(h.Rerouted)+len(h.LockedOut)+len(h.LetIn)+len(h.Restarts)+h.ForGood == 0
}

// Summary is the first line.
func (h Headline) Summary() string {
	var parts []string
	count := func(n int, one, many string) {
		switch {
		case n == 1:
			parts = append(parts, "1 "+one)
		case n > 1:
			parts = append(parts, fmt.Sprintf("%d %s", n, many))
		}
	}
	count(len(h.Gained), "address gained", "addresses gained")
	count(len(h.Lost), "address lost", "addresses lost")
	count(len(h.Rerouted), "address rerouted", "addresses rerouted")
	count(len(h.LockedOut), "user locked out", "users locked out")
	count(len(h.LetIn), "user let in", "users let in")
	if parts == nil {
		parts = []string{"no address changes"}
	}
	count(len(h.Restarts), "service restarted", "services restarted")
	count(h.ForGood, "change for good", "changes for good")
	return strings.Join(parts, ", ")
}
