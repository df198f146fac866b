package mariadb

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/mailplan/mailplan/runtime/accounts"
)

// batch is how many rows go into one INSERT.
const batch = 500

// noPassword is the hash of who has none yet: it begins with no scheme, so that nobody can sign in with it.
const noPassword = "!"

// Apply carries all changes out, or none.
func Apply(ctx context.Context, db *sql.DB, changes []accounts.Change) error {
	for _, c := range changes {
		if err := c.Check(); err != nil {
			return err
		}
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("change accounts: %w", err)
	}
	defer tx.Rollback()
	if err := apply(ctx, tx, changes); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("change accounts: %w", err)
	}
	return nil
}

func apply(ctx context.Context, tx *sql.Tx, changes []accounts.Change) error {
	if err := expect(ctx, tx, changes); err != nil {
		return err
	}
	t := &transaction{ctx: ctx, tx: tx}
	t.domains(changes)
	t.loadDomains()
	t.newUsers(changes)
	for _, c := range changes {
		t.changedUser(c)
	}
	t.aliases(changes)
	return t.err
}

// expect compares what the changes were planned from with what is there now, in the same transaction.
func expect(ctx context.Context, tx *sql.Tx, changes []accounts.Change) error {
	now, err := read(ctx, tx)
	if err != nil {
		return err
	}
	_, err = accounts.Merge(now, changes)
	return err
}

// transaction remembers the first error, so that the steps read as a list.
type transaction struct {
	ctx context.Context
	tx  *sql.Tx
	ids map[string]int64 // of domains
	err error
}

func (t *transaction) exec(query string, args ...any) {
	if t.err != nil {
		return
	}
	if _, err := t.tx.ExecContext(t.ctx, query, args...); err != nil {
		t.err = fmt.Errorf("change accounts: %w", err)
	}
}

func (t *transaction) domains(changes []accounts.Change) {
	for _, c := range changes {
		switch {
		case c.New != nil && c.New.Domain != nil:
			d := c.New.Domain
			t.exec("INSERT INTO domains (name, state, subaddress) VALUES (?, ?, ?) ON DUPLICATE KEY UPDATE state = VALUES(state), subaddress = VALUES(subaddress)",
				d.Name, d.State, d.Subaddress)
		case c.New == nil && c.Old.Domain != nil:
			t.exec("UPDATE domains SET state = 'retired' WHERE name = ?", c.Old.Domain.Name)
		}
	}
}

func (t *transaction) loadDomains() {
	if t.err != nil {
		return
	}
	t.ids = map[string]int64{}
	t.err = each(t.ctx, t.tx, "SELECT id, name FROM domains", func(scan func(...any) error) error {
		var id int64
		var name string
		err := scan(&id, &name)
		t.ids[name] = id
		return err
	})
}

// domainID is that of an address' domain.
func (t *transaction) domainID(address string) int64 {
	domain := address[strings.LastIndexByte(address, '@')+1:]
	id, ok := t.ids[domain]
	if !ok && t.err == nil {
		t.err = fmt.Errorf("%s: its domain %s has no row", address, domain)
	}
	return id
}

// newUsers inserts in bulk.
func (t *transaction) newUsers(changes []accounts.Change) {
	var rows []accounts.Change
	for _, c := range changes {
		if c.Old == nil && c.New.User != nil {
			rows = append(rows, c)
		}
	}
	for part := range slices.Chunk(rows, batch) {
		var args []any
		for _, c := range part {
			u := c.New.User
			hash, git, written := password(c)
			args = append(args, u.Address, hash, t.domainID(u.Address), u.QuotaMB, u.State == "active", u.State, since(u), u.Name, u.Role, git, written)
		}
		t.exec("INSERT INTO users (email, password_hash, domain_id, quota_mb, is_active, state, state_since, name, role, password_git, password_written) VALUES "+
			tuples(len(part), 11), args...)
		for _, c := range part {
			t.sendAs(c.New.User)
		}
	}
}

// password is the hash with the marks by which Git knows its own again; those are NULL for a password of its owner's.
func password(c accounts.Change) (hash string, git, written any) {
	if c.Hash == "" {
		return noPassword, nil, nil
	}
	sum := sha256.Sum256([]byte(c.Hash))
	return c.Hash, c.New.User.Password, hex.EncodeToString(sum[:])
}

func since(u *accounts.User) any {
	if u.Since == "" {
		return nil
	}
	return u.Since
}

func tuples(n, width int) string {
	one := "(" + strings.TrimSuffix(strings.Repeat("?,", width), ",") + ")"
	return strings.TrimSuffix(strings.Repeat(one+",", n), ",")
}

func (t *transaction) changedUser(c accounts.Change) {
	switch {
	case c.Old == nil || c.Old.User == nil:
		return
	case c.New == nil:
		t.exec("UPDATE users SET state = 'retired', is_active = FALSE, state_since = CURRENT_DATE WHERE email = ?", c.Old.User.Address)
		return
	}
	u := c.New.User
	t.exec("UPDATE users SET name = ?, quota_mb = ?, is_active = ?, state = ?, state_since = ?, role = ? WHERE email = ?",
		u.Name, u.QuotaMB, u.State == "active", u.State, since(u), u.Role, u.Address)
	if c.Hash != "" {
		hash, git, written := password(c)
		t.exec("UPDATE users SET password_hash = ?, password_git = ?, password_written = ?, password_changed_at = CURRENT_TIMESTAMP WHERE email = ?",
			hash, git, written, u.Address)
	} else if u.Password == "" {
		t.exec("UPDATE users SET password_git = NULL, password_written = NULL WHERE email = ?", u.Address)
	} else if c.Old.User.Password != u.Password { // the same password by another fingerprint
		t.exec("UPDATE users SET password_git = ? WHERE email = ?", u.Password, u.Address)
	}
	if !slices.Equal(c.Old.User.SendAs, u.SendAs) {
		t.exec("DELETE s FROM send_as s JOIN users u ON u.id = s.user_id WHERE u.email = ?", u.Address)
		t.sendAs(u)
	}
}

func (t *transaction) sendAs(u *accounts.User) {
	for _, address := range u.SendAs {
		t.exec("INSERT INTO send_as (user_id, address) SELECT id, ? FROM users WHERE email = ?", address, u.Address)
	}
}

func (t *transaction) aliases(changes []accounts.Change) {
	var fresh []*accounts.Alias
	for _, c := range changes {
		switch {
		case c.New != nil && c.New.Alias != nil:
			fresh = append(fresh, c.New.Alias)
		case c.New == nil && c.Old.Alias != nil:
			t.exec("DELETE FROM aliases WHERE source = ? AND destination = ?", c.Old.Alias.Source, c.Old.Alias.Destination)
		}
	}
	for part := range slices.Chunk(fresh, batch) {
		var args []any
		for _, a := range part {
			args = append(args, a.Source, a.Destination, t.domainID(a.Source))
		}
		t.exec("INSERT INTO aliases (source, destination, domain_id) VALUES "+tuples(len(part), 3), args...)
	}
}
