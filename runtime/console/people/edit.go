package people

import (
	"context"
	"database/sql"
	"errors"

	"github.com/mailplan/mailplan/runtime/accounts"
	"github.com/mailplan/mailplan/runtime/accounts/mariadb"
)

// ErrBusy says that too many edits of the same person wait already.
var ErrBusy = errors.New("too many edits wait")

// Ask writes down an edit of the site's repository, for mailplan to answer.
func (s *Store) Ask(ctx context.Context, e accounts.Edit) (id int64, err error) {
	id, ok, err := mariadb.Ask(ctx, s.db, e)
	if err == nil && !ok {
		err = ErrBusy
	}
	return id, err
}

// Edits are the newest that the scope may see.
func (s *Store) Edits(ctx context.Context, scope Scope) ([]accounts.Edit, error) {
	return mariadb.EditsOf(ctx, s.db, scope.Domain, PageSize)
}

// Edit is one that the scope may see, else [ErrUnknown].
func (s *Store) Edit(ctx context.Context, scope Scope, id int64) (accounts.Edit, error) {
	e, err := mariadb.EditOf(ctx, s.db, scope.Domain, id)
	if errors.Is(err, sql.ErrNoRows) {
		err = ErrUnknown
	}
	return e, err
}

// Decide confirms or discards a proposed edit. [ErrMoved] says that it is proposed no more.
func (s *Store) Decide(ctx context.Context, scope Scope, id int64, to accounts.EditState) error {
	ok, err := mariadb.Decide(ctx, s.db, scope.Domain, id, to)
	if err == nil && !ok {
		err = ErrMoved
	}
	return err
}

// HasDomain says whether a domain is one of the scope's.
func (s *Store) HasDomain(ctx context.Context, scope Scope, name string) (has bool, err error) {
	row := s.db.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM domains WHERE name = ? AND ? IN ('', name))", name, scope.Domain)
	return has, wrap("read a domain", row.Scan(&has))
}
