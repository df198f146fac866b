package model

import (
	"slices"
	"strings"
)

// Accounts is who receives mail where: the desired rows of the account database and, address by address,
// what a reviewer wants to know of a change. It goes into the tree as one file, so that the tree of a
// revision or of a live host tells it without CUE.
type Accounts struct {
	Domains []AccountDomain `json:"domains"`
	Users   []AccountUser   `json:"users"`
	Aliases []AccountAlias  `json:"aliases"`
}

// AccountDomain is one row of domains; CatchAll is a full address or empty, Signing the DNS name of the key that
// signs for the domain.
type AccountDomain struct {
	Name       string `json:"name"`
	State      State  `json:"state"`
	CatchAll   string `json:"catchAll,omitempty"`
	Subaddress bool   `json:"subaddress"`
	Signing    string `json:"signing,omitempty"`
}

// AccountUser is one row of users. Password is the secret's name, or empty where the owner sets it.
type AccountUser struct {
	Address  string `json:"address"`
	QuotaMB  int    `json:"quotaMB"`
	State    State  `json:"state"`
	Since    string `json:"since,omitempty"`
	Role     string `json:"role,omitempty"` // empty for plain users
	Password string `json:"password,omitempty"`
}

// AccountAlias is one alias with its targets, all full addresses.
type AccountAlias struct {
	Source       string   `json:"source"`
	Destinations []string `json:"destinations"`
}

// Accounts derives the rows, each list sorted by its address.
func (s *Site) Accounts() Accounts {
	var a Accounts
	for _, d := range s.Domains {
		row := AccountDomain{Name: d.Name, State: d.State, CatchAll: d.CatchAll, Subaddress: d.Subaddress}
		if sel, ok := d.Signing(); ok {
			row.Signing = sel.Name + "._domainkey." + d.Name
		}
		a.Domains = append(a.Domains, row)
		for _, u := range d.Users {
			row := AccountUser{Address: u.Address(), QuotaMB: u.QuotaMB, State: u.State, Since: u.Since, Password: u.Password.Secret}
			if u.Role != "user" {
				row.Role = u.Role
			}
			a.Users = append(a.Users, row)
		}
		for _, al := range d.Aliases {
			a.Aliases = append(a.Aliases, AccountAlias{Source: al.Address(), Destinations: slices.Compact(slices.Sorted(slices.Values(al.Targets)))})
		}
	}
	slices.SortFunc(a.Users, func(x, y AccountUser) int { return strings.Compare(x.Address, y.Address) })
	slices.SortFunc(a.Aliases, func(x, y AccountAlias) int { return strings.Compare(x.Source, y.Source) })
	return a
}

// Destinations says of every address that receives mail where it goes, in words: "mailbox", the
// targets of an alias, the catch-all's target under *@domain.
func (a Accounts) Destinations() map[string]string {
	active := make(map[string]bool, len(a.Domains))
	out := make(map[string]string, len(a.Users)+len(a.Aliases))
	for _, d := range a.Domains {
		active[d.Name] = d.State == Active
		if active[d.Name] && d.CatchAll != "" {
			out["*@"+d.Name] = d.CatchAll
		}
	}
	for _, al := range a.Aliases {
		if _, domain, _ := SplitAddress(al.Source); active[domain] {
			out[al.Source] = strings.Join(al.Destinations, ", ")
		}
	}
	for _, u := range a.Users {
		if _, domain, _ := SplitAddress(u.Address); active[domain] && (u.State == Active || u.State == Disabled) {
			out[u.Address] = "mailbox"
		}
	}
	return out
}

// SignIns lists the addresses that may sign in.
func (a Accounts) SignIns() map[string]bool {
	retired := map[string]bool{}
	for _, d := range a.Domains {
		retired[d.Name] = d.State != Active
	}
	out := make(map[string]bool, len(a.Users))
	for _, u := range a.Users {
		if _, domain, _ := SplitAddress(u.Address); !retired[domain] && u.State == Active {
			out[u.Address] = true
		}
	}
	return out
}

// Signing maps each domain that signs to the DNS name of its key.
func (a Accounts) Signing() map[string]string {
	out := map[string]string{}
	for _, d := range a.Domains {
		if d.Signing != "" {
			out[d.Name] = d.Signing
		}
	}
	return out
}
