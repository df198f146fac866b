package requests

import (
	"fmt"

	"github.com/mailplan/mailplan/compiler/draft"
	"github.com/mailplan/mailplan/compiler/model"
	"github.com/mailplan/mailplan/runtime/accounts"
)

// makeOfDomain makes an edit of a domain or of a key of its. A key that is made active retires the one that signs.
func makeOfDomain(d *draft.Draft, e accounts.Edit, day string) error {
	switch e.Verb {
	case accounts.AddDomain:
		return d.AddDomain(e.Address, "mail"+day[:4], e.Postmaster, draft.Domain{})
	case accounts.SetDomain:
		return d.SetDomain(e.Address, draft.Domain{CatchAll: e.CatchAll, DMARC: given(e.DMARC), MTASTS: given(e.MTASTS)})
	case accounts.RetireDomain:
		return d.SetDomain(e.Address, draft.Domain{State: new(model.Retired)})
	case accounts.AddSelector:
		return d.AddSelector(e.Address, e.Selector, draft.Selector{State: new(model.Published), Since: &day, Algorithm: given(e.Algorithm)})
	case accounts.SetSelector:
		if model.State(e.KeyState) == model.Active {
			return d.Activate(e.Address, e.Selector, day)
		}
		return d.SetSelector(e.Address, e.Selector, draft.Selector{State: new(model.State(e.KeyState)), Since: &day})
	}
	return fmt.Errorf("mailplan knows no edit %q", e.Verb)
}

// given is a field's value, nil for one that is left as it is.
func given(value string) *string {
	if value == "" {
		return nil
	}
	return &value
}
