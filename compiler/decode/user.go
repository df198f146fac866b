package decode

import (
	"fmt"
	"strings"

	"github.com/mailplan/mailplan/compiler/model"
	"github.com/mailplan/mailplan/schema"
)

// readUsers gives each user to its domain. Users from data files may name a domain that nobody declared,
// or be declared elsewhere too.
func (d *decoder) readUsers() {
	d.reserve()
	seen := make(map[[2]string]*schema.User, len(d.src.Users))
	for i := range d.src.Users {
		u := &d.src.Users[i]
		domain := d.domainOf(u.Domain)
		if domain == nil {
			d.undeclared(u)
			continue
		}
		key := [2]string{u.Localpart, domain.Name}
		if other := seen[key]; other != nil {
			d.twice(u, other, domain)
			continue
		}
		seen[key] = u
		domain.Users = append(domain.Users, d.user(u, domain))
	}
	d.tellForeign()
}

// reserve makes room for each domain's users.
func (d *decoder) reserve() {
	count := map[string]int{}
	for i := range d.src.Users {
		count[d.src.Users[i].Domain]++
	}
	for written, n := range count {
		if domain := d.domainOf(written); domain != nil {
			domain.Users = make([]model.User, 0, n)
		}
	}
}

// domainOf finds a declared domain by any spelling; nil where there is none.
func (d *decoder) domainOf(written string) *model.Domain {
	at, ok := d.domains[written]
	if !ok {
		name, err := ascii(written)
		if err != nil {
			return nil
		}
		if at, ok = d.byName[name]; !ok {
			return nil
		}
		d.domains[written] = at
	}
	return &d.site.Domains[at]
}

func (d *decoder) user(u *schema.User, domain *model.Domain) model.User {
	user := model.User{
		Localpart: u.Localpart, Domain: domain.Name, Name: u.Text("name"),
		Password: model.Password{Secret: u.Secret("password")}, QuotaMB: domain.QuotaMB,
		State: model.State(u.Text("state")), Since: u.Text("since"), Role: u.Text("role"), SendAs: u.Texts("sendAs"),
	}
	if quota, ok := u.Int("quotaMB"); ok {
		user.QuotaMB = int(quota)
	}
	for i, a := range user.SendAs {
		user.SendAs[i] = strings.ToLower(d.address(user.Path(*domain)+".sendAs", a))
	}
	return user
}

// undeclared notes a user of a domain that only data files name. A domain of CUE that is not here has its
// own problem already.
func (d *decoder) undeclared(u *schema.User) {
	if !u.FromFile() {
		return
	}
	f := d.foreign[u.Domain]
	if f == nil {
		f = &foreign{first: u}
		d.foreign[u.Domain] = f
	}
	f.users++
}

// foreign are the users of a domain that is not declared.
type foreign struct {
	first *schema.User
	users int
}

func (d *decoder) tellForeign() {
	for domain, f := range d.foreign {
		message := fmt.Sprintf("%s@%s: the domain %s is not declared", f.first.Localpart, domain, domain)
		if f.users > 1 {
			message += fmt.Sprintf(" (%d rows)", f.users)
		}
		d.problems = append(d.problems, schema.Problem{Pos: f.first.Pos, Message: message,
			Hint: fmt.Sprintf("declare it in CUE: domains: %q: {}", domain)})
	}
}

func (d *decoder) twice(u, other *schema.User, domain *model.Domain) {
	if !u.FromFile() {
		u, other = other, u
	}
	d.problems = append(d.problems, schema.Problem{Pos: u.Pos, Path: model.Path("domains", domain.Unicode, "users", u.Localpart),
		Message: "is declared twice", Hint: "the other stands at " + other.Pos.String() + "; keep one"})
}
