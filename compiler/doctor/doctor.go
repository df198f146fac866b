// Package doctor goes through the checklist before a deployment: it turns what is shown to it of a site, of the systems
// behind it and of the plan between them into findings. It changes nothing, and must not know the command line.
package doctor

import (
	"context"
	"fmt"
	"strings"

	"github.com/mailplan/mailplan/compiler/apply"
	"github.com/mailplan/mailplan/compiler/check"
	"github.com/mailplan/mailplan/compiler/plan"
)

// State is how a finding weighs.
type State string

// The states: what is Bad should keep a deployment back.
const (
	Good     State = "good"
	Doubtful State = "doubtful"
	Bad      State = "bad"
)

// Finding is one line of the checklist.
type Finding struct {
	Check string `json:"check"`
	State State  `json:"state"`
	Text  string `json:"text"`
	Hint  string `json:"hint,omitempty"` // what to do about it
}

// Configuration weighs what the rules found in the site.
func Configuration(found []check.Finding) Finding {
	f := Finding{Check: "configuration", State: Good, Text: "nothing to remark"}
	errors := 0
	for _, one := range found {
		if one.Severity == check.Error {
			errors++
		}
	}
	switch {
	case errors > 0:
		f.State, f.Text, f.Hint = Bad, fmt.Sprintf("%d of %d remarks are errors", errors, len(found)), "mailplan vet names them"
	case len(found) > 0:
		f.State, f.Text, f.Hint = Doubtful, fmt.Sprintf("%d remarks, no error", len(found)), "mailplan vet names them"
	}
	return f
}

// Secrets weighs what is said of their completeness.
func Secrets(incomplete error) Finding {
	if incomplete != nil {
		return Finding{"secrets", Bad, incomplete.Error(), "mailplan secret list shows each with its users"}
	}
	return Finding{Check: "secrets", State: Good, Text: "all there, readable and in their form"}
}

// Planes asks each system for its state, and returns what all said as far as they answered. Planes of one name are one
// system.
func Planes(ctx context.Context, planes []apply.Plane) (list []Finding, all apply.State) {
	before := 0 // objects of other systems
	for i, p := range planes {
		if i == 0 || planes[i-1].Name() != p.Name() {
			list, before = append(list, Finding{Check: string(p.Name()), State: Good}), len(all.Live)
		}
		f := &list[len(list)-1]
		err := all.Read(ctx, p)
		switch {
		case err != nil:
			f.State, f.Text = Bad, err.Error()
		case f.State == Good:
			f.Text = fmt.Sprintf("answers; %d objects", len(all.Live)-before)
		}
	}
	return list, all
}

// Coming lists what the systems see coming that no plan mends, such as a certificate that ends and is not renewed.
func Coming(seen []apply.Finding, err error) (list []Finding) {
	for _, s := range seen {
		list = append(list, Finding{Check: string(s.Plane), State: Doubtful, Text: s.ID + ": " + s.Message})
	}
	if err != nil {
		list = append(list, Finding{Check: "outlook", State: Bad, Text: err.Error()})
	}
	return list
}

// Journal weighs how the last apply ended.
func Journal(cutOff string, err error) Finding {
	switch {
	case err != nil:
		return Finding{Check: "last apply", State: Bad, Text: err.Error()}
	case cutOff != "":
		return Finding{"last apply", Doubtful, cutOff, "mailplan apply goes on from there"}
	}
	return Finding{Check: "last apply", State: Good, Text: "came to its end"}
}

// Backup weighs why a backup is not known to work; nil is that it is.
func Backup(unproven error) Finding {
	if unproven != nil {
		return Finding{"backup", Bad, unproven.Error(), "mailpland backup run and mailpland drill on the host"}
	}
	return Finding{Check: "backup", State: Good, Text: "the last restore drill was green and recent"}
}

// Way weighs the plan, or that there can be none: whether there is a way back from it.
func Way(p plan.Plan, unmade error) Finding {
	if unmade != nil {
		return Finding{"way back", Bad, unmade.Error(), "mailplan diff fails in the same way; an apply would change nothing"}
	}
	f := Finding{Check: "way back", State: Good, Text: "nothing to change"}
	var final []string
	for _, c := range p.Changes {
		if c.Irreversible != "" {
			final = append(final, fmt.Sprintf("%s %s: %s", c.Verb, c.ID, c.Irreversible))
		}
	}
	switch {
	case len(p.Conflicts) > 0:
		f.State, f.Text, f.Hint = Bad, fmt.Sprintf("%d objects of others stand in the way", len(p.Conflicts)), "mailplan diff names them"
	case len(final) > 0:
		f.State, f.Text, f.Hint = Doubtful, fmt.Sprintf("%d of %d changes are for good: %s", len(final), len(p.Changes), strings.Join(final, "; ")),
			"apply asks for each by its name"
	case !p.Empty():
		f.Text, f.Hint = fmt.Sprintf("each of %d changes can be taken back", len(p.Changes)), "mailplan rollback REV, with the revision before"
	}
	return f
}
