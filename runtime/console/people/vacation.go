package people

import (
	"context"
	"errors"
	"strings"
)

// Vacation is what people want to be answered while somebody is away.
type Vacation struct {
	Active       bool
	Starts, Ends string // YYYY-MM-DD, the days included; empty without bound
	Subject      string
	Body         string
	Addresses    []string // further ones, besides the mailbox's own, at which who writes is answered
}

// Bounds of a vacation in bytes, and of its addresses, as the database has them: Dovecot reads a user in one line.
const (
	MaxVacationSubject   = 300
	MaxVacationBody      = 3000
	MaxVacationAddresses = 5
	maxAddressBytes      = 1000
)

// ErrLong is returned for a vacation beyond its bounds.
var ErrLong = errors.New("too long")

// Vacation is a person's; that of one who has never set any is empty.
func (s *Store) Vacation(ctx context.Context, user int64) (Vacation, error) {
	var v Vacation
	var addresses string
	err := s.db.QueryRowContext(ctx, `SELECT active, COALESCE(CAST(starts AS CHAR), ''), COALESCE(CAST(ends AS CHAR), ''), subject, body, addresses
		FROM vacations WHERE user_id = ?`, user).Scan(&v.Active, &v.Starts, &v.Ends, &v.Subject, &v.Body, &addresses)
	if err := wrap("read a vacation", err); err != nil && !errors.Is(err, ErrUnknown) {
		return v, err
	}
	if all := strings.Fields(addresses); len(all) > 0 {
		v.Addresses = all[1:]
	}
	return v, nil
}

// SetVacation keeps a person's. With another text people are answered anew.
func (s *Store) SetVacation(ctx context.Context, p Person, v Vacation) error {
	addresses := strings.Join(append([]string{p.Address}, v.Addresses...), " ")
	if len(v.Subject) > MaxVacationSubject || len(v.Body) > MaxVacationBody || len(v.Addresses) > MaxVacationAddresses || len(addresses) > maxAddressBytes {
		return ErrLong
	}
	_, err := s.db.ExecContext(ctx, `INSERT INTO vacations (user_id, active, starts, ends, subject, body, addresses)
		VALUES (?, ?, NULLIF(?, ''), NULLIF(?, ''), ?, ?, ?)
		ON DUPLICATE KEY UPDATE version = version + (subject <> VALUES(subject) OR body <> VALUES(body)), active = VALUES(active), starts = VALUES(starts),
			ends = VALUES(ends), subject = VALUES(subject), body = VALUES(body), addresses = VALUES(addresses)`,
		p.ID, v.Active, v.Starts, v.Ends, v.Subject, v.Body, addresses)
	return wrap("set a vacation", err)
}
