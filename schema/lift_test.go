package schema

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

const base = `package site
name: "home"
relay: password: secret: "SENDGRID_API_KEY"
edge: accountID: "0123456789abcdef0123456789abcdef"
`

// TestLift compares users that are lifted past the evaluator with what it says of them itself, in sites
// where something else speaks of them too, and holds how many may be lifted.
func TestLift(t *testing.T) {
	for _, test := range []struct {
		name, site string
		lifted     int
	}{
		{"plain", `domains: "a.example": users: {alice: {}, bob: quotaMB: 5, "carol": {password: secret: "users/carol", sendAs: ["x@a.example"]}}`, 3},
		{"several structs", `domains: "a.example": users: alice: {}
			domains: "a.example": {users: bob: {}, quotaMB: 5}
			domains: "b.example": users: alice: {}`, 3},
		{"one user in two places", `domains: "a.example": users: alice: quotaMB: 5
			domains: "a.example": users: alice: state: "disabled"
			domains: "a.example": users: bob: {}`, 1},
		{"pattern over users", `domains: "a.example": users: [string]: quotaMB: 7
			domains: "a.example": users: alice: {}
			domains: "b.example": users: alice: {}`, 1},
		{"pattern over domains", `domains: [string]: users: [=~"^a"]: quotaMB: 7
			domains: "a.example": users: {alice: {}, bob: {}}`, 0},
		{"comprehension beside", `domains: "a.example": users: {alice: {}, for i in [1, 2] {"user\(i)": quotaMB: i}}`, 0},
		{"comprehension over users", `domains: "a.example": users: {alice: quotaMB: 5}
			domains: "b.example": users: {for name, u in domains."a.example".users {"\(name)-b": quotaMB: u.quotaMB}}`, 0},
		{"reference to a user", `domains: "a.example": users: {alice: quotaMB: 5, bob: quotaMB: alice.quotaMB, carol: {}}`, 1},
		{"reference to the users", `domains: "a.example": {users: {alice: {}, bob: {}}, aliases: all: [for name, _ in users {name}]}`, 0},
		{"let", `let people = {alice: {}, bob: {}}
			domains: "a.example": users: people
			domains: "b.example": users: alice: {}`, 1},
		{"default of the author", `#Staff: {quotaMB: 9, ...}
			domains: "a.example": users: {alice: #Staff, bob: #Staff & {state: "disabled"}, carol: {}}`, 1},
		{"embedding in users", `_more: {alice: quotaMB: 3}
			domains: "a.example": users: {_more, alice: {}, bob: {}}`, 0},
		{"embedding at the top", `{domains: "a.example": users: alice: quotaMB: 3}
			domains: "a.example": users: {alice: {}, bob: {}}`, 0},
		{"alias of a label", `D=domains: "a.example": users: {alice: quotaMB: 4, bob: quotaMB: D."a.example".users.alice.quotaMB}`, 0},
		{"alias of a value", `domains: "a.example": users: X={alice: quotaMB: 4, bob: quotaMB: X.alice.quotaMB}`, 0},
		{"optional and hidden", `domains: "a.example": users: {alice: {}, bob?: {quotaMB: 3}, _carol: {}}`, 0},
		{"attribute", `domains: "a.example": users: {alice: {} @tag(x), bob: {}}`, 0},
		{"computed values", `domains: "a.example": users: {alice: quotaMB: 2*1024, bob: quotaMB: 1Ki, carol: name: "C\("arol")"}`, 0},
		{"dynamic label", `domains: "a.example": users: {("al" + "ice"): quotaMB: 4, bob: {}}`, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			lifted, count := loadUsers(t, test.site, true)
			plain, _ := loadUsers(t, test.site, false)
			if diff := cmp.Diff(plain, lifted); diff != "" {
				t.Errorf("lifting changes users (-evaluated +lifted):\n%s", diff)
			}
			if count != test.lifted {
				t.Errorf("%d users are lifted, want %d", count, test.lifted)
			}
		})
	}
}

// loadUsers are the users of a site in words, with lifting or, by a reference that could mean all of them,
// without.
func loadUsers(t *testing.T, site string, lift bool) (users []string, lifted int) {
	t.Helper()
	if !lift {
		site += "\n_all: domains\n"
	}
	src, err := LoadFS(fstest.MapFS{"site.cue": {Data: []byte(base + site)}}, "site")
	if err != nil {
		t.Fatal(err)
	}
	for _, decls := range src.lifted {
		lifted += len(decls)
	}
	for _, u := range src.Users {
		users = append(users, fmt.Sprintf("%s@%s %#v line %d", u.Localpart, u.Domain, u.values, u.Pos.Line))
	}
	slices.Sort(users)
	return users, lifted
}

// TestShapesSayEverything fails when the schema says something that shapes can't, so that users would no
// longer be proved valid without the evaluator.
func TestShapesSayEverything(t *testing.T) {
	s := newShapes(definitions())
	for _, name := range []string{"#User", "#Localpart", "#DomainName", "#Site"} {
		if s.of(name).inexact {
			t.Errorf("%s has something that shapes can't say", name)
		}
	}
	layout, err := newUserLayout(s)
	if err != nil {
		t.Fatal(err)
	}
	n := node{kind: kindStruct}
	u := layout.user("a.example", "alice", Pos{}, &n)
	got := []any{u.Text("state"), u.Text("role"), u.Text("password"), u.Texts("sendAs")}
	if diff := cmp.Diff([]any{"active", "user", "self", []string{}}, got, cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
}

// TestWords wants every pattern of the schema to be put in words.
func TestWords(t *testing.T) {
	s := newShapes(definitions())
	for name := range s.defs {
		s.of(name).wordless(t, name, 0)
	}
}

func (s *shape) wordless(t *testing.T, at string, depth int) {
	if depth > 12 {
		t.Fatalf("%s: the schema nests without end", at)
	}
	for _, a := range s.alts {
		if strings.Contains(a.want(), "match") && a.fields == nil {
			t.Errorf("%s wants %s: put that in words with @want", at, a.want())
		}
		if a.list != nil && a.list.rest != nil {
			a.list.rest.wordless(t, at+"[]", depth+1)
		}
		if a.fields == nil {
			continue
		}
		for name, f := range a.fields.fields {
			f.shape.wordless(t, at+"."+name, depth+1)
		}
		for _, p := range a.fields.patterns {
			p.value.wordless(t, at+".[]", depth+1)
			if len(a.fields.order) == 0 {
				p.label.wordless(t, at+".[label]", depth+1)
			}
		}
	}
}
