package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
)

// Version is the format of a saved plan; another version is refused.
const Version = 1

// Plan is everything an apply does, bound to what it was computed from.
type Plan struct {
	Version   int        `json:"version"`
	Site      string     `json:"site"`
	Revision  string     `json:"revision,omitempty"` // Git commit of the site, with + when there were edits
	Tree      string     `json:"tree"`               // SHA-256 of the compiled tree
	Live      string     `json:"live"`               // SHA-256 over every live object that the plan compares
	Headline  Headline   `json:"headline"`
	Changes   []Change   `json:"changes"`
	Conflicts []Conflict `json:"conflicts,omitempty"`
	Refusals  []Refusal  `json:"refusals,omitempty"` // what apply must be told by name
	Unchanged int        `json:"unchanged"`
}

// New compares, orders and binds. Revision may be empty.
func New(site, revision, tree string, live, desired []Object) (Plan, error) {
	changes, conflicts := Diff(live, desired)
	if err := Order(changes); err != nil {
		return Plan{}, err
	}
	p := Plan{Version: Version, Site: site, Revision: revision, Tree: tree, Live: fingerprint(live), Changes: changes, Conflicts: conflicts}
	p.Unchanged = len(desired) - p.Count(Create) - p.Count(Update) - len(conflicts)
	return p, nil
}

// Count is how many changes have the verb.
func (p Plan) Count(v Verb) int {
	n := 0
	for _, c := range p.Changes {
		if c.Verb == v {
			n++
		}
	}
	return n
}

// Irreversible is how many changes can't be undone.
func (p Plan) Irreversible() int {
	n := 0
	for _, c := range p.Changes {
		if c.Irreversible != "" {
			n++
		}
	}
	return n
}

// Risks are the data that the changes may cost if something goes wrong.
func (p Plan) Risks() []string {
	var list []string
	for _, c := range p.Changes {
		if c.Risk != "" {
			list = append(list, c.Risk)
		}
	}
	return list
}

// Empty says that there is nothing to do.
func (p Plan) Empty() bool { return len(p.Changes) == 0 && len(p.Conflicts) == 0 }

// Locate gives every change the line of the site that asks for it.
func (p *Plan) Locate(pos func(path string) string) {
	for i := range p.Changes {
		if p.Changes[i].From != "" {
			p.Changes[i].Pos = pos(p.Changes[i].From)
		}
	}
	for i := range p.Conflicts {
		p.Conflicts[i].Pos = pos(p.Conflicts[i].From)
	}
}

// ID is short and depends on everything in the plan.
func (p Plan) ID() string {
	data, err := json.Marshal(p)
	if err != nil {
		panic(fmt.Sprintf("plan: a plan is plain data: %v", err))
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:6])
}

func fingerprint(live []Object) string {
	h := sha256.New()
	for _, o := range live {
		fmt.Fprintf(h, "%s\x00%s\x00%s\x00%s\x00%s\x00%t\n", o.Plane, o.Kind, o.ID, o.Handle, o.Value, o.Foreign)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// LocateBoth is Locate for a plan between two revisions: what is deleted stands in the older one.
func (p *Plan) LocateBoth(before, after func(path string) string) {
	p.Locate(after)
	for i, c := range p.Changes {
		if c.Verb == Delete && c.From != "" {
			p.Changes[i].Pos = before(c.From)
		}
	}
}

// Moved says, as an error that names the object, how what would be planned now differs from a saved plan;
// nil when it is the same. The commit may be another, as that of a merge is, when it compiles to the same tree.
func (p Plan) Moved(now Plan) error {
	p.Revision = now.Revision
	switch {
	case p.ID() == now.ID():
		return nil
	case p.Site != now.Site:
		return fmt.Errorf("the plan is for the site %s, this is %s", p.Site, now.Site)
	case p.Tree != now.Tree:
		return fmt.Errorf("the site has changed since the plan was made: make it anew")
	}
	was := map[string]Change{}
	for _, c := range p.Changes {
		was[c.Ref()+string(c.New)] = c
	}
	for _, c := range now.Changes {
		key := c.Ref() + string(c.New)
		old, ok := was[key]
		if !ok || string(old.Old) != string(c.Old) {
			return fmt.Errorf("%s %s has changed since the plan was made: make it anew", c.Plane, c.ID)
		}
		delete(was, key)
	}
	for _, c := range was {
		return fmt.Errorf("%s %s has changed since the plan was made: make it anew", c.Plane, c.ID)
	}
	return fmt.Errorf("what lives has changed since the plan was made: make it anew")
}
