package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/mailplan/mailplan/compiler/apply/host"
	"github.com/mailplan/mailplan/runtime/accounts"
)

// database stands in for MariaDB behind the runtime: rows in a file, changed all or none.
type database struct{ file string }

// Read returns the rows; none before the first apply.
func (d database) Read(context.Context) (accounts.Rows, error) {
	var rows accounts.Rows
	data, err := os.ReadFile(d.file)
	if errors.Is(err, fs.ErrNotExist) {
		return rows, nil
	}
	if err != nil {
		return rows, fmt.Errorf("read the stand-in database: %w", err)
	}
	if err := json.Unmarshal(data, &rows); err != nil {
		return rows, fmt.Errorf("read the stand-in database %s: %w", d.file, err)
	}
	return rows, nil
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
	data, err := json.MarshalIndent(rows, "", " ")
	if err != nil {
		return err
	}
	return host.WriteFile(d.file, append(data, '\n'), 0o600, nil)
}
