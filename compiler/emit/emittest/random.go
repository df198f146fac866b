package emittest

import (
	"math/rand/v2"

	"github.com/mailplan/mailplan/compiler/model"
)

var (
	localparts = []string{"a", "b", "c", "d", "e"}
	domains    = []string{"one.example", "two.example", "three.example"}
)

func pick(r *rand.Rand, from []string) string { return from[r.IntN(len(from))] }

// RandomSite is a small site of users in every state, aliases, catch-alls and targets outside, for holding those who
// answer where mail goes together. Loops, dead ends and retired domains are among them.
func RandomSite(r *rand.Rand) *model.Site {
	s := &model.Site{Name: "random"}
	for _, name := range domains[:1+r.IntN(3)] {
		d := model.Domain{Name: name, Unicode: name, Zone: name, State: model.Active, Subaddress: r.IntN(2) == 0}
		if r.IntN(6) == 0 {
			d.State = model.Retired
		}
		if r.IntN(3) == 0 {
			d.CatchAll = randomTarget(r)
		}
		for _, l := range localparts {
			randomEntry(r, &d, l)
		}
		s.Domains = append(s.Domains, d)
	}
	return s
}

// randomEntry declares a localpart as a user, an alias, both or neither.
func randomEntry(r *rand.Rand, d *model.Domain, localpart string) {
	states := []model.State{model.Active, model.Active, model.Disabled, model.Retired, model.Purged}
	kind := r.IntN(9)
	if kind < 3 {
		d.Users = append(d.Users, model.User{Localpart: localpart, Domain: d.Name, State: states[r.IntN(len(states))]})
	}
	if kind >= 2 && kind < 5 {
		targets := []string{randomTarget(r), randomTarget(r)}[:1+r.IntN(2)]
		d.Aliases = append(d.Aliases, model.Alias{Localpart: localpart, Domain: d.Name, Targets: targets})
	}
}

func randomTarget(r *rand.Rand) string {
	switch r.IntN(8) {
	case 0:
		return "x@outside.example"
	case 1:
		return pick(r, localparts) + "+detail@" + pick(r, domains)
	}
	return pick(r, localparts) + "@" + pick(r, domains)
}

// RandomAddress is one that a sender might use at a [RandomSite], right or wrong.
func RandomAddress(r *rand.Rand) string {
	localpart := pick(r, localparts)
	if r.IntN(5) == 0 {
		localpart = pick(r, []string{"zz", "", "A", "a.b", `"q u"`, "SRS0=AAAAAAAA=BB=x.example=s", "srs1=c=d.example==e", "SRS0=", "srs0"})
	}
	if r.IntN(3) == 0 {
		localpart += pick(r, []string{"+", "+x", "+x+y", "+A"})
	}
	switch r.IntN(20) {
	case 0:
		return localpart
	case 1:
		return localpart + "@" + pick(r, []string{"none.example", "ONE.example", "", "a@one.example"})
	}
	return localpart + "@" + pick(r, domains)
}
