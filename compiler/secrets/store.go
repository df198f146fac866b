package secrets

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/mailplan/mailplan/compiler/apply/host"
	"github.com/mailplan/mailplan/compiler/emit/cloudflare/dkimkey"
	"github.com/mailplan/mailplan/compiler/model"
)

// Store is the opened secrets file of a site. Its values are in memory only.
type Store struct {
	site *model.Site
	path string
	file *File
	keys Keys
}

// Open reads and opens the secrets file in the site's folder; a missing file is an empty one.
func Open(dir string, s *model.Site, env func(string) string) (*Store, error) {
	path := filepath.Join(dir, s.Secrets.File)
	data, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read the secrets: %w", err)
	}
	return Read(data, path, s, env)
}

// Read opens the content of a secrets file, nil for none, that lies or is to lie at path.
func Read(data []byte, path string, s *model.Site, env func(string) string) (*Store, error) {
	st := &Store{site: s, path: path}
	var err error
	if st.keys, err = FindKeys(env); err != nil {
		return nil, err
	}
	if data == nil {
		st.file, err = New()
		return st, err
	}
	if st.file, err = Parse(data); err != nil {
		return nil, fmt.Errorf("read the secrets %s: %w", st.path, err)
	}
	if len(st.keys.Identities) == 0 {
		return nil, fmt.Errorf("open %s: you have no age key; looked at %s", st.path, strings.Join(st.keys.Looked, ", "))
	}
	if err := st.file.Unlock(st.keys.Identities); err != nil {
		return nil, fmt.Errorf("open %s: %w", st.path, err)
	}
	return st, nil
}

// Path is the file's.
func (s *Store) Path() string { return s.path }

// Missing lists what the site needs, the file has not, and no plane makes.
func (s *Store) Missing() []model.Secret {
	return slices.DeleteFunc(s.site.Inventory(), func(e model.Secret) bool {
		_, ok := s.file.Value(e.Name)
		return ok || e.MadeBy != ""
	})
}

// Complete names everything that is missing, or that its user would not take, at once; of those that only other
// planes than the given ones use, nothing. No planes means all.
func (s *Store) Complete(planes []string) error {
	var list []error
	generator := NewGenerator(s.site)
	for _, e := range s.site.Inventory() {
		if !concerns(e, planes) {
			continue
		}
		v, ok := s.file.Value(e.Name)
		if !ok && e.MadeBy != "" {
			continue
		}
		if !ok {
			list = append(list, fmt.Errorf("  %s (%s)", e.Name, e.Purpose))
		} else if err := generator.Check(e.Name, v); err != nil {
			list = append(list, fmt.Errorf("  %w", err))
		}
	}
	if list == nil {
		return nil
	}
	return fmt.Errorf("%s lacks what the site needs; mailplan secret generate makes what can be made, mailplan secret set the rest:\n%w",
		s.path, errors.Join(list...))
}

// concerns says whether a secret is used on one of the planes: a provider's has that plane's name among its users, a
// key for signing is published by the edge, and all that a service uses is in files of the host.
func concerns(e model.Secret, planes []string) bool {
	providers := []string{"edge", "tailnet", "accounts", "relay", "cloud"}
	for _, p := range planes {
		switch {
		case slices.Contains(e.UsedBy, p), p == "edge" && strings.HasPrefix(e.Purpose, "DKIM key"):
			return true
		case (p == "host" || p == "containers") && slices.ContainsFunc(e.UsedBy, func(u string) bool { return !slices.Contains(providers, u) }):
			return true
		}
	}
	return len(planes) == 0
}

// Value is what a plane asks for.
func (s *Store) Value(name string) (string, error) {
	v, ok := s.file.Value(name)
	if !ok {
		return "", fmt.Errorf("the secret %s, which %s does not have", name, s.path)
	}
	return v, nil
}

// PublicKey derives the p= value of a DKIM key.
func (s *Store) PublicKey(name string) (string, error) {
	private, err := s.Value(name)
	if err != nil {
		return "", err
	}
	_, p, err := dkimkey.Public([]byte(private))
	return p, err
}

// Set changes a value in memory.
func (s *Store) Set(name, value string) error {
	if err := NewGenerator(s.site).Check(name, value); err != nil {
		return err
	}
	return s.file.Set(name, value)
}

// Remove takes a value out, in memory; one that is not there is no error.
func (s *Store) Remove(name string) error { return s.file.Remove(name) }

// Save writes the file.
func (s *Store) Save(now time.Time) error {
	data, err := s.Marshal(now)
	if err != nil {
		return err
	}
	return host.WriteFile(s.path, data, 0o644, nil)
}

// Marshal is the file, sealed for the declared recipients; where none is declared for those it has, and a new file for
// whoever makes it.
func (s *Store) Marshal(now time.Time) ([]byte, error) {
	recipients := s.site.Secrets.Recipients
	if len(recipients) == 0 {
		recipients = s.file.Recipients()
	}
	if len(recipients) == 0 {
		recipients = s.keys.Recipients()
	}
	data, err := s.file.Marshal(recipients, now)
	if err != nil {
		return nil, fmt.Errorf("write %s: %w", s.path, err)
	}
	return data, nil
}
