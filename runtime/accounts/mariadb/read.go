// Package mariadb reads and changes the account database (tables: compiler/emit/mariadb). A set of changes is one
// transaction; each changed row must still be what it was when the change was planned. It never reads a password
// hash out; whether one is still the one that Git set, the database itself compares.
package mariadb

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"github.com/mailplan/mailplan/runtime/accounts"
)

// queryer is a database or a transaction.
type queryer interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// Read returns all rows.
func Read(ctx context.Context, db *sql.DB) (accounts.Rows, error) {
	tx, err := db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true, Isolation: sql.LevelRepeatableRead})
	if err != nil {
		return accounts.Rows{}, fmt.Errorf("read accounts: %w", err)
	}
	defer tx.Rollback()
	return read(ctx, tx)
}

func read(ctx context.Context, q queryer) (accounts.Rows, error) {
	var rows accounts.Rows
	err := each(ctx, q, "SELECT name, state, subaddress FROM domains", func(scan func(...any) error) error {
		var d accounts.Domain
		defer func() { rows.Domains = append(rows.Domains, d) }()
		return scan(&d.Name, &d.State, &d.Subaddress)
	})
	if err != nil {
		return rows, fmt.Errorf("read domains: %w", err)
	}
	if rows.Users, err = users(ctx, q, ""); err != nil {
		return rows, err
	}
	err = each(ctx, q, "SELECT source, destination FROM aliases", func(scan func(...any) error) error {
		var a accounts.Alias
		defer func() { rows.Aliases = append(rows.Aliases, a) }()
		return scan(&a.Source, &a.Destination)
	})
	if err != nil {
		return rows, fmt.Errorf("read aliases: %w", err)
	}
	rows.Sort()
	return rows, nil
}

// users reads those that the condition selects.
func users(ctx context.Context, q queryer, where string, args ...any) ([]accounts.User, error) {
	var list []accounts.User
	query := `SELECT u.email, u.name, u.quota_mb, u.state, COALESCE(u.state_since, ''), u.role,
		IF(u.password_git IS NULL, '', IF(u.password_written = SHA2(u.password_hash, 256), u.password_git, '` + accounts.PasswordChanged + `')),
		COALESCE((SELECT GROUP_CONCAT(s.address ORDER BY s.address SEPARATOR ' ') FROM send_as s WHERE s.user_id = u.id), '')
		FROM users u ` + where
	err := each(ctx, q, query, func(scan func(...any) error) error {
		var u accounts.User
		var sendAs string
		err := scan(&u.Address, &u.Name, &u.QuotaMB, &u.State, &u.Since, &u.Role, &u.Password, &sendAs)
		if sendAs != "" {
			u.SendAs = strings.Fields(sendAs)
		}
		list = append(list, u)
		return err
	}, args...)
	if err != nil {
		return nil, fmt.Errorf("read users: %w", err)
	}
	return list, nil
}

func each(ctx context.Context, q queryer, query string, row func(scan func(...any) error) error, args ...any) error {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := row(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}
