package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/mailplan/mailplan/compiler/sandbox/cloudflare"
)

// TXT are the TXT records that the zones of the sandbox in dir publish for a name, each as one text.
func TXT(dir, name string) ([]string, error) {
	server, err := cloudflare.New(filepath.Join(dir, "edge"), cloudflare.Options{})
	if err != nil {
		return nil, err
	}
	return server.TXT(name), nil
}

// Secret is the value that the sandbox in dir made up for a name, empty where it has none.
func Secret(dir, name string) (string, error) {
	data, err := os.ReadFile(filepath.Join(dir, "secrets.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read the stand-in secrets: %w", err)
	}
	values := map[string]string{}
	if err := json.Unmarshal(data, &values); err != nil {
		return "", fmt.Errorf("read the stand-in secrets: %w", err)
	}
	return values[name], nil
}
