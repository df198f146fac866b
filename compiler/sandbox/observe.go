package sandbox

import (
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
	v, err := readSecrets(dir)
	if err != nil {
		return "", err
	}
	return v.values[name], nil
}
