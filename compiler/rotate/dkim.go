package rotate

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mailplan/mailplan/compiler/draft"
	"github.com/mailplan/mailplan/compiler/model"
	"github.com/mailplan/mailplan/compiler/secrets"
)

// dkim goes publish -> switch -> retire -> remove for the keys of the domain that the secret signs for.
func (p planner) dkim() (*Step, string, error) {
	d, active := p.domain()
	for _, sel := range d.Selectors {
		if sel.State == model.Retired && sel.Since != "" && since(sel.Since, p.Now) >= d.KeyDays {
			if wait, err := p.unapplied(); wait != "" || err != nil {
				return nil, wait, err
			}
			return p.remove(d, sel), "", nil
		}
	}
	ahead, ok := waiting(d)
	switch {
	case !ok && d.State == model.Active && p.begins():
		return p.publish(d, active), "", nil
	case !ok:
		return p.record(), "", nil
	case since(ahead.Since, p.Now) < settle:
		return nil, fmt.Sprintf("%s was published today: resolvers may remember for a day that there was nothing", ahead.Name), nil
	}
	seen, err := p.Observed.DNS(d.Name, ahead.Name, ahead.Key.Secret)
	if err != nil { // whoever can't be asked today may answer tomorrow; other secrets go on
		return nil, fmt.Sprintf("it is not known who has %s._domainkey.%s: %v", ahead.Name, d.Name, err), nil
	}
	if !seen {
		return nil, fmt.Sprintf("not every resolver has %s._domainkey.%s yet", ahead.Name, d.Name), nil
	}
	if wait, err := p.unapplied(); wait != "" || err != nil {
		return nil, wait, err
	}
	return p.step("switch", fmt.Sprintf("%s signs with %s from the next apply on; %s stays in DNS for %d days", d.Name, ahead.Name, active.Name, d.KeyDays),
		func(dr *draft.Draft, _ Values) error { return dr.Activate(d.Unicode, ahead.Name, p.day) }), "", nil
}

func (p planner) domain() (model.Domain, model.Selector) {
	for _, d := range p.Site.Domains {
		if sel, ok := d.Signing(); ok && sel.Key.Secret == p.st.Name {
			return d, sel
		}
	}
	return model.Domain{}, model.Selector{} // Statuses lists active keys only
}

// publish makes a key of the same kind under a new selector and puts its public half in DNS.
func (p planner) publish(d model.Domain, active model.Selector) *Step {
	name := selectorName(d, active.Name, p.Now)
	return p.step("publish", fmt.Sprintf("%s: a new key %s is made, and in DNS from the next apply on", d.Name, name), func(dr *draft.Draft, v Values) error {
		state, day := model.Published, p.day
		sel := draft.Selector{State: &state, Since: &day}
		if active.Algorithm != "rsa" {
			sel.Algorithm = &active.Algorithm
		}
		made := active
		if made.Bits = max(active.Bits, strongRSA); made.Bits != strongRSA {
			sel.Bits = &made.Bits
		}
		value, err := secrets.MakeKey(made)
		if err != nil {
			return err
		}
		if err := v.Set(keyName(d, name), value); err != nil {
			return err
		}
		return dr.AddSelector(d.Unicode, name, sel)
	})
}

// strongRSA is what RFC 8301 asks of signers, and the schema's default.
const strongRSA = 2048

func keyName(d model.Domain, selector string) string { return "dkim/" + d.Name + "/" + selector }

// remove takes a key out that has been retired long enough.
func (p planner) remove(d model.Domain, sel model.Selector) *Step {
	return p.step("retire", fmt.Sprintf("%s: %s goes from DNS with the next apply", d.Name, sel.Name), func(dr *draft.Draft, v Values) error {
		if err := dr.RemoveSelector(d.Unicode, sel.Name); err != nil {
			return err
		}
		if err := dr.Unset(model.Path("secrets", "names", sel.Key.Secret)); err != nil {
			return err
		}
		return v.Remove(sel.Key.Secret)
	})
}

// selectorName keeps the letters that the selectors of a domain begin with, and adds the month: s202611.
func selectorName(d model.Domain, active string, now time.Time) string {
	base := strings.TrimRight(active, "0123456789")
	if i := strings.IndexAny(active, "0123456789"); i > 0 {
		base = active[:i]
	}
	if base == "" {
		base = "s"
	}
	base += now.Format("200601")
	name := base
	for c := 'b'; slices.ContainsFunc(d.Selectors, func(s model.Selector) bool { return s.Name == name }); c++ {
		name = base + string(c)
	}
	return name
}
