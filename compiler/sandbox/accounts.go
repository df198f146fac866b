package sandbox

import (
	"context"

	"github.com/mailplan/mailplan/runtime/accounts"
)

// database stands in for MariaDB behind the runtime: rows in a file, changed all or none.
type database struct{ file string }

// Read returns the rows; none before the first apply.
func (d database) Read(context.Context) (accounts.Rows, error) {
	return readState[accounts.Rows](d.file, "database")
}

// Apply merges the changes as the database would.
func (d database) Apply(ctx context.Context, changes []accounts.Change) error {
	rows, err := d.Read(ctx)
	if err != nil {
		return err
	}
	if rows, err = accounts.Merge(rows, changes); err != nil {
		return err
	}
	return writeState(d.file, rows)
}
