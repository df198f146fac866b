package people

import (
	"context"
	"errors"
	"time"
)

// AddLink makes a link, known by its digest, with which the user of an address can set a password within life. It takes
// the place of an older one. [ErrUnknown] is returned for who may not sign in or whose password the repository sets.
func (s *Store) AddLink(ctx context.Context, address, digest string, life time.Duration) error {
	result, err := s.db.ExecContext(ctx, `INSERT INTO console_links (user_id, digest, ends_at)
		SELECT u.id, ?, UTC_TIMESTAMP() + INTERVAL ? SECOND FROM users u JOIN domains d ON d.id = u.domain_id
		WHERE u.email = ? AND u.password_git IS NULL AND `+active+`
		ON DUPLICATE KEY UPDATE digest = VALUES(digest), ends_at = VALUES(ends_at)`, digest, int(life.Seconds()), address)
	if err != nil {
		return wrap("make a link", err)
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		return errors.Join(ErrUnknown, err)
	}
	return nil
}

// Linked finds whose link has the digest and is valid, else [ErrUnknown].
func (s *Store) Linked(ctx context.Context, digest string) (Person, error) {
	var p Person
	err := s.db.QueryRowContext(ctx, "SELECT "+personColumns+` FROM console_links l JOIN users u ON u.id = l.user_id JOIN domains d ON d.id = u.domain_id
		WHERE l.digest = ? AND l.ends_at > UTC_TIMESTAMP() AND u.password_git IS NULL AND `+active, digest).Scan(p.fields()...)
	return p, wrap("read a link", err)
}

// UseLink sets the password of the link's user and ends the link and his sessions: all, or none with [ErrUnknown].
func (s *Store) UseLink(ctx context.Context, digest string, user int64, hash string) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return wrap("use a link", err)
	}
	defer tx.Rollback()
	used, err := tx.ExecContext(ctx, "DELETE FROM console_links WHERE digest = ? AND user_id = ? AND ends_at > UTC_TIMESTAMP()", digest, user)
	if err != nil {
		return wrap("use a link", err)
	}
	if n, err := used.RowsAffected(); err != nil || n != 1 {
		return errors.Join(ErrUnknown, err)
	}
	set, err := tx.ExecContext(ctx, "UPDATE users SET password_hash = ?, password_changed_at = CURRENT_TIMESTAMP WHERE id = ? AND password_git IS NULL", hash, user)
	if err != nil {
		return wrap("use a link", err)
	}
	if n, err := set.RowsAffected(); err != nil || n != 1 {
		return errors.Join(ErrUnknown, err)
	}
	if _, err := tx.ExecContext(ctx, "DELETE FROM console_sessions WHERE user_id = ?", user); err != nil {
		return wrap("use a link", err)
	}
	return wrap("use a link", tx.Commit())
}
