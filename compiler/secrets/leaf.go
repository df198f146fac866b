package secrets

import (
	"crypto/sha512"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"
)

// leaf is one value of the file.
type leaf struct {
	node   *yaml.Node
	name   string // nested keys joined by a slash; empty for an item of a list
	bound  string // its place, which the seal is bound to
	sealed bool   // false where the file's rules leave it readable
	kind   string // type of a sealed value
	plain  []byte // as the MAC counts it
	dirty  bool   // plain is newer than the node
}

// open fills in plain.
func (l *leaf) open(key []byte) (err error) {
	if !l.sealed {
		l.plain, err = readable(l.node)
	} else {
		l.plain, l.kind, err = openValue(l.node.Value, key, l.bound)
	}
	if err != nil {
		return fmt.Errorf("line %d: %s: %w", l.node.Line, strings.TrimSuffix(l.bound, ":"), err)
	}
	return nil
}

// seal brings the node up to date.
func (l *leaf) seal(key []byte) error {
	if !l.dirty || !l.sealed {
		return nil
	}
	sealed, err := sealValue(l.plain, l.kind, key, l.bound)
	if err != nil {
		return err
	}
	l.node.SetString(sealed)
	l.node.Style = 0
	l.dirty = false
	return nil
}

// mac is what binds the values together: SHA-512 over them in their order, in hexadecimal capitals.
func (f *File) mac() []byte {
	h := sha512.New()
	if f.meta.MACOnlyEncrypted {
		h.Write(macOnlyEncrypted)
	}
	for _, l := range f.leaves {
		if l.kind != kindComment && (l.sealed || !f.meta.MACOnlyEncrypted) {
			h.Write(l.plain)
		}
	}
	return fmt.Appendf(nil, "%X", h.Sum(nil))
}

// macOnlyEncrypted is what sops begins such a MAC with, so that it never equals one over all values.
var macOnlyEncrypted = []byte{0x8a, 0x3f, 0xd2, 0xad, 0x54, 0xce, 0x66, 0x52, 0x7b, 0x10, 0x34, 0xf3, 0xd1, 0x47, 0xbe, 0xb, 0xb, 0x97, 0x5b, 0x3b, 0xf4, 0x4f, 0x72, 0xc6, 0xfd, 0xad, 0xec, 0x81, 0x76, 0xf2, 0x7d, 0x69}

// readable is a value that the file's rules leave open, as sops counts it.
func readable(n *yaml.Node) ([]byte, error) {
	var v any
	if err := n.Decode(&v); err != nil {
		return nil, err
	}
	switch v := v.(type) {
	case nil:
		return nil, nil
	case string:
		return []byte(v), nil
	case int:
		return strconv.AppendInt(nil, int64(v), 10), nil
	case float64:
		return strconv.AppendFloat(nil, v, 'f', -1, 64), nil
	case bool:
		if v {
			return []byte("True"), nil
		}
		return []byte("False"), nil
	case time.Time:
		return v.MarshalText()
	}
	return nil, fmt.Errorf("%T is no value of a secrets file", v)
}

// walker lists leaves in the order in which sops walks them.
type walker struct {
	sealed rules
	seen   map[string]bool
	leaves []*leaf
}

func (w *walker) mapping(n *yaml.Node, path []string) error {
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if len(path) == 0 && key.Value == metadataKey {
			continue
		}
		if key.Kind != yaml.ScalarNode || key.ShortTag() != "!!str" {
			return fmt.Errorf("line %d: a name must be text", key.Line)
		}
		if err := w.value(value, append(path[:len(path):len(path)], key.Value), true); err != nil {
			return err
		}
	}
	return nil
}

func (w *walker) value(n *yaml.Node, path []string, named bool) error {
	switch {
	case len(path) > maxDepth:
		return fmt.Errorf("line %d: nested deeper than %d", n.Line, maxDepth)
	case n.Anchor != "" || n.Kind == yaml.AliasNode:
		return fmt.Errorf("line %d: anchors have no place in a secrets file", n.Line)
	case n.Kind == yaml.MappingNode:
		return w.mapping(n, path)
	case n.Kind == yaml.SequenceNode:
		for _, item := range n.Content {
			if item.Kind == yaml.SequenceNode {
				return fmt.Errorf("line %d: a list in a list has no place in a secrets file", item.Line)
			}
			if err := w.value(item, path, false); err != nil {
				return err
			}
		}
		return nil
	}
	return w.scalar(n, path, named)
}

func (w *walker) scalar(n *yaml.Node, path []string, named bool) error {
	l := &leaf{node: n, bound: strings.Join(path, ":") + ":", sealed: w.sealed(path)}
	if n.ShortTag() == "!!null" {
		l.sealed = false // sops leaves nothing as it is
	}
	if named {
		l.name = strings.Join(path, "/")
		if w.seen[l.name] {
			return fmt.Errorf("line %d: %s stands twice", n.Line, l.name)
		}
		w.seen[l.name] = true
	}
	w.leaves = append(w.leaves, l)
	return nil
}

// resealComments seals comments with a new key. sops binds a comment to the place of the mapping it stands in; which
// one that is depends on the blank lines around it, so each of the places above is tried. What does not open was
// never sealed.
func resealComments(n *yaml.Node, places []string, old, new []byte) {
	for _, comment := range []*string{&n.HeadComment, &n.LineComment, &n.FootComment} {
		lines := strings.Split(*comment, "\n")
		for i, line := range lines {
			lines[i] = resealComment(line, append([]string{":"}, places...), old, new)
		}
		*comment = strings.Join(lines, "\n")
	}
	step := 1
	if n.Kind == yaml.MappingNode {
		step = 2
	}
	for i := 0; i+step-1 < len(n.Content); i += step {
		below := places
		if step == 2 {
			path := n.Content[i].Value + ":"
			if len(places) > 0 {
				path = places[len(places)-1] + path
			}
			below = append(places[:len(places):len(places)], path)
			resealComments(n.Content[i], below, old, new)
		}
		resealComments(n.Content[i+step-1], below, old, new)
	}
}

func resealComment(line string, places []string, old, new []byte) string {
	body, ok := strings.CutPrefix(line, "#")
	if !ok || body == "" {
		return line
	}
	for _, place := range places {
		plain, kind, err := openValue(body, old, place)
		if errors.Is(err, errFormat) {
			return line
		}
		if err != nil {
			continue
		}
		if sealed, err := sealValue(plain, kind, new, place); err == nil {
			return "#" + sealed
		}
	}
	return line
}
