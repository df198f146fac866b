package people

import (
	"context"
	"errors"
	"time"

	"github.com/go-sql-driver/mysql"
)

// MaxAppPasswords is how many one person may have.
const MaxAppPasswords = 25

// ErrFull is returned for one app password too many.
var ErrFull = errors.New("too many app passwords")

// AppPassword is a further password, for one device or program.
type AppPassword struct {
	ID   int64
	Name string
	Made time.Time // UTC
	Used time.Time // UTC, to the quarter of an hour; zero for never
}

// AppPasswords are a person's, oldest first.
func (s *Store) AppPasswords(ctx context.Context, user int64) ([]AppPassword, error) {
	rows, err := s.db.QueryContext(ctx, "SELECT id, name, UNIX_TIMESTAMP(created_at), COALESCE(TIMESTAMPDIFF(SECOND, '1970-01-01', used_at), 0) FROM app_passwords WHERE user_id = ? ORDER BY id", user)
	if err != nil {
		return nil, wrap("read app passwords", err)
	}
	defer rows.Close()
	var list []AppPassword
	for rows.Next() {
		var a AppPassword
		var made, used int64
		if err := rows.Scan(&a.ID, &a.Name, &made, &used); err != nil {
			return nil, wrap("read app passwords", err)
		}
		a.Made = time.Unix(made, 0).UTC()
		if used > 0 {
			a.Used = time.Unix(used, 0).UTC()
		}
		list = append(list, a)
	}
	return list, wrap("read app passwords", rows.Err())
}

// duplicate is the server's number for a key that is taken.
const duplicate = 1062

// AddAppPassword keeps one: [ErrMoved] when the person has one with this selector, so that another must be made.
func (s *Store) AddAppPassword(ctx context.Context, user int64, name, selector, hash string) error {
	err := s.one(ctx, ErrFull, `INSERT INTO app_passwords (user_id, name, selector, password_hash)
		SELECT ?, ?, ?, ? FROM (SELECT COUNT(*) AS n FROM app_passwords WHERE user_id = ?) a WHERE n < ?`,
		user, name, selector, hash, user, MaxAppPasswords)
	if e := (*mysql.MySQLError)(nil); errors.As(err, &e) && e.Number == duplicate {
		return ErrMoved
	}
	return err
}

// RevokeAppPassword forgets one of a person's own; else [ErrUnknown].
func (s *Store) RevokeAppPassword(ctx context.Context, user, id int64) error {
	return s.one(ctx, ErrUnknown, "DELETE FROM app_passwords WHERE user_id = ? AND id = ?", user, id)
}
