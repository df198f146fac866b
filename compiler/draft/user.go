package draft

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mailplan/mailplan/compiler/edit"
	"github.com/mailplan/mailplan/compiler/model"
	"github.com/mailplan/mailplan/schema"
)

// User says which fields of a user to set; nil leaves one as it is.
type User struct {
	Name    *string
	QuotaMB *int // mebibytes, 0 without bound
	Role    *string
	SendAs  *[]string
	Secret  *string // the password's secret, empty for one that its owner sets
	State   *model.State
	Since   *string // YYYY-MM-DD
}

// fields are what is set, in the schema's order.
func (u User) fields() []edit.Field {
	var list []edit.Field
	add := func(name string, set bool, value func() any) {
		if set {
			list = append(list, edit.Field{Name: name, Value: value()})
		}
	}
	add("name", u.Name != nil, func() any { return orNone(*u.Name) })
	add("password", u.Secret != nil, func() any {
		if *u.Secret == "" {
			return "self"
		}
		return edit.Secret(*u.Secret)
	})
	add("quotaMB", u.QuotaMB != nil, func() any { return *u.QuotaMB })
	add("state", u.State != nil, func() any {
		if *u.State == model.Active {
			return nil // the default
		}
		return string(*u.State)
	})
	add("since", u.Since != nil, func() any { return orNone(*u.Since) })
	add("role", u.Role != nil, func() any { return *u.Role })
	add("sendAs", u.SendAs != nil, func() any {
		if len(*u.SendAs) == 0 {
			return nil
		}
		return *u.SendAs
	})
	return list
}

func orNone(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// AddUser declares a new user: in a table where the domain's users stand in one, else in CUE.
func (d *Draft) AddUser(address string, u User) error {
	localpart, dom, err := d.split(address)
	if err != nil {
		return err
	}
	if _, ok := userOf(dom, localpart); ok {
		return fmt.Errorf("%s is a user already: mailplan user set changes it", address)
	}
	if i := slices.IndexFunc(dom.Aliases, func(a model.Alias) bool { return a.Localpart == localpart }); i >= 0 {
		return fmt.Errorf("%s is an alias for %s: take that out first", address, strings.Join(dom.Aliases[i].Targets, ", "))
	}
	if table := d.tableFor(dom); table != "" {
		return d.setRow(table, localpart+"@"+dom.Unicode, u.fields())
	}
	var parts []string
	for _, f := range u.fields() {
		if f.Value != nil {
			parts = append(parts, f.Name+": "+f.CUE())
		}
	}
	return d.set(dom.Path()+".users."+model.Label(localpart), "{"+strings.Join(parts, ", ")+"}")
}

// SetUser changes a declared user where it stands.
func (d *Draft) SetUser(address string, u User) error {
	localpart, dom, err := d.split(address)
	if err != nil {
		return err
	}
	known, ok := userOf(dom, localpart)
	if !ok {
		return fmt.Errorf("the site has no user %s: mailplan user add declares one", address)
	}
	if src, ok := d.fromTable(dom, localpart); ok {
		return d.setRow(d.fileOf(src.Pos), localpart+"@"+src.Domain, u.fields())
	}
	path := known.Path(dom)
	for _, f := range u.fields() {
		switch {
		case f.Value != nil:
			err = d.set(path+"."+f.Name, f.CUE())
		case d.written(path + "." + f.Name):
			err = d.remove(path + "." + f.Name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func userOf(dom model.Domain, localpart string) (model.User, bool) {
	i := slices.IndexFunc(dom.Users, func(u model.User) bool { return u.Localpart == localpart })
	if i < 0 {
		return model.User{}, false
	}
	return dom.Users[i], true
}

// fromTable is the user as its data file has it.
func (d *Draft) fromTable(dom model.Domain, localpart string) (schema.User, bool) {
	for _, u := range d.Before.Source.Users {
		if u.FromFile() && u.Localpart == localpart && (u.Domain == dom.Name || u.Domain == dom.Unicode) {
			return u, true
		}
	}
	return schema.User{}, false
}

// tableFor is the data file that has most of a domain's users, empty where CUE has as many.
func (d *Draft) tableFor(dom model.Domain) string {
	rows, last := 0, ""
	for _, u := range d.Before.Source.Users {
		if u.FromFile() && (u.Domain == dom.Name || u.Domain == dom.Unicode) {
			rows++
			last = d.fileOf(u.Pos)
		}
	}
	if rows*2 <= len(dom.Users) {
		return ""
	}
	return last
}

// fileOf is the name of a position's file below the site's folder.
func (d *Draft) fileOf(pos schema.Pos) string {
	for _, name := range d.Before.Source.Files {
		if pos.File == name || strings.HasSuffix(pos.File, "/"+name) {
			return name
		}
	}
	return pos.File
}

func (d *Draft) setRow(name, address string, fields []edit.Field) error {
	content, err := d.read(name)
	if err != nil {
		return err
	}
	if content, err = edit.SetRow(name, content, address, fields); err != nil {
		return err
	}
	d.edited[name] = content
	return nil
}

// written says whether a path stands in a CUE file as the author wrote it.
func (d *Draft) written(path string) bool {
	for _, name := range d.cueFiles() {
		content, err := d.read(name)
		if err != nil {
			continue
		}
		if _, err := edit.Remove(name, content, path); err == nil {
			return true
		}
	}
	return false
}
