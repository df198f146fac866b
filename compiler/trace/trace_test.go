package trace_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mailplan/mailplan/compiler/model"
	"github.com/mailplan/mailplan/compiler/trace"
)

// naive answers the same question by brute force and shares no code with the model: it rewrites a set of
// addresses, one rule at a time, until nothing changes.
type naive struct {
	boxes   map[string]bool     // addresses with a mailbox that takes mail
	gone    map[string]bool     // retired and purged users
	aliases map[string][]string // address -> targets
	catch   map[string]string   // domain -> target
	plus    map[string]bool     // domains with subaddresses
	ours    map[string]string   // domain -> state
}

func newNaive(s *model.Site) naive {
	n := naive{map[string]bool{}, map[string]bool{}, map[string][]string{}, map[string]string{}, map[string]bool{}, map[string]string{}}
	for _, d := range s.Domains {
		n.ours[d.Name], n.plus[d.Name], n.catch[d.Name] = string(d.State), d.Subaddress, d.CatchAll
		for _, u := range d.Users {
			at := u.Localpart + "@" + d.Name
			if u.State == "active" || u.State == "disabled" {
				n.boxes[at] = true
			} else {
				n.gone[at] = true
			}
		}
		for _, a := range d.Aliases {
			n.aliases[a.Localpart+"@"+d.Name] = a.Targets
		}
	}
	return n
}

func (n naive) answer(address string) (boxes, outside []string) {
	if _, ours := n.ours[domain(address)]; !ours {
		return nil, nil
	}
	reached := map[string]bool{address: true}
	for grew := true; grew; {
		grew = false
		for a := range reached {
			for _, next := range n.rewrite(a) {
				if !reached[next] {
					reached[next], grew = true, true
				}
			}
		}
	}
	for a := range reached {
		state, ours := n.ours[domain(a)]
		switch {
		case !ours:
			outside = append(outside, a)
		case n.boxes[a] && state == "active":
			boxes = append(boxes, a)
		}
	}
	slices.Sort(boxes)
	slices.Sort(outside)
	return boxes, outside
}

func (n naive) rewrite(a string) []string {
	d := domain(a)
	local := strings.TrimSuffix(a, "@"+d)
	switch state, ours := n.ours[d]; {
	case !ours || state != "active" || n.boxes[a] || n.gone[a]:
		return nil
	case n.aliases[a] != nil:
		return n.aliases[a]
	}
	base, _, tagged := strings.Cut(local, "+")
	if at := base + "@" + d; tagged && n.plus[d] && (n.boxes[at] || n.gone[at] || n.aliases[at] != nil) {
		return []string{at}
	}
	if n.catch[d] != "" {
		return []string{n.catch[d]}
	}
	return nil
}

func domain(address string) string { return address[strings.LastIndex(address, "@")+1:] }

// TestAgreesWithNaiveResolver compares the two on thousands of generated sites.
func TestAgreesWithNaiveResolver(t *testing.T) {
	sites, questions := 4000, 0
	for seed := range uint64(sites) {
		r := rand.New(rand.NewPCG(seed, 1))
		s := generate(r)
		n := newNaive(s)
		for _, address := range ask(r, s) {
			questions++
			boxes, outside := n.answer(address)
			got := trace.Address(s, address)
			if d := cmp.Diff([][]string{norm(boxes), norm(outside)}, [][]string{norm(got.Mailboxes), norm(got.Outside)}); d != "" {
				t.Fatalf("seed %d, %s: %s\n%+v", seed, address, d, s.Domains)
			}
			if refused := got.Refused != ""; refused != (len(boxes)+len(outside) == 0) {
				t.Fatalf("seed %d, %s: refused %q with %v %v", seed, address, got.Refused, boxes, outside)
			}
		}
	}
	t.Logf("%d sites, %d questions", sites, questions)
}

func norm(list []string) []string {
	if len(list) == 0 {
		return nil
	}
	return list
}

var names = []string{"a", "b", "c", "d", "e", "f"}

func generate(r *rand.Rand) *model.Site {
	s := &model.Site{}
	for i := range 1 + r.IntN(3) {
		d := model.Domain{Name: fmt.Sprintf("d%d.example", i), Subaddress: r.IntN(3) > 0, State: pick[model.State](r, "active", "active", "active", "retired")}
		d.Unicode, d.Zone = d.Name, d.Name
		used := map[string]bool{}
		for range r.IntN(5) {
			name := pick(r, names...)
			if used[name] {
				continue
			}
			used[name] = true
			if r.IntN(2) == 0 {
				d.Users = append(d.Users, model.User{Localpart: name, Domain: d.Name, State: pick[model.State](r, "active", "active", "disabled", "retired", "purged")})
				continue
			}
			a := model.Alias{Localpart: name, Domain: d.Name}
			for range 1 + r.IntN(3) {
				a.Targets = append(a.Targets, target(r))
			}
			d.Aliases = append(d.Aliases, a)
		}
		if r.IntN(3) == 0 {
			d.CatchAll = target(r)
		}
		s.Domains = append(s.Domains, d)
	}
	return s
}

func target(r *rand.Rand) string {
	if r.IntN(5) == 0 {
		return pick(r, names...) + "@outside.example"
	}
	tag := ""
	if r.IntN(6) == 0 {
		tag = "+x"
	}
	return pick(r, names...) + tag + "@" + fmt.Sprintf("d%d.example", r.IntN(3))
}

func ask(r *rand.Rand, s *model.Site) []string {
	var list []string
	for _, d := range s.Domains {
		for _, n := range names {
			list = append(list, n+"@"+d.Name, n+"+tag@"+d.Name)
		}
	}
	return append(list, target(r), "x@nowhere.example")
}

func pick[T any](r *rand.Rand, from ...T) T { return from[r.IntN(len(from))] }
