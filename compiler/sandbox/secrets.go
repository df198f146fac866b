package sandbox

import (
	"fmt"
	"path/filepath"

	"github.com/mailplan/mailplan/compiler/emit/cloudflare/dkimkey"
	"github.com/mailplan/mailplan/compiler/model"
	"github.com/mailplan/mailplan/compiler/secrets"
)

// madeUp stands in for the encrypted secrets file: it makes every value up when it is first needed and keeps it.
type madeUp struct {
	file   string
	values map[string]string
}

func openSecrets(dir string, s *model.Site) (*madeUp, error) {
	v, err := readSecrets(dir)
	if err != nil {
		return nil, err
	}
	return v, v.fill(s)
}

// readSecrets reads what was made up so far.
func readSecrets(dir string) (*madeUp, error) {
	v := &madeUp{file: filepath.Join(dir, "secrets.json")}
	var err error
	if v.values, err = readState[map[string]string](v.file, "secrets"); v.values == nil {
		v.values = map[string]string{}
	}
	return v, err
}

// fill makes up what the inventory lists and the file lacks, and writes it once.
func (v *madeUp) fill(s *model.Site) error {
	generator := secrets.NewGenerator(s)
	made := false
	for _, entry := range s.Inventory() {
		if _, ok := v.values[entry.Name]; ok || entry.MadeBy != "" {
			continue
		}
		value, err := generator.Make(entry.Name)
		if err != nil {
			return err
		}
		v.values[entry.Name], made = value, true
	}
	if !made {
		return nil
	}
	return writeState(v.file, v.values)
}

// value is what host.Host asks for.
func (v *madeUp) value(name string) (string, error) {
	s, ok := v.values[name]
	if !ok {
		return "", fmt.Errorf("the secret %s, which the sandbox does not have", name)
	}
	return s, nil
}

// publicKey derives the p= value of a DKIM key.
func (v *madeUp) publicKey(name string) (string, error) {
	private, err := v.value(name)
	if err != nil {
		return "", err
	}
	_, p, err := dkimkey.Public([]byte(private))
	return p, err
}
