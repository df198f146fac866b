package sandbox

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
)

// redDrill is a file that makes the sandbox's last restore drill a red one, for the reason that it holds.
const redDrill = "drill-red.txt"

// backup stands in for the host's last drill: green, unless somebody says otherwise.
func backup(dir string) func(context.Context) error {
	return func(context.Context) error {
		why, err := os.ReadFile(filepath.Join(dir, redDrill))
		if err != nil {
			return nil
		}
		return errors.New(strings.TrimSpace(string(why)))
	}
}
