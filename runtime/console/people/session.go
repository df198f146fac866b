package people

import (
	"context"
	"time"
)

// Session is one browser's sign-in.
type Session struct {
	Person
	Complete bool // no second factor is missing
}

// AddSession begins one under a digest that only the browser's cookie yields, for at most life. It forgets those that
// have ended.
func (s *Store) AddSession(ctx context.Context, digest string, user int64, complete bool, life time.Duration) error {
	if _, err := s.db.ExecContext(ctx, "DELETE FROM console_sessions WHERE ends_at < UTC_TIMESTAMP() LIMIT 1000"); err != nil {
		return wrap("forget old sessions", err)
	}
	_, err := s.db.ExecContext(ctx, `INSERT INTO console_sessions (digest, user_id, complete, seen_at, ends_at)
		VALUES (?, ?, ?, UTC_TIMESTAMP(), UTC_TIMESTAMP() + INTERVAL ? SECOND)`, digest, user, complete, int(life.Seconds()))
	return wrap("begin a session", err)
}

// Session finds one that has not ended, was used within idle, and whose person may still sign in; else [ErrUnknown].
// The use is noted, to the minute.
func (s *Store) Session(ctx context.Context, digest string, idle time.Duration) (Session, error) {
	var found Session
	var stale bool
	row := s.db.QueryRowContext(ctx, "SELECT "+personColumns+`, s.complete, s.seen_at < UTC_TIMESTAMP() - INTERVAL 60 SECOND
		FROM console_sessions s JOIN users u ON u.id = s.user_id JOIN domains d ON d.id = u.domain_id
		WHERE s.digest = ? AND s.ends_at > UTC_TIMESTAMP() AND s.seen_at > UTC_TIMESTAMP() - INTERVAL ? SECOND AND `+active,
		digest, int(idle.Seconds()))
	if err := row.Scan(append(found.fields(), &found.Complete, &stale)...); err != nil {
		return Session{}, wrap("read a session", err)
	}
	if stale {
		_, err := s.db.ExecContext(ctx, "UPDATE console_sessions SET seen_at = UTC_TIMESTAMP() WHERE digest = ?", digest)
		return found, wrap("note a session's use", err)
	}
	return found, nil
}

// EndSession ends one.
func (s *Store) EndSession(ctx context.Context, digest string) error {
	_, err := s.db.ExecContext(ctx, "DELETE FROM console_sessions WHERE digest = ?", digest)
	return wrap("end a session", err)
}

// EndSessions ends all of a person's.
func (s *Store) EndSessions(ctx context.Context, user int64) error {
	_, err := s.db.ExecContext(ctx, "DELETE FROM console_sessions WHERE user_id = ?", user)
	return wrap("end sessions", err)
}
