package draft

import (
	"fmt"
	"slices"

	"github.com/mailplan/mailplan/compiler/edit"
	"github.com/mailplan/mailplan/compiler/model"
)

// Selector says which fields of a DKIM selector to set; nil leaves one as it is.
type Selector struct {
	State     *model.State
	Since     *string
	Algorithm *string
	Bits      *int
}

func (s Selector) fields() []edit.Field {
	var list []edit.Field
	if s.State != nil {
		list = append(list, edit.Field{Name: "state", Value: string(*s.State)})
	}
	if s.Since != nil {
		list = append(list, edit.Field{Name: "since", Value: orNone(*s.Since)})
	}
	if s.Algorithm != nil {
		list = append(list, edit.Field{Name: "algorithm", Value: *s.Algorithm})
	}
	if s.Bits != nil {
		list = append(list, edit.Field{Name: "bits", Value: *s.Bits})
	}
	return list
}

// AddSelector declares a further key of a domain.
func (d *Draft) AddSelector(domain, selector string, s Selector) error {
	dom, err := d.domain(domain)
	if err != nil {
		return err
	}
	if _, ok := selectorOf(dom, selector); ok {
		return fmt.Errorf("%s has the selector %s already", domain, selector)
	}
	value := "{"
	for i, f := range s.fields() {
		if i > 0 {
			value += ", "
		}
		value += f.Name + ": " + f.CUE()
	}
	return d.set(selectorPath(dom, selector), value+"}")
}

// SetSelector changes a declared key.
func (d *Draft) SetSelector(domain, selector string, s Selector) error {
	dom, err := d.domain(domain)
	if err != nil {
		return err
	}
	if _, ok := selectorOf(dom, selector); !ok {
		return fmt.Errorf("%s has no selector %s", domain, selector)
	}
	for _, f := range s.fields() {
		if err := d.put(selectorPath(dom, selector)+"."+f.Name, f); err != nil {
			return err
		}
	}
	return nil
}

// RemoveSelector takes a key out of the site, and with the next apply out of DNS.
func (d *Draft) RemoveSelector(domain, selector string) error {
	dom, err := d.domain(domain)
	if err != nil {
		return err
	}
	if s, ok := selectorOf(dom, selector); !ok {
		return fmt.Errorf("%s has no selector %s", domain, selector)
	} else if s.State == model.Active {
		return fmt.Errorf("%s signs with %s: make another one active first", domain, selector)
	}
	return d.remove(selectorPath(dom, selector))
}

// SetSecretDay records when a secret was made anew.
func (d *Draft) SetSecretDay(name, day string) error {
	return d.set(model.Path("secrets", "names", name)+".rotated", edit.Field{Value: day}.CUE())
}

// Set gives any field of the site a value, a CUE expression.
func (d *Draft) Set(path, value string) error { return d.set(path, value) }

// Unset takes a field out; it is no error when it is not written.
func (d *Draft) Unset(path string) error { return d.put(path, edit.Field{}) }

func selectorOf(dom model.Domain, selector string) (model.Selector, bool) {
	i := slices.IndexFunc(dom.Selectors, func(s model.Selector) bool { return s.Name == selector })
	if i < 0 {
		return model.Selector{}, false
	}
	return dom.Selectors[i], true
}

func selectorPath(dom model.Domain, selector string) string {
	return dom.Path() + ".dkim.selectors." + model.Label(selector)
}

// Activate lets a selector sign from now on; the one that did is retired, so that what it signed still verifies.
func (d *Draft) Activate(domain, selector, day string) error {
	dom, err := d.domain(domain)
	if err != nil {
		return err
	}
	active, retired := model.Active, model.Retired
	if old, ok := dom.Signing(); ok && old.Name != selector {
		if err := d.SetSelector(domain, old.Name, Selector{State: &retired, Since: &day}); err != nil {
			return err
		}
	}
	return d.SetSelector(domain, selector, Selector{State: &active, Since: &day})
}
