package live

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

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

// signatures prints the second line of every head in a store of backups.
const signatures = `for f in "$1"/daily/*/HEAD "$1"/weekly/*/HEAD; do [ ! -f "$f" ] || sed -n 2p "$f"; done`

// signers asks the host who signed the backups that it keeps.
func signers(s *model.Site, run host.Runner) func(ctx context.Context) ([]string, error) {
	return func(ctx context.Context) ([]string, error) {
		out, err := run(ctx, nil, "sh", "-c", signatures, "sh", s.Backup.Local.Path)
		if err != nil {
			return nil, fmt.Errorf("look who signed the backups: %w", err)
		}
		var keys []string
		for line := range strings.Lines(string(out)) {
			if fields := strings.Fields(line); len(fields) == 3 && !slices.Contains(keys, fields[1]) { // ed25519 KEY SIGNATURE
				keys = append(keys, fields[1])
			}
		}
		return keys, nil
	}
}
