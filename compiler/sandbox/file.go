package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/mailplan/mailplan/compiler/apply/host"
)

// readState reads what a stand-in keeps in a file; nothing, where there is none yet. What names it in an error.
func readState[T any](file, what string) (state T, err error) {
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return state, nil
	}
	if err == nil {
		err = json.Unmarshal(data, &state)
	}
	if err != nil {
		return state, fmt.Errorf("read the stand-in %s %s: %w", what, file, err)
	}
	return state, nil
}

// writeState keeps it.
func writeState(file string, state any) error {
	data, err := json.MarshalIndent(state, "", " ")
	if err != nil {
		return err
	}
	return host.WriteFile(file, append(data, '\n'), 0o600, nil)
}
