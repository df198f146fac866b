package draft

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/mailplan/mailplan/compiler/model"
)

// AddAlias adds targets to an alias, or declares it. Targets are localparts of the same domain or full addresses.
func (d *Draft) AddAlias(address string, targets []string) error {
	localpart, dom, err := d.split(address)
	if err != nil {
		return err
	}
	if _, ok := userOf(dom, localpart); ok {
		return fmt.Errorf("%s is a user: an alias of that name would never be reached", address)
	}
	have := aliasOf(dom, localpart)
	return d.putAlias(dom, localpart, append(slices.Clone(have), targets...))
}

// SetAlias makes an alias lead to exactly these targets.
func (d *Draft) SetAlias(address string, targets []string) error {
	localpart, dom, err := d.split(address)
	if err != nil {
		return err
	}
	if aliasOf(dom, localpart) == nil {
		return fmt.Errorf("the site has no alias %s: mailplan alias add declares one", address)
	}
	return d.putAlias(dom, localpart, targets)
}

// RemoveAlias takes targets out of an alias; without targets, or when none would be left, the alias itself.
func (d *Draft) RemoveAlias(address string, targets []string) error {
	localpart, dom, err := d.split(address)
	if err != nil {
		return err
	}
	have := aliasOf(dom, localpart)
	if have == nil {
		return fmt.Errorf("the site has no alias %s", address)
	}
	path := aliasPath(dom, localpart)
	if len(targets) == 0 {
		return d.remove(path)
	}
	left := slices.Clone(have)
	for _, t := range targets {
		n := len(left)
		left = slices.DeleteFunc(left, func(h string) bool { return h == full(t, dom) })
		if len(left) == n {
			return fmt.Errorf("%s does not lead to %s", address, t)
		}
	}
	if len(left) == 0 {
		return d.remove(path)
	}
	return d.putAlias(dom, localpart, left)
}

// putAlias writes targets the way the author writes them: what stands there already keeps its spelling, others of the
// same domain are localparts.
func (d *Draft) putAlias(dom model.Domain, localpart string, targets []string) error {
	path := aliasPath(dom, localpart)
	spelled := map[string]string{}
	if list, err := d.Before.Source.Value.LookupPath(cuePath(path)).List(); err == nil {
		for list.Next() {
			if text, err := list.Value().String(); err == nil {
				spelled[full(text, dom)] = text
			}
		}
	}
	var items []string
	for _, t := range targets {
		address := full(t, dom)
		text, ok := spelled[address]
		if !ok {
			text = strings.TrimSuffix(address, "@"+dom.Name)
		}
		if !slices.Contains(items, text) {
			items = append(items, text)
		}
	}
	return d.setList(path, items)
}

// full is a target as the model has it.
func full(target string, dom model.Domain) string {
	localpart, name, ok := model.SplitAddress(target)
	switch {
	case !ok:
		return target + "@" + dom.Name
	case strings.EqualFold(name, dom.Unicode):
		return localpart + "@" + dom.Name
	}
	return target
}

func aliasPath(dom model.Domain, localpart string) string {
	return dom.Path() + ".aliases." + model.Label(localpart)
}

// aliasOf are the targets of an alias, full addresses; nil without one.
func aliasOf(dom model.Domain, localpart string) []string {
	i := slices.IndexFunc(dom.Aliases, func(a model.Alias) bool { return a.Localpart == localpart })
	if i < 0 {
		return nil
	}
	return dom.Aliases[i].Targets
}

// Redirect puts another address in the place of one wherever aliases and catch-alls lead to it.
func (d *Draft) Redirect(address, to string) error {
	localpart, own, err := d.split(address)
	if err != nil {
		return err
	}
	if address = localpart + "@" + own.Name; full(to, own) == address {
		return fmt.Errorf("%s can't take its own place", address)
	}
	for _, dom := range d.Before.Model.Domains {
		for _, a := range dom.Aliases {
			i := slices.Index(a.Targets, address)
			if i < 0 {
				continue
			}
			targets := slices.Clone(a.Targets)
			targets[i] = full(to, own)
			if err := d.putAlias(dom, a.Localpart, targets); err != nil {
				return err
			}
		}
		if dom.CatchAll == address {
			if err := d.set(dom.Path()+".catchAll", strconv.Quote(strings.TrimSuffix(full(to, own), "@"+dom.Name))); err != nil {
				return err
			}
		}
	}
	return nil
}

// PutAlias declares an alias, or makes the one that is there lead to exactly these targets.
func (d *Draft) PutAlias(address string, targets []string) error {
	localpart, dom, err := d.split(address)
	if err != nil {
		return err
	}
	if aliasOf(dom, localpart) != nil {
		return d.SetAlias(address, targets)
	}
	return d.AddAlias(address, targets)
}
