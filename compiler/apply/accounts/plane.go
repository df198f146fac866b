// Package accounts is the plane of the account database: it says which rows a site wants and which live, as objects of a
// plan, and sends changes as one transaction. It reaches the database through the runtime on the host (Store), since
// MariaDB is published nowhere. A user or domain that is no longer declared is retired, never deleted; what was
// retired and is not declared is left alone.
package accounts

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/mailplan/mailplan/compiler/model"
	"github.com/mailplan/mailplan/compiler/plan"
	"github.com/mailplan/mailplan/runtime/accounts"
)

// Kinds of objects.
const (
	KindDomain = "domain"
	KindUser   = "user"
	KindAlias  = "alias"
)

// Store is the runtime on the host.
type Store interface {
	Read(ctx context.Context) (accounts.Rows, error)
	// Apply carries out all changes or none; a row that is not what a change was planned from is an error.
	Apply(ctx context.Context, changes []accounts.Change) error
}

// Keys are those of fingerprints: first that of what is written, then those of what may be there.
func Keys(s *model.Site, secret func(name string) (string, error)) ([][]byte, error) {
	var keys [][]byte
	for _, name := range s.Accepted(model.SecretFingerprints) {
		value, err := secret(name)
		if err != nil {
			return nil, err
		}
		keys = append(keys, []byte(value))
	}
	return keys, nil
}

// Plane is the accounts of one site. Secrets gives passwords that Git sets. The first of Keys makes their fingerprints;
// those of the others are written anew, and the passwords left as they are.
type Plane struct {
	Site    *model.Site
	Store   Store
	Secrets func(name string) (string, error)
	Keys    [][]byte
}

// Name is the plane's.
func (p *Plane) Name() plan.Plane { return plan.Accounts }

// Kinds are the plane's.
func (p *Plane) Kinds() []string { return []string{KindDomain, KindUser, KindAlias} }

// Desired lists the wanted rows.
func (p *Plane) Desired(context.Context) ([]plan.Object, error) {
	var objects []plan.Object
	for _, d := range p.Site.Domains {
		row := accounts.Domain{Name: d.Name, State: string(d.State), Subaddress: d.Subaddress}
		objects = append(objects, p.object(accounts.Row{Domain: &row}, d.Path()))
		for _, u := range d.Users {
			row, err := p.user(u)
			if err != nil {
				return nil, err
			}
			objects = append(objects, p.object(accounts.Row{User: &row}, u.Path(d)))
		}
		objects = append(objects, p.aliases(d)...)
	}
	return objects, nil
}

func (p *Plane) user(u model.User) (accounts.User, error) {
	row := accounts.User{Address: u.Address(), Name: u.Name, QuotaMB: u.QuotaMB, State: string(u.State), Since: u.Since, Role: u.Role, SendAs: u.SendAs}
	if u.Password.Self() || !u.SignsIn() {
		return row, nil
	}
	password, err := p.Secrets(u.Password.Secret)
	if err != nil {
		return row, fmt.Errorf("password of %s: %w", u.Address(), err)
	}
	row.Password = fingerprint(p.Keys[0], password)
	return row, nil
}

// behind says whether a live row has the password that Git sets, by a fingerprint of a key that was.
func (p *Plane) behind(u *accounts.User, secrets map[string]string) bool {
	if u.Password == "" || len(p.Keys) < 2 {
		return false
	}
	password, err := p.password(u.Address, secrets)
	return err == nil && p.outdated(u.Password, password)
}

// outdated says whether a fingerprint is of the password that Git sets, by a key that was.
func (p *Plane) outdated(seen, password string) bool {
	return slices.ContainsFunc(p.Keys[1:], func(key []byte) bool { return fingerprint(key, password) == seen })
}

// fingerprint tells one password from another without telling any.
func fingerprint(key []byte, password string) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte("mailplan account password\x00" + password))
	return hex.EncodeToString(mac.Sum(nil)[:16])
}

