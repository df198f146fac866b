package schema

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"cuelang.org/go/cue"
)

// Source is a loaded site. Pos builds its index as it goes, so one goroutine at a time may ask.
type Source struct {
	Dir   string    // as given to Load
	Files []string  // names of the files that make up the site, below Dir
	Value cue.Value // the site with all defaults; users are in Users, not always here
	JSON  []byte    // Value, exported
	Users []User    // in the order of their files

	shown   string // the folder in positions
	root    *spot
	lifted  liftedDecls
	rows    map[string]*User
	secrets []string
	written map[string]bool // files, as positions name them
}

// wrote says whether a file of a position is the author's.
func (s *Source) wrote(file string) bool { return s.written[file] }

// SecretNames are the names of the values in the site's secrets file, nested keys joined by a slash; ok is
// false where the site has no such file yet. SOPS leaves names readable, so nothing is decrypted.
func (s *Source) SecretNames() (names []string, ok bool) { return s.secrets, s.secrets != nil }

// User is one declared user, from CUE or a data file, with the schema's defaults filled in.
type User struct {
	Domain    string // as the author wrote it
	Localpart string
	Pos       Pos
	fromFile  bool
	layout    *userLayout
	values    []any // by layout: nil, string, int64, []string or SecretRef
}

// SecretRef is the name of a secret as the value of a field.
type SecretRef string

// userLayout are the fields of #User, in the schema's order.
type userLayout struct {
	shape  *shape
	index  map[string]int
	preset []any
}

func newUserLayout(s *shapes) (*userLayout, error) {
	l := &userLayout{shape: s.of("#User"), index: map[string]int{}}
	a := l.shape.only(kindStruct)
	if a == nil || a.fields == nil {
		return nil, fmt.Errorf("embedded schema: #User is no struct")
	}
	for i, name := range a.fields.order {
		l.index[name] = i
		f := a.fields.fields[name].shape
		switch {
		case f.preset != nil:
			l.preset = append(l.preset, f.preset.userValue())
		case f.kinds() == kindList && a.fields.fields[name].need == regular:
			l.preset = append(l.preset, []string{})
		default:
			l.preset = append(l.preset, nil)
		}
	}
	return l, nil
}

// columns are the fields that a user may have.
func (l *userLayout) columns() *structShape { return l.shape.only(kindStruct).fields }

// user makes a user of valid data.
func (l *userLayout) user(domain, localpart string, pos Pos, n *node) User {
	u := User{Domain: domain, Localpart: localpart, Pos: pos, layout: l, values: make([]any, len(l.preset))}
	copy(u.values, l.preset)
	for i := range n.fields {
		if at, ok := l.index[n.fields[i].name]; ok {
			u.values[at] = n.fields[i].value.userValue()
		}
	}
	return u
}

// userValue is the data as a user keeps it.
func (n *node) userValue() any {
	switch n.kind {
	case kindString:
		return n.text
	case kindInt:
		return n.whole
	case kindStruct:
		if secret := n.lookup("secret"); secret != nil {
			return SecretRef(secret.text)
		}
	case kindList:
		list := make([]string, len(n.list))
		for i := range n.list {
			list[i] = n.list[i].text
		}
		return list
	}
	return nil
}

// FromFile says that the user comes from a data file.
func (u *User) FromFile() bool { return u.fromFile }

func (u *User) value(field string) any {
	if i, ok := u.layout.index[field]; ok {
		return u.values[i]
	}
	return nil
}

// Text is the string in a field, empty where the author left it out.
func (u *User) Text(field string) string {
	s, _ := u.value(field).(string)
	return s
}

// Int is the number in a field; ok is false where the author left it out.
func (u *User) Int(field string) (n int64, ok bool) {
	n, ok = u.value(field).(int64)
	return n, ok
}

// Texts is the list in a field; it is the user's own.
func (u *User) Texts(field string) []string {
	list, _ := u.value(field).([]string)
	return list
}

// Secret is the name in a field that refers to a secret, empty where it does not.
func (u *User) Secret(field string) string {
	ref, _ := u.value(field).(SecretRef)
	return string(ref)
}

var secretsFile = cue.ParsePath("secrets.file")

// export writes Value as JSON and takes the users that are in it.
func (s *Source) export(l *userLayout) error {
	var err error
	if s.JSON, err = s.Value.MarshalJSON(); err != nil {
		return fmt.Errorf("export site: %w", err)
	}
	var site struct {
		Domains map[string]struct{ Users json.RawMessage }
	}
	if err := json.Unmarshal(s.JSON, &site); err != nil {
		return fmt.Errorf("read exported site: %w", err)
	}
	for _, domain := range slices.Sorted(maps.Keys(site.Domains)) {
		users, err := newJSONRows("", site.Domains[domain].Users).value(0)
		if err != nil {
			return fmt.Errorf("read exported users of %s: %w", domain, err)
		}
		for i := range users.fields {
			u := &users.fields[i]
			pos := s.find([]string{"domains", domain, "users", u.name}, false)
			s.Users = append(s.Users, l.user(domain, u.name, pos, &u.value))
		}
	}
	return nil
}
