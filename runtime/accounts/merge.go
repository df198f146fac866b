package accounts

import (
	"fmt"
	"reflect"
)

// Merge carries changes out on rows in memory, all or none: what the database does, for stand-ins and tests.
func Merge(rows Rows, changes []Change) (Rows, error) {
	m := map[string]Row{}
	for i := range rows.Domains {
		m["domain "+rows.Domains[i].Name] = Row{Domain: &rows.Domains[i]}
	}
	for i := range rows.Users {
		m["user "+rows.Users[i].Address] = Row{User: &rows.Users[i]}
	}
	for i := range rows.Aliases {
		r := Row{Alias: &rows.Aliases[i]}
		m[r.Key()] = r
	}
	for _, c := range changes {
		if err := c.Check(); err != nil {
			return rows, err
		}
		if err := c.expect(m); err != nil {
			return rows, err
		}
		c.merge(m)
	}
	return collect(m), nil
}

// expect holds that the row is as it was when the change was planned.
func (c Change) expect(m map[string]Row) error {
	have, there := m[c.Key()]
	switch {
	case c.Old == nil && there:
		return fmt.Errorf("%s is there already: make the plan anew", c.Key())
	case c.Old != nil && !there:
		return fmt.Errorf("%s is gone: make the plan anew", c.Key())
	case c.Old != nil && !reflect.DeepEqual(have, *c.Old):
		return fmt.Errorf("%s has changed: make the plan anew", c.Key())
	}
	return nil
}

func (c Change) merge(m map[string]Row) {
	switch {
	case c.New != nil:
		m[c.Key()] = *c.New
	case c.Old.User != nil:
		retired := *c.Old.User
		retired.State = "retired"
		m[c.Key()] = Row{User: &retired}
	case c.Old.Domain != nil:
		retired := *c.Old.Domain
		retired.State = "retired"
		m[c.Key()] = Row{Domain: &retired}
	default:
		delete(m, c.Key())
	}
}

func collect(m map[string]Row) Rows {
	var rows Rows
	for _, r := range m {
		switch {
		case r.Domain != nil:
			rows.Domains = append(rows.Domains, *r.Domain)
		case r.User != nil:
			rows.Users = append(rows.Users, *r.User)
		case r.Alias != nil:
			rows.Aliases = append(rows.Aliases, *r.Alias)
		}
	}
	rows.Sort()
	return rows
}
