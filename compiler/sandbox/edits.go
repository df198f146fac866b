package sandbox

import (
	"context"
	"path/filepath"

	"github.com/mailplan/mailplan/runtime/accounts"
)

// Edits stands in for the edits that the console of the sandbox in dir has asked for: edits.json in it.
func Edits(dir string) StandInEdits { return StandInEdits{filepath.Join(dir, "edits.json")} }

// StandInEdits is such a file.
type StandInEdits struct{ file string }

// Edits lists those that wait.
func (e StandInEdits) Edits(context.Context) ([]accounts.Edit, error) {
	return readState[[]accounts.Edit](e.file, "edits")
}

// Answer keeps the answers beside the edits.
func (e StandInEdits) Answer(ctx context.Context, answers []accounts.EditAnswer) error {
	list, err := e.Edits(ctx)
	if err != nil {
		return err
	}
	for i := range list {
		for _, a := range answers {
			if a.ID == list[i].ID {
				list[i].State, list[i].Answer = a.State, a
			}
		}
	}
	return writeState(e.file, list)
}
