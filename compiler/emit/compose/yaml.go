package compose

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/compose-spec/compose-go/v2/types"
	"gopkg.in/yaml.v3"
)

// render writes the project as YAML: services in start order rather than by name, and every reason above
// its key. compose-go knows neither.
func render(p *types.Project, order []string, reasons map[string]string) ([]byte, error) {
	plain, err := p.MarshalYAML()
	if err != nil {
		return nil, fmt.Errorf("write the compose project: %w", err)
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(plain, &doc); err != nil {
		return nil, fmt.Errorf("read the compose project back: %w", err)
	}
	root := doc.Content[0]
	sortServices(value(root, "services"), order)
	if err := comment(root, reasons); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	enc := yaml.NewEncoder(&out)
	enc.SetIndent(2)
	if err := enc.Encode(&doc); err != nil {
		return nil, fmt.Errorf("write the compose project: %w", err)
	}
	return out.Bytes(), nil
}

// sortServices orders the pairs of a mapping.
func sortServices(m *yaml.Node, order []string) {
	pairs := slices.Collect(slices.Chunk(m.Content, 2))
	slices.SortStableFunc(pairs, func(a, b []*yaml.Node) int {
		return slices.Index(order, a[0].Value) - slices.Index(order, b[0].Value)
	})
	m.Content = slices.Concat(pairs...)
}

// comment puts each reason above the key it is for; a path that is not there is a mistake of this package.
func comment(root *yaml.Node, reasons map[string]string) error {
	for path, reason := range reasons {
		node := root
		keys := bytes.Split([]byte(path), []byte("/"))
		for i, k := range keys {
			key := keyNode(node, string(k))
			if key == nil {
				return fmt.Errorf("no %s in the compose project to give a reason for", path)
			}
			if i == len(keys)-1 {
				key.HeadComment = reason
				break
			}
			node = value(node, string(k))
		}
	}
	return nil
}

func keyNode(m *yaml.Node, key string) *yaml.Node {
	for i := 0; i < len(m.Content); i += 2 {
		if m.Content[i].Value == key {
			return m.Content[i]
		}
	}
	return nil
}

func value(m *yaml.Node, key string) *yaml.Node {
	for i := 0; i < len(m.Content); i += 2 {
		if m.Content[i].Value == key {
			return m.Content[i+1]
		}
	}
	return nil
}
