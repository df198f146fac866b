// Package people reads and changes the rows of the account database that the console needs: who signs in, what people
// own (password, app passwords, second factor, sessions), and lists for administrators. What the site declares it only
// reads. It must not know pages or HTTP; it never returns a password hash but to who checks one.
package people

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// Errors on which a caller branches.
var (
	// ErrUnknown is returned for who or what is not there, or not the asker's.
	ErrUnknown = errors.New("not there")
	// ErrMoved is returned for a change of something that has changed since it was read.
	ErrMoved = errors.New("it has changed meanwhile")
)

// Store is the account database.
type Store struct{ db *sql.DB }

// New keeps people in db, which has the emitted schema.
func New(db *sql.DB) *Store { return &Store{db} }

// Person is who signs in.
type Person struct {
	ID      int64
	Address string
	Domain  string
	Name    string
	Role    string // user, domainAdmin, admin
	QuotaMB int    // mebibytes, 0 without bound
	Git     bool   // the password is set by the site's repository
	TOTP    bool   // a second factor is asked for
}

// Scope is whose rows an administrator sees: those of one domain, or all with an empty Domain.
type Scope struct{ Domain string }

// Scope is what a person may list; ok is false for who is no administrator.
func (p Person) Scope() (s Scope, ok bool) {
	switch p.Role {
	case "admin":
		return Scope{}, true
	case "domainAdmin":
		return Scope{Domain: p.Domain}, true
	}
	return Scope{}, false
}

const personColumns = `u.id, u.email, d.name, u.name, u.role, COALESCE(u.quota_mb, 2048), u.password_git IS NOT NULL,
	EXISTS (SELECT 1 FROM console_factors f WHERE f.user_id = u.id)`

// active is the condition under which somebody may sign in, Dovecot's own.
const active = "u.is_active = 1 AND u.state = 'active' AND d.state = 'active'"

func (p *Person) fields() []any {
	return []any{&p.ID, &p.Address, &p.Domain, &p.Name, &p.Role, &p.QuotaMB, &p.Git, &p.TOTP}
}

// ByAddress finds who may sign in with an address in lower case, with the hash to check; else [ErrUnknown].
func (s *Store) ByAddress(ctx context.Context, address string) (p Person, hash string, err error) {
	row := s.db.QueryRowContext(ctx, "SELECT "+personColumns+", u.password_hash FROM users u JOIN domains d ON d.id = u.domain_id WHERE u.email = ? AND "+active, address)
	err = row.Scan(append(p.fields(), &hash)...)
	return p, hash, wrap("read "+address, err)
}

// SetPassword replaces a password that its owner sets. It is [ErrMoved] when the hash is no longer old, or when the
// repository sets it.
func (s *Store) SetPassword(ctx context.Context, id int64, old, hash string) error {
	return s.one(ctx, ErrMoved, `UPDATE users SET password_hash = ?, password_changed_at = CURRENT_TIMESTAMP
		WHERE id = ? AND password_hash = ? AND password_git IS NULL`, hash, id, old)
}

// Ready says whether the database is there with the tables of the console.
func (s *Store) Ready(ctx context.Context) error {
	var n int
	err := s.db.QueryRowContext(ctx, "SELECT COUNT(*) FROM schema_migrations WHERE id = 8").Scan(&n)
	if err == nil && n == 0 {
		err = errors.New("its schema is older than this program: run mailplan apply")
	}
	if err != nil {
		return fmt.Errorf("account database: %w", err)
	}
	return nil
}

// one changes exactly one row, or returns none.
func (s *Store) one(ctx context.Context, none error, query string, args ...any) error {
	result, err := s.db.ExecContext(ctx, query, args...)
	if err != nil {
		return wrap("change a row", err)
	}
	if n, err := result.RowsAffected(); err != nil || n != 1 {
		return errors.Join(none, err)
	}
	return nil
}

func wrap(what string, err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return ErrUnknown
	}
	if err != nil {
		return fmt.Errorf("account database: %s: %w", what, err)
	}
	return nil
}
