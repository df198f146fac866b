package edge

import (
	"context"
	"slices"

	"github.com/cloudflare/cloudflare-go/v6/email_routing"
	"github.com/cloudflare/cloudflare-go/v6/option"
)

// Rule says where Email Routing sends the mail of one address, or, as the
// catch-all, of every address of the apex without a rule of its own.
type Rule struct {
	ID string
	// Name is free text and carries the ownership mark.
	Name string
	// Address is the full recipient; empty for the catch-all.
	Address string
	Enabled bool
	// Priority decides between rules for one address: the lowest wins.
	Priority int
	// Action is drop, forward or worker.
	Action string
	// Target is the destination address or the Worker's name; empty for drop.
	Target string
	// Source is "api", or "wrangler" for rules that another tool owns.
	Source string
}

// CatchAll tells whether the rule is the zone's catch-all.
func (r Rule) CatchAll() bool { return r.Address == "" }

type wireMatcher struct {
	Type  string `json:"type"`
	Field string `json:"field,omitempty"`
	Value string `json:"value,omitempty"`
}

type wireAction struct {
	Type  string   `json:"type"`
	Value []string `json:"value,omitempty"`
}

type wireRule struct {
	ID       string        `json:"id,omitempty"`
	Name     string        `json:"name"`
	Enabled  bool          `json:"enabled"`
	Priority *int          `json:"priority,omitempty"`
	Matchers []wireMatcher `json:"matchers"`
	Actions  []wireAction  `json:"actions"`
	Source   string        `json:"source,omitempty"`
}

func (w wireRule) rule() Rule {
	r := Rule{ID: w.ID, Name: w.Name, Enabled: w.Enabled, Source: w.Source}
	if w.Priority != nil {
		r.Priority = *w.Priority
	}
	if len(w.Matchers) > 0 && w.Matchers[0].Type != "all" {
		r.Address = w.Matchers[0].Value
	}
	if len(w.Actions) > 0 {
		r.Action = w.Actions[0].Type
		if len(w.Actions[0].Value) > 0 {
			r.Target = w.Actions[0].Value[0]
		}
	}
	return r
}

func (r Rule) wire() wireRule {
	w := wireRule{Name: r.Name, Enabled: r.Enabled}
	action := wireAction{Type: r.Action}
	if r.Target != "" {
		action.Value = []string{r.Target}
	}
	w.Actions = []wireAction{action}
	if r.CatchAll() {
		w.Matchers = []wireMatcher{{Type: "all"}}
		return w
	}
	w.Priority = &r.Priority
	w.Matchers = []wireMatcher{{Type: "literal", Field: "to", Value: r.Address}}
	return w
}

// Rules lists the rules of a zone with the catch-all last.
func (e *Edge) Rules(ctx context.Context, z Zone) ([]Rule, error) {
	var p email_routing.RuleListParams
	p.ZoneID.Value, p.ZoneID.Present = z.ID, true
	items, err := list[wireRule](50, func(opts ...option.RequestOption) error {
		_, err := e.email.Rules.List(ctx, p, opts...)
		return err
	})
	if err != nil {
		return nil, naming(err, "list the email routing rules of %s", z.Name)
	}
	var rules []Rule
	for _, item := range items {
		rules = append(rules, item.rule())
	}
	slices.SortStableFunc(rules, func(a, b Rule) int { return last(a) - last(b) })
	if n := len(rules); n > 0 && rules[n-1].CatchAll() {
		return rules, nil
	}
	// The list holds the catch-all, but that is not documented.
	all, err := e.catchAll(ctx, z)
	if err != nil {
		return nil, err
	}
	return append(rules, all), nil
}

func last(r Rule) int {
	if r.CatchAll() {
		return 1
	}
	return 0
}

func (e *Edge) catchAll(ctx context.Context, z Zone) (Rule, error) {
	var p email_routing.RuleCatchAllGetParams
	p.ZoneID.Value, p.ZoneID.Present = z.ID, true
	w, err := result[wireRule](func(opts ...option.RequestOption) error {
		_, err := e.email.Rules.CatchAlls.Get(ctx, p, opts...)
		return err
	})
	return w.rule(), naming(err, "read the catch-all rule of %s", z.Name)
}

// CreateRule makes a rule for one address. The API allows several rules for one
// address; this call never makes a second one by itself.
func (e *Edge) CreateRule(ctx context.Context, z Zone, r Rule) (Rule, error) {
	var p email_routing.RuleNewParams
	p.ZoneID.Value, p.ZoneID.Present = z.ID, true
	body, err := jsonBody(r.wire())
	if err != nil {
		return Rule{}, err
	}
	made, err := create(ctx, e, creation[Rule]{
		post: func() (Rule, error) {
			w, err := result[wireRule](func(opts ...option.RequestOption) error {
				_, err := e.email.Rules.New(ctx, p, append(opts, body)...)
				return err
			})
			return w.rule(), err
		},
		find: func() (Rule, bool, error) {
			return findIn(e.Rules(ctx, z))(func(o Rule) bool { return o.Address == r.Address && o.Name == r.Name && o.Target == r.Target })
		},
	})
	return made, naming(err, "create the email routing rule for %s", r.Address)
}

// UpdateRule replaces a rule, or the catch-all, which every zone has and which
// can't be deleted.
func (e *Edge) UpdateRule(ctx context.Context, z Zone, r Rule) error {
	body, err := jsonBody(r.wire())
	if err != nil {
		return err
	}
	if r.CatchAll() {
		var p email_routing.RuleCatchAllUpdateParams
		p.ZoneID.Value, p.ZoneID.Present = z.ID, true
		err = discard(func(opts ...option.RequestOption) error {
			_, err := e.email.Rules.CatchAlls.Update(ctx, p, append(opts, body)...)
			return err
		})
		return naming(err, "set the catch-all rule of %s", z.Name)
	}
	var p email_routing.RuleUpdateParams
	p.ZoneID.Value, p.ZoneID.Present = z.ID, true
	err = discard(func(opts ...option.RequestOption) error {
		_, err := e.email.Rules.Update(ctx, r.ID, p, append(opts, body)...)
		return err
	})
	return naming(err, "update the email routing rule for %s", r.Address)
}

// DeleteRule removes a rule.
func (e *Edge) DeleteRule(ctx context.Context, z Zone, r Rule) error {
	var p email_routing.RuleDeleteParams
	p.ZoneID.Value, p.ZoneID.Present = z.ID, true
	err := discard(func(opts ...option.RequestOption) error {
		_, err := e.email.Rules.Delete(ctx, r.ID, p, opts...)
		return err
	})
	return naming(removed(err), "delete the email routing rule for %s", r.Address)
}
