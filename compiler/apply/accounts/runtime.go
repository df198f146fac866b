package accounts

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/mailplan/mailplan/runtime/accounts"
)

// Runtime is a Store that calls `mailpland accounts` on the host. Run starts it with the verb (read, apply, edits, answer), gives
// it standard input, and returns its standard output; its error has what mailpland said.
type Runtime struct {
	Run func(ctx context.Context, verb string, stdin io.Reader) (stdout []byte, err error)
}

// Read asks for all rows.
func (r Runtime) Read(ctx context.Context) (accounts.Rows, error) {
	var rows accounts.Rows
	out, err := r.Run(ctx, "read", nil)
	if err != nil {
		return rows, fmt.Errorf("mailpland accounts read: %w", err)
	}
	if err := json.Unmarshal(out, &rows); err != nil {
		return rows, fmt.Errorf("mailpland accounts read: %w", err)
	}
	return rows, nil
}

// Apply sends the changes.
func (r Runtime) Apply(ctx context.Context, changes []accounts.Change) error {
	data, err := json.Marshal(changes)
	if err != nil {
		return err
	}
	if _, err := r.Run(ctx, "apply", bytes.NewReader(data)); err != nil {
		return fmt.Errorf("mailpland accounts apply: %w", err)
	}
	return nil
}

// Edits asks for the edits of the site that wait.
func (r Runtime) Edits(ctx context.Context) ([]accounts.Edit, error) {
	var list []accounts.Edit
	out, err := r.Run(ctx, "edits", nil)
	if err == nil {
		err = json.Unmarshal(out, &list)
	}
	if err != nil {
		return nil, fmt.Errorf("mailpland accounts edits: %w", err)
	}
	return list, nil
}

// Answer sends what becomes of edits.
func (r Runtime) Answer(ctx context.Context, answers []accounts.EditAnswer) error {
	data, err := json.Marshal(answers)
	if err != nil {
		return err
	}
	if _, err := r.Run(ctx, "answer", bytes.NewReader(data)); err != nil {
		return fmt.Errorf("mailpland accounts answer: %w", err)
	}
	return nil
}