func (p *Plane) aliases(d model.Domain) []plan.Object {
	var objects []plan.Object
	add := func(source, destination, from string) {
		objects = append(objects, p.object(accounts.Row{Alias: &accounts.Alias{Source: source, Destination: destination}}, from))
	}
	for _, a := range d.Aliases {
		seen := map[string]bool{}
		for _, target := range a.Targets {
			if !seen[target] {
				add(a.Address(), target, d.Path()+".aliases."+model.Label(a.Localpart))
			}
			seen[target] = true
		}
	}
	if d.CatchAll != "" {
		add("@"+d.Name, d.CatchAll, d.Path()+".catchAll")
	}
	return objects
}

// Live lists the rows that there are. Those that were retired and are not declared are not ours to touch.
func (p *Plane) Live(ctx context.Context) ([]plan.Object, error) {
	rows, err := p.Store.Read(ctx)
	if err != nil {
		return nil, err
	}
	declared, secrets := p.declared(), p.secrets()
	var objects []plan.Object
	add := func(r accounts.Row, state string) {
		o := p.object(r, "")
		if r.User != nil && p.behind(r.User, secrets) {
			o.Show += " by the last key"
		}
		o.Foreign = state != string(model.Active) && state != string(model.Disabled) && !declared[r.Key()]
		objects = append(objects, o)
	}
	for i := range rows.Domains {
		add(accounts.Row{Domain: &rows.Domains[i]}, rows.Domains[i].State)
	}
	for i := range rows.Users {
		u := &rows.Users[i]
		add(accounts.Row{User: u}, u.State)
	}
	for i := range rows.Aliases {
		add(accounts.Row{Alias: &rows.Aliases[i]}, string(model.Active))
	}
	return objects, nil
}

func (p *Plane) declared() map[string]bool {
	keys := map[string]bool{}
	for _, d := range p.Site.Domains {
		keys["domain "+d.Name] = true
		for _, u := range d.Users {
			keys["user "+u.Address()] = true
		}
	}
	return keys
}

// Apply sends the changes as one transaction.
func (p *Plane) Apply(ctx context.Context, changes []plan.Change) error {
	secrets := p.secrets()
	var rows []accounts.Change
	for _, c := range changes {
		row, err := p.change(c, secrets)
		if err != nil {
			return err
		}
		if row.Old != nil && row.New != nil && row.Old.Key() != row.New.Key() { // an alias to another target is another row
			rows = append(rows, accounts.Change{Old: row.Old}, accounts.Change{New: row.New})
			continue
		}
		rows = append(rows, row)
	}
	return p.Store.Apply(ctx, rows)
}

func (p *Plane) change(c plan.Change, secrets map[string]string) (accounts.Change, error) {
	var out accounts.Change
	for _, part := range []struct {
		data json.RawMessage
		row  **accounts.Row
	}{{c.Old, &out.Old}, {c.New, &out.New}} {
		if part.data == nil {
			continue
		}
		var r accounts.Row
		if err := json.Unmarshal(part.data, &r); err != nil {
			return out, fmt.Errorf("change of %s: %w", c.ID, err)
		}
		*part.row = &r
	}
	if out.New == nil || out.New.User == nil || out.New.User.Password == "" {
		return out, nil
	}
	seen := ""
	if out.Old != nil && out.Old.User != nil {
		seen = out.Old.User.Password
	}
	if seen == out.New.User.Password {
		return out, nil
	}
	password, err := p.password(out.New.User.Address, secrets)
	if err != nil || p.outdated(seen, password) {
		return out, err
	}
	out.Hash, err = argon2id(password)
	return out, err
}

// secrets names the secret with each user's password, by address.
func (p *Plane) secrets() map[string]string {
	names := map[string]string{}
	for _, d := range p.Site.Domains {
		for _, u := range d.Users {
			names[u.Address()] = u.Password.Secret
		}
	}
	return names
}

// password is what Git sets for a user.
func (p *Plane) password(address string, secrets map[string]string) (string, error) {
	name, declared := secrets[address]
	if !declared {
		return "", fmt.Errorf("password of %s: the site has no such user", address)
	}
	password, err := p.Secrets(name)
	if err != nil {
		return "", fmt.Errorf("password of %s: %w", address, err)
	}
	return password, nil
}
