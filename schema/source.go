package schema

import (
	"fmt"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
)

// Source is a loaded site.
type Source struct {
	Dir   string    // as given to Load
	Files []string  // names of the files that make up the site, below Dir
	Value cue.Value // unified with #Site; Users holds the users, also those that are not in Value
	Users []User    // sorted by domain and localpart

	raw    cue.Value
	schema cue.Value
	asts   []*ast.File
}

// User is one declared user, from CUE or a data file, with the schema's defaults filled in.
type User struct {
	Domain    string // as the user wrote it
	Localpart string
	Pos       Pos
	values    map[string]any
}

// Text is the string in a field, empty where the user left it out.
func (u User) Text(field string) string {
	s, _ := u.values[field].(string)
	return s
}

// Int is the number in a field; ok is false where the user left it out.
func (u User) Int(field string) (n int64, ok bool) {
	n, ok = u.values[field].(int64)
	return n, ok
}

// Texts is the list in a field.
func (u User) Texts(field string) []string {
	list, _ := u.values[field].([]string)
	return list
}

// Secret is the name in a field that refers to a secret, empty where it does not.
func (u User) Secret(field string) string {
	ref, _ := u.values[field].(SecretRef)
	return string(ref)
}

// SecretRef is the name of a secret as the value of a field.
type SecretRef string

func (s *Source) collectUsers() error {
	domains, err := s.Value.LookupPath(cue.ParsePath("domains")).Fields()
	if err != nil {
		return fmt.Errorf("read domains: %w", err)
	}
	for domains.Next() {
		users, err := domains.Value().LookupPath(cue.ParsePath("users")).Fields()
		if err != nil {
			return fmt.Errorf("read users of %s: %w", domains.Selector(), err)
		}
		for users.Next() {
			u := User{Domain: domains.Selector().Unquoted(), Localpart: users.Selector().Unquoted(), values: map[string]any{}}
			if err := u.fill(users.Value()); err != nil {
				return fmt.Errorf("read user %s@%s: %w", u.Localpart, u.Domain, err)
			}
			s.Users = append(s.Users, u)
		}
	}
	return nil
}

func (u *User) fill(v cue.Value) error {
	fields, err := v.Fields()
	if err != nil {
		return err
	}
	for fields.Next() {
		x, err := plain(fields.Value())
		if err != nil {
			return err
		}
		u.values[fields.Selector().Unquoted()] = x
	}
	return nil
}

// plain is a user's field as string, int64, []string or SecretRef.
func plain(v cue.Value) (any, error) {
	v, _ = v.Default()
	switch v.Kind() {
	case cue.StringKind:
		return v.String()
	case cue.IntKind:
		return v.Int64()
	case cue.ListKind:
		list := []string{}
		err := v.Decode(&list)
		return list, err
	case cue.StructKind:
		s, err := v.LookupPath(cue.ParsePath("secret")).String()
		return SecretRef(s), err
	}
	return nil, fmt.Errorf("%v is no value of a user", v)
}
