package schema

import (
	"errors"
	"fmt"
	"io/fs"
	"path"

	"gopkg.in/yaml.v3"
)

// data reads the users of data files.
func (l *loader) data(src *Source, layout *userLayout) error {
	checker := newRowChecker(layout, l.shapes, l.schema)
	for _, name := range []string{"users.json", "users.yaml", "users.yml", "users.csv"} {
		data, err := l.maybe(name)
		if err != nil {
			return err
		}
		if data == nil {
			continue
		}
		rows, problems := rowReaders[name](l.at(name), data, layout.columns())
		l.problems = append(l.problems, problems...)
		src.Users = checker.check(src.Users, rows)
	}
	l.problems = append(l.problems, checker.problems...)
	return nil
}

// maybe reads a file that need not be there; nil means it is not.
func (l *loader) maybe(name string) ([]byte, error) {
	if _, err := fs.Stat(l.fsys, path.Join(l.sub, name)); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	data, err := l.read(name)
	if data == nil && err == nil {
		data = []byte{}
	}
	return data, err
}

// secrets reads the names in the secrets file.
func (l *loader) secrets(src *Source) error {
	name, err := src.Value.LookupPath(secretsFile).String()
	if err != nil {
		return fmt.Errorf("read secrets.file: %w", err)
	}
	data, err := l.maybe(name)
	if err != nil || data == nil {
		return err
	}
	doc, problems := yamlDocument(l.at(name), data)
	l.problems = append(l.problems, problems...)
	src.secrets = []string{}
	switch {
	case doc == nil:
	case doc.Kind != yaml.MappingNode:
		l.problems = append(l.problems, Problem{Pos: yamlPos(l.at(name), doc), Message: "want names and values of secrets"})
	default:
		src.secretNames("", doc, 0)
	}
	return nil
}

// secretNames collects the names below a mapping; those of SOPS itself are none.
func (s *Source) secretNames(prefix string, n *yaml.Node, depth int) {
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if prefix == "" && key.Value == "sops" {
			continue
		}
		name := prefix + key.Value
		if value.Kind == yaml.MappingNode && depth < maxDepth {
			s.secretNames(name+"/", value, depth+1)
			continue
		}
		s.secrets = append(s.secrets, name)
	}
}
