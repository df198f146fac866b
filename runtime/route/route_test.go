package route

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mailplan/mailplan/runtime/config"
)

func table(t testing.TB) *Table {
	t.Helper()
	tab, err := New(&config.Table{Domains: map[string]config.TableDomain{
		"example.com": {
			Users: []string{"alice", "bob", "carol+work"},
			Aliases: map[string][]string{
				"sales": {"alice", "bob", "crm@partner.example"}, "all": {"sales", "alice", "carol+work"},
				"a": {"b"}, "b": {"a"}, "bob": {"bob", "alice"}, "dead": {"nobody", "alice"}, "gone": {"nobody"},
				"far": {"x@catch.example"},
			},
			Subaddress: "+",
		},
		"catch.example":  {Users: []string{"real"}, CatchAll: []string{"alice@example.com"}, Subaddress: "-"},
		"plain.example":  {Users: []string{"a+b"}},
		"circle.example": {CatchAll: []string{"any"}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return tab
}

func TestResolve(t *testing.T) {
	tab := table(t)
	for address, want := range map[string]string{
		"alice@example.com":       "alice@example.com",
		"ALICE@Example.COM":       "alice@example.com",
		"alice+news@example.com":  "alice+news@example.com -> alice@example.com",
		"carol+work@example.com":  "carol+work@example.com",
		"sales@example.com":       "alice@example.com, bob@example.com, crm@partner.example outside",
		"sales+x@example.com":     "alice@example.com, bob@example.com, crm@partner.example outside",
		"all@example.com":         "alice@example.com, bob@example.com, crm@partner.example outside, carol+work@example.com",
		"bob@example.com":         "bob@example.com, alice@example.com",
		"dead@example.com":        "alice@example.com",
		"far@example.com":         "alice@example.com",
		"any@catch.example":       "alice@example.com",
		"real-x@catch.example":    "real-x@catch.example -> real@catch.example",
		"a+b@plain.example":       "a+b@plain.example",
		"nobody@example.com":      ErrUnknownRecipient.Error(),
		"+x@example.com":          ErrUnknownRecipient.Error(),
		"gone@example.com":        ErrUnknownRecipient.Error(),
		"a@example.com":           ErrLoop.Error(),
		"x@circle.example":        ErrLoop.Error(),
		"a@plain.example":         ErrUnknownRecipient.Error(),
		"alice@sub.example.com":   ErrUnknownDomain.Error(),
		"alice@elsewhere.example": ErrUnknownDomain.Error(),
	} {
		a, err := ParseAddress(address)
		if err != nil {
			t.Fatal(err)
		}
		targets, err := tab.Resolve(a)
		if got := describe(targets, err); got != want {
			t.Errorf("%s: %s, want %s", address, got, want)
		}
	}
}

// TestTooManyTargets leads to one more than can be delivered: none must be left out in silence.
func TestTooManyTargets(t *testing.T) {
	var users []string
	for i := range MaxTargets + 1 {
		users = append(users, fmt.Sprintf("u%d", i))
	}
	tab, err := New(&config.Table{Domains: map[string]config.TableDomain{"example.com": {Users: users,
		Aliases: map[string][]string{"all": users, "most": users[1:]}}}})
	if err != nil {
		t.Fatal(err)
	}
	for localpart, want := range map[string]error{"all": ErrTooMany, "most": nil} {
		targets, err := tab.Resolve(Address{Localpart: localpart, Domain: "example.com"})
		if !errors.Is(err, want) || err == nil && len(targets) != MaxTargets {
			t.Errorf("%s: %d targets, %v", localpart, len(targets), err)
		}
	}
}

func describe(targets []Target, err error) string {
	if err != nil {
		return err.Error()
	}
	var all []string
	for _, t := range targets {
		s := t.Address
		if t.Mailbox != t.Address {
			s += " -> " + t.Mailbox
		}
		if t.Outside {
			s += " outside"
		}
		all = append(all, s)
	}
	return strings.Join(all, ", ")
}

func TestWrongTablesNameEveryProblem(t *testing.T) {
	_, err := New(&config.Table{Domains: map[string]config.TableDomain{
		"UPPER.example": {}, "example.com": {Users: []string{"Alice", "a b"}, Aliases: map[string][]string{"x": {"y z"}}, CatchAll: []string{"@"}},
	}})
	for _, part := range []string{"UPPER.example", `"Alice"`, `"a b"`, `alias x "y z"`, `catch-all target "@"`} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%s is not named: %v", part, err)
		}
	}
}

func TestParseAddress(t *testing.T) {
	for in, want := range map[string]error{
		"a@b.example": nil, "a..b.@b.example": nil, `"a b@c"@d.example`: nil, "a@[192.0.2.1]": nil, "a=b/c{d}@x": nil,
		strings.Repeat("a", 200) + "@b.example": nil,
		"":                                      ErrAddress, "a": ErrAddress, "@b": ErrAddress, "a@": ErrAddress, "a b@c": ErrAddress, "a@b c": ErrAddress, "a@b>": ErrAddress,
		"a<b@c": ErrAddress, "a@-.": ErrAddress, "a@b..c": ErrAddress, "a\r\n@b": ErrAddress, "a@b\x00": ErrAddress, `"a"b"@c`: ErrAddress,
		`"a\"@c`: ErrAddress, strings.Repeat("a", 250) + "@b.example": ErrAddress, "ü@b": ErrNonASCII,
	} {
		if _, err := ParseAddress(in); !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", in, err, want)
		}
	}
}

func FuzzParseAddress(f *testing.F) {
	f.Add("a@b.example")
	f.Add(`"a b\""@[::1]`)
	f.Fuzz(func(t *testing.T, s string) {
		a, err := ParseAddress(s)
		if err != nil {
			return
		}
		if text := a.String(); strings.ContainsAny(text, "\r\n\x00") || strings.ContainsAny(a.Domain, " <>@\"") {
			t.Errorf("%q gave %q", s, text)
		}
		if again, err := ParseAddress(a.String()); err != nil || again != a {
			t.Errorf("%q: %v, %v", a, again, err)
		}
	})
}

// FuzzResolve builds tables out of noise: resolving must end, and never give a mailbox that is none.
func FuzzResolve(f *testing.F) {
	f.Add([]byte(`{"domains":{"x.example":{"users":["a"],"aliases":{"b":["c"],"c":["b","a"]},"catchAll":["b"],"subaddress":"+"}}}`), "b@x.example")
	f.Fuzz(func(t *testing.T, data []byte, address string) {
		from, err := config.ParseTable(data)
		if err != nil {
			return
		}
		tab, err := New(from)
		if err != nil {
			return
		}
		a, err := ParseAddress(address)
		if err != nil {
			return
		}
		targets, err := tab.Resolve(a)
		if err != nil {
			return
		}
		for _, target := range targets {
			_, domain, _ := strings.Cut(target.Mailbox, "@")
			if tab.HasDomain(domain) == target.Outside {
				t.Errorf("%+v", target)
			}
		}
	})
}

// TestLargeTable holds that a site of a hundred thousand addresses is looked up at once.
func TestLargeTable(t *testing.T) {
	d := config.TableDomain{Aliases: map[string][]string{}}
	for i := range 50_000 {
		d.Users = append(d.Users, fmt.Sprintf("u%05d", i))
		d.Aliases[fmt.Sprintf("a%05d", i)] = []string{fmt.Sprintf("a%05d", i+1)}
	}
	d.Aliases["a50000"] = []string{"u00000"}
	tab, err := New(&config.Table{Domains: map[string]config.TableDomain{"x.example": d}})
	if err != nil {
		t.Fatal(err)
	}
	targets, err := tab.Resolve(Address{"a00000", "x.example"})
	if diff := cmp.Diff([]Target{{Address: "u00000@x.example", Mailbox: "u00000@x.example"}}, targets); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
}
