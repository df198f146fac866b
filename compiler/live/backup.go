package live

import (
	"context"
	"encoding/json"
	"errors"
	"path"

	"github.com/mailplan/mailplan/compiler/apply/host"
	"github.com/mailplan/mailplan/compiler/model"
)

// standing is what apply needs of what `mailpland drill --status --json` prints.
type standing struct {
	Permit bool   `json:"permit"`
	Reason string `json:"reason"`
}

// backup asks the host whether its last restore drill was green and recent. What is no answer permits nothing.
func backup(s *model.Site, run host.Runner) func(ctx context.Context) error {
	return func(ctx context.Context) error {
		out, err := run(ctx, nil, path.Join(s.Host.Root, "bin", "mailpland"), "drill", "--status", "--json",
			"--config", path.Join(s.Host.Root, "config", "runtime", "backup.json"))
		var said standing
		if json.Unmarshal(out, &said) != nil {
			return errors.Join(errors.New("the host does not say whether a restore was tried"), err)
		}
		if !said.Permit {
			return errors.New(said.Reason)
		}
		return err
	}
}
