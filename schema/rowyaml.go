package schema

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"gopkg.in/yaml.v3"
)

// readYAML reads a list of mappings.
func readYAML(file string, data []byte, _ *structShape) ([]row, Problems) {
	doc, problems := yamlDocument(file, data)
	if doc == nil {
		return nil, problems
	}
	if doc.Kind != yaml.SequenceNode {
		return nil, Problems{{Pos: yamlPos(file, doc), Message: "want a list of users, - address: …"}}
	}
	var rows []row
	for i, item := range doc.Content {
		u := row{number: i + 1, pos: yamlPos(file, item)}
		n, err := yamlValue(item, 0)
		if err == nil && n.kind != kindStruct {
			err = fmt.Errorf("found %s, want a mapping", n.phrase(n.String()))
		}
		if err != nil {
			problems = append(problems, Problem{Pos: u.pos, Message: fmt.Sprintf("row %d: %v", u.number, err)})
			continue
		}
		u.take(n)
		rows = append(rows, u)
	}
	return rows, problems
}

func yamlPos(file string, n *yaml.Node) Pos { return Pos{File: file, Line: n.Line, Column: n.Column} }

// yamlDocument is the one document of a file; an empty file has none.
func yamlDocument(file string, data []byte) (*yaml.Node, Problems) {
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc yaml.Node
	if err := dec.Decode(&doc); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, nil
		}
		return nil, Problems{{Pos: yamlErrorPos(file, err), Message: "not YAML: " + yamlErrorText(err)}}
	}
	var more yaml.Node
	if err := dec.Decode(&more); !errors.Is(err, io.EOF) {
		return nil, Problems{{Pos: Pos{File: file}, Message: "has more than one document"}}
	}
	if len(doc.Content) == 0 {
		return nil, nil
	}
	return doc.Content[0], nil
}

// yamlErrorPos takes the line out of the reader's words, which is the only place that has it.
func yamlErrorPos(file string, err error) Pos {
	pos := Pos{File: file}
	_, _ = fmt.Sscanf(err.Error(), "yaml: line %d:", &pos.Line)
	return pos
}

func yamlErrorText(err error) string {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	if rest, ok := strings.CutPrefix(text, "line "); ok {
		if _, after, ok := strings.Cut(rest, ": "); ok {
			return after
		}
	}
	return text
}

func yamlValue(n *yaml.Node, depth int) (node, error) {
	if depth > maxDepth {
		return node{}, errDeep
	}
	switch n.Kind {
	case yaml.ScalarNode:
		return yamlScalar(n)
	case yaml.SequenceNode:
		list := node{kind: kindList}
		for _, item := range n.Content {
			v, err := yamlValue(item, depth+1)
			if err != nil {
				return node{}, err
			}
			list.list = append(list.list, v)
		}
		return list, nil
	case yaml.MappingNode:
		return yamlMapping(n, depth)
	}
	return node{}, fmt.Errorf("anchors and aliases can't be used here")
}

func yamlMapping(n *yaml.Node, depth int) (node, error) {
	var set fieldSet
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		if key.Kind != yaml.ScalarNode {
			return node{}, fmt.Errorf("a key must be a name")
		}
		value, err := yamlValue(n.Content[i+1], depth+1)
		if err != nil {
			return node{}, err
		}
		if !set.add(key.Value, value) {
			return node{}, fmt.Errorf("%q is written twice", key.Value)
		}
	}
	return set.node(), nil
}

func yamlScalar(n *yaml.Node) (node, error) {
	switch n.ShortTag() {
	case "!!int", "!!float":
		v, ok := number(n.Value)
		if !ok {
			return node{}, fmt.Errorf("%q: write the number in decimal, or in quotes", n.Value)
		}
		return v, nil
	case "!!bool":
		return node{kind: kindBool, truth: strings.EqualFold(n.Value, "true")}, nil
	case "!!null":
		return node{kind: kindNull}, nil
	}
	return textNode(n.Value), nil // dates included
}
