package people

import "context"

// Factor is the key of a person's second factor (RFC 6238, base 32), or [ErrUnknown].
func (s *Store) Factor(ctx context.Context, user int64) (key string, err error) {
	err = s.db.QueryRowContext(ctx, "SELECT totp_key FROM console_factors WHERE user_id = ?", user).Scan(&key)
	return key, wrap("read a second factor", err)
}

// AddFactor asks a person for a second factor from now on; step is the time step of the code that proved it.
func (s *Store) AddFactor(ctx context.Context, user int64, key string, step int64) error {
	_, err := s.db.ExecContext(ctx, "INSERT INTO console_factors (user_id, totp_key, last_step) VALUES (?, ?, ?)", user, key, step)
	return wrap("add a second factor", err)
}

// UseStep takes a time step, once: [ErrMoved] for one that is not later than the last.
func (s *Store) UseStep(ctx context.Context, user, step int64) error {
	return s.one(ctx, ErrMoved, "UPDATE console_factors SET last_step = ? WHERE user_id = ? AND last_step < ?", step, user, step)
}

// RemoveFactor ends the second factor.
func (s *Store) RemoveFactor(ctx context.Context, user int64) error {
	return s.one(ctx, ErrUnknown, "DELETE FROM console_factors WHERE user_id = ?", user)
}

// RemoveFactorOf ends the second factor of an address, for its administrator.
func (s *Store) RemoveFactorOf(ctx context.Context, address string) error {
	return s.one(ctx, ErrUnknown, "DELETE f FROM console_factors f JOIN users u ON u.id = f.user_id WHERE u.email = ?", address)
}
