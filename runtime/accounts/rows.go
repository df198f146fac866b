// Package accounts is the protocol of the account database: rows as they are, changes as they shall be, in JSON between
// `mailplan apply` and `mailpland accounts` on the host. It knows no database (accounts/mariadb does) and holds no
// password: of one set by Git it has a fingerprint, of one set by its owner nothing.
package accounts

import (
	"fmt"
	"slices"
	"strings"
)

// Rows are all accounts. Aliases hold catch-alls too, under the source @domain.
type Rows struct {
	Domains []Domain `json:"domains"`
	Users   []User   `json:"users"`
	Aliases []Alias  `json:"aliases"`
}

// Domain is one row of domains.
type Domain struct {
	Name       string `json:"name"`
	State      string `json:"state"` // active, retired
	Subaddress bool   `json:"subaddress"`
}

// User is one row of users with its further sender addresses.
type User struct {
	Address string   `json:"address"`
	Name    string   `json:"name,omitempty"`
	QuotaMB int      `json:"quotaMB"` // mebibytes, 0 without bound
	State   string   `json:"state"`   // active, disabled, retired, purged
	Since   string   `json:"since,omitempty"`
	Role    string   `json:"role"`
	SendAs  []string `json:"sendAs,omitempty"`
	// Password is the fingerprint of the password that Git sets, "changed" when somebody else has changed such a
	// one since, and empty when the owner sets it.
	Password string `json:"password,omitempty"`
}

// PasswordChanged is in User.Password when the hash is not the one that Git set.
const PasswordChanged = "changed"

// Alias is one row of aliases.
type Alias struct {
	Source      string `json:"source"`
	Destination string `json:"destination"`
}

// Change is one row that comes, changes or goes; exactly one kind is set in Old and New, which are nil when there is
// no such state. A user that goes is retired: the row and the mailbox stay.
type Change struct {
	Old *Row `json:"old,omitempty"`
	New *Row `json:"new,omitempty"`
	// Hash is the new password's, in Dovecot's form, when Git sets it anew.
	Hash string `json:"hash,omitempty"`
}

// Row is one of the three.
type Row struct {
	Domain *Domain `json:"domain,omitempty"`
	User   *User   `json:"user,omitempty"`
	Alias  *Alias  `json:"alias,omitempty"`
}

// Key names a row for people.
func (r Row) Key() string {
	switch {
	case r.Domain != nil:
		return "domain " + r.Domain.Name
	case r.User != nil:
		return "user " + r.User.Address
	case r.Alias != nil:
		return "alias " + r.Alias.Source + " -> " + r.Alias.Destination
	}
	return "nothing"
}

// Key names the changed row.
func (c Change) Key() string {
	if c.New != nil {
		return c.New.Key()
	}
	if c.Old != nil {
		return c.Old.Key()
	}
	return "nothing"
}

// Check refuses changes that no database should see.
func (c Change) Check() error {
	rows := 0
	for _, r := range []*Row{c.Old, c.New} {
		if r == nil {
			continue
		}
		rows++
		if n := r.kinds(); n != 1 {
			return fmt.Errorf("change of %s: %d rows in one", r.Key(), n)
		}
	}
	if rows == 0 || c.Old != nil && c.New != nil && c.Old.Key() != c.New.Key() {
		return fmt.Errorf("change of %s: it has no one row", c.Key())
	}
	if c.New != nil && c.New.User != nil {
		return c.New.User.check()
	}
	return nil
}

func (r Row) kinds() int {
	n := 0
	for _, set := range []bool{r.Domain != nil, r.User != nil, r.Alias != nil} {
		if set {
			n++
		}
	}
	return n
}

func (u User) check() error {
	if i := strings.LastIndexByte(u.Address, '@'); i < 1 || len(u.Address) > 254 {
		return fmt.Errorf("user %q: no address", u.Address)
	}
	if !slices.Contains([]string{"active", "disabled", "retired", "purged"}, u.State) {
		return fmt.Errorf("user %s: unknown state %q", u.Address, u.State)
	}
	return nil
}

// Sort puts rows into the order in which they are compared and shown.
func (r *Rows) Sort() {
	slices.SortFunc(r.Domains, func(a, b Domain) int { return strings.Compare(a.Name, b.Name) })
	slices.SortFunc(r.Users, func(a, b User) int { return strings.Compare(a.Address, b.Address) })
	slices.SortFunc(r.Aliases, func(a, b Alias) int {
		return strings.Compare(a.Source+"\x00"+a.Destination, b.Source+"\x00"+b.Destination)
	})
}
