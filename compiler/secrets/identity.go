package secrets

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"filippo.io/age"
)

// Keys are the age identities of whoever runs mailplan, and where they were looked for.
type Keys struct {
	Identities []age.Identity
	Looked     []string
}

// FindKeys reads age identities from where sops does: SOPS_AGE_KEY, SOPS_AGE_KEY_FILE, and sops/age/keys.txt in
// the user's configuration folder. Having none is no error: Looked says where one would belong.
func FindKeys(env func(string) string) (Keys, error) {
	var k Keys
	if v := env("SOPS_AGE_KEY"); v != "" {
		if err := k.parse("SOPS_AGE_KEY", strings.Join(strings.Fields(v), "\n")); err != nil {
			return k, err
		}
	} else {
		k.Looked = append(k.Looked, "$SOPS_AGE_KEY")
	}
	files := map[bool]string{true: env("SOPS_AGE_KEY_FILE")}
	if files[true] == "" {
		k.Looked = append(k.Looked, "$SOPS_AGE_KEY_FILE")
	}
	if dir := configDir(env); dir != "" {
		files[false] = filepath.Join(dir, "sops", "age", "keys.txt")
	}
	for _, named := range []bool{true, false} {
		if err := k.file(files[named], named); err != nil {
			return k, err
		}
	}
	return k, nil
}

// file reads a file of identities. One that the user named must be there.
func (k *Keys) file(name string, named bool) error {
	if name == "" {
		return nil
	}
	data, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) && !named {
		k.Looked = append(k.Looked, name)
		return nil
	}
	if err != nil {
		return fmt.Errorf("read your age keys: %w", err)
	}
	return k.parse(name, string(data))
}

// parse never tells the text: it is a secret.
func (k *Keys) parse(where, text string) error {
	ids, err := age.ParseIdentities(strings.NewReader(text))
	if err != nil {
		return fmt.Errorf("%s holds no age keys (want lines that begin with AGE-SECRET-KEY-1)", where)
	}
	k.Identities = append(k.Identities, ids...)
	return nil
}

// Recipients are the public halves.
func (k Keys) Recipients() []string {
	var list []string
	for _, id := range k.Identities {
		switch id := id.(type) {
		case *age.X25519Identity:
			list = append(list, id.Recipient().String())
		case *age.HybridIdentity:
			list = append(list, id.Recipient().String())
		}
	}
	return list
}

func configDir(env func(string) string) string {
	if dir := env("XDG_CONFIG_HOME"); dir != "" {
		return dir
	}
	dir, err := os.UserConfigDir()
	if err != nil {
		return ""
	}
	return dir
}
