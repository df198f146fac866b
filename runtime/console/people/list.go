package people

import (
	"context"
	"database/sql"
	"strings"
)

// PageSize is how many rows a list shows at once.
const PageSize = 50

// maxPages bounds how far a list is turned: searching finds more than turning.
const maxPages = 20_000

// Query asks for a part of a list.
type Query struct {
	Scope
	Text string // is in the address or the name; letters of any case
	Page int    // from 1
}

// bounded is the query with a page that exists, so that no offset overflows.
func (q Query) bounded() Query {
	q.Page = min(max(q.Page, 1), maxPages)
	q.Text = strings.ToValidUTF8(strings.ToLower(strings.TrimSpace(q.Text)), "?")
	return q
}

func (q Query) offset() int { return (q.Page - 1) * PageSize }

// pattern is the LIKE pattern of the text, whose own signs stand for themselves.
func (q Query) pattern() string {
	return "%" + strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(q.Text) + "%"
}

// where is the condition of the scope and of the text in one of the columns. It joins no table, so that rows come in
// the order of their own key.
func (q Query) where(domain string, columns ...string) (string, []any) {
	conditions, args := []string{"TRUE"}, []any{}
	if q.Domain != "" {
		conditions, args = append(conditions, domain+" = (SELECT o.id FROM domains o WHERE o.name = ?)"), append(args, q.Domain)
	}
	if q.Text != "" {
		var any []string
		for _, c := range columns {
			any, args = append(any, c+" LIKE ?"), append(args, q.pattern())
		}
		conditions = append(conditions, "("+strings.Join(any, " OR ")+")")
	}
	return " WHERE " + strings.Join(conditions, " AND "), args
}

// List is one page of rows.
type List[Row any] struct {
	Rows  []Row
	Total int // of all pages
	Page  int
	Pages int
}

// User is one row of the users' list.
type User struct {
	Address     string
	Name        string
	Role        string
	State       string // active, disabled, retired, purged
	QuotaMB     int
	HasPassword bool
	Git         bool // the repository sets it
	TOTP        bool
	Apps        int // app passwords
	SendAs      string
}

const userColumns = `u.email, u.name, u.role, u.state, COALESCE(u.quota_mb, 2048), LEFT(u.password_hash, 1) = '{', u.password_git IS NOT NULL,
	EXISTS (SELECT 1 FROM console_factors f WHERE f.user_id = u.id), (SELECT COUNT(*) FROM app_passwords a WHERE a.user_id = u.id),
	COALESCE((SELECT GROUP_CONCAT(s.address ORDER BY s.address SEPARATOR ', ') FROM send_as s WHERE s.user_id = u.id), '')`

func scanUser(scan func(...any) error) (u User, err error) {
	err = scan(&u.Address, &u.Name, &u.Role, &u.State, &u.QuotaMB, &u.HasPassword, &u.Git, &u.TOTP, &u.Apps, &u.SendAs)
	return u, err
}

// Users lists users by address.
func (s *Store) Users(ctx context.Context, q Query) (List[User], error) {
	return list(ctx, s.db, q, userColumns, "users u", "u.domain_id", []string{"u.email", "LOWER(u.name)"}, "u.email", scanUser)
}

// User is one user of the scope, in whatever state; else [ErrUnknown].
func (s *Store) User(ctx context.Context, scope Scope, address string) (User, error) {
	row := s.db.QueryRowContext(ctx, "SELECT "+userColumns+" FROM users u JOIN domains d ON d.id = u.domain_id WHERE u.email = ? AND (? = '' OR d.name = ?)",
		address, scope.Domain, scope.Domain)
	u, err := scanUser(row.Scan)
	return u, wrap("read a user", err)
}

// Alias is one way of mail; a catch-all has no localpart.
type Alias struct{ Source, Destination string }

// Aliases lists aliases by source.
func (s *Store) Aliases(ctx context.Context, q Query) (List[Alias], error) {
	return list(ctx, s.db, q, "a.source, a.destination", "aliases a", "a.domain_id", []string{"a.source", "a.destination"},
		"a.source, a.destination", func(scan func(...any) error) (a Alias, err error) {
			err = scan(&a.Source, &a.Destination)
			return a, err
		})
}

// maxAliasesTo bounds how many aliases are shown with one user.
const maxAliasesTo = 200

// AliasesTo are the scope's aliases that lead to an address straight.
func (s *Store) AliasesTo(ctx context.Context, scope Scope, address string) ([]Alias, error) {
	rows, err := s.db.QueryContext(ctx, `SELECT a.source, a.destination FROM aliases a JOIN domains d ON d.id = a.domain_id
		WHERE a.destination = ? AND (? = '' OR d.name = ?) ORDER BY a.source LIMIT ?`, address, scope.Domain, scope.Domain, maxAliasesTo)
	if err != nil {
		return nil, wrap("read aliases", err)
	}
	defer rows.Close()
	var list []Alias
	for rows.Next() {
		var a Alias
		if err := rows.Scan(&a.Source, &a.Destination); err != nil {
			return nil, wrap("read aliases", err)
		}
		list = append(list, a)
	}
	return list, wrap("read aliases", rows.Err())
}

// Domain is one row of the domains' list.
type Domain struct {
	Name           string
	State          string
	Users, Aliases int // users that receive mail
}

// Domains lists domains by name.
func (s *Store) Domains(ctx context.Context, q Query) (List[Domain], error) {
	return list(ctx, s.db, q, `d.name, d.state, (SELECT COUNT(*) FROM users u WHERE u.domain_id = d.id AND u.state IN ('active', 'disabled')),
		(SELECT COUNT(*) FROM aliases a WHERE a.domain_id = d.id)`,
		"domains d", "d.id", []string{"d.name"}, "d.name", func(scan func(...any) error) (d Domain, err error) {
			err = scan(&d.Name, &d.State, &d.Users, &d.Aliases)
			return d, err
		})
}

// list reads one page and counts all rows.
func list[Row any](ctx context.Context, db *sql.DB, q Query, columns, from, domain string, searched []string, order string,
	scan func(func(...any) error) (Row, error)) (List[Row], error) {
	q = q.bounded()
	where, args := q.where(domain, searched...)
	out := List[Row]{Page: q.Page}
	if err := db.QueryRowContext(ctx, "SELECT COUNT(*) FROM "+from+where, args...).Scan(&out.Total); err != nil {
		return out, wrap("count rows", err)
	}
	out.Pages = max(1, (out.Total+PageSize-1)/PageSize)
	rows, err := db.QueryContext(ctx, "SELECT "+columns+" FROM "+from+where+" ORDER BY "+order+" LIMIT ? OFFSET ?", append(args, PageSize, q.offset())...)
	if err != nil {
		return out, wrap("read rows", err)
	}
	defer rows.Close()
	for rows.Next() {
		row, err := scan(rows.Scan)
		if err != nil {
			return out, wrap("read rows", err)
		}
		out.Rows = append(out.Rows, row)
	}
	return out, wrap("read rows", rows.Err())
}
