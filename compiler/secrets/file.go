// Package secrets reads and writes the secrets file of a site: the YAML format of SOPS (getsops.io, version 3) with
// age recipients, so that the sops command and mailplan work on the same file. Names stay readable, values are sealed
// one by one (AES-256-GCM, bound to their place) and together (MAC), values are opened in memory only. It knows no
// plane and no service; other master keys than age (KMS, PGP) are kept where they stand, and never used.
package secrets

import (
	"bytes"
	"crypto/hmac"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"filippo.io/age"
	"gopkg.in/yaml.v3"
)

// What a secrets file may be, far above any real one.
const (
	maxSize  = 4 << 20
	maxDepth = 16
)

// File is a secrets file. After Parse its names are known; after Unlock its values are too.
type File struct {
	doc    *yaml.Node // the document
	root   *yaml.Node // its mapping
	meta   metadata
	key    []byte // the data key, once unlocked
	leaves []*leaf
}

// New is an empty file, unlocked.
func New() (*File, error) {
	key, err := newDataKey()
	if err != nil {
		return nil, err
	}
	root := &yaml.Node{Kind: yaml.MappingNode}
	return &File{doc: &yaml.Node{Kind: yaml.DocumentNode, Content: []*yaml.Node{root}}, root: root, key: key,
		meta: metadata{UnencryptedSuffix: "_unencrypted", Version: formatVersion}}, nil
}

// Parse reads a file without opening it.
func Parse(data []byte) (*File, error) {
	if len(data) > maxSize {
		return nil, fmt.Errorf("larger than %d MiB", maxSize>>20)
	}
	f := &File{doc: &yaml.Node{}}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	if err := dec.Decode(f.doc); err != nil {
		return nil, err
	}
	if dec.Decode(&yaml.Node{}) != io.EOF {
		return nil, errors.New("more than one YAML document")
	}
	f.root = f.doc.Content[0]
	if f.root.Kind != yaml.MappingNode {
		return nil, errors.New("want names and values of secrets")
	}
	block := lookup(f.root, metadataKey)
	if block == nil {
		return nil, errors.New("not encrypted: it has no sops block")
	}
	if err := f.meta.read(block); err != nil {
		return nil, err
	}
	return f, f.collect()
}

// collect lists the leaves, and refuses a name that stands twice.
func (f *File) collect() error {
	f.leaves = nil
	w := walker{sealed: f.meta.rules(), seen: map[string]bool{}}
	if err := w.mapping(f.root, nil); err != nil {
		return err
	}
	f.leaves = w.leaves
	return nil
}

// Names lists the names of all values in the order of the file, nested keys joined by a slash.
func (f *File) Names() []string {
	names := make([]string, 0, len(f.leaves))
	for _, l := range f.leaves {
		if l.name != "" {
			names = append(names, l.name)
		}
	}
	return names
}

// Recipients are the age public keys that can open the file.
func (f *File) Recipients() []string {
	var list []string
	for _, r := range f.meta.Age {
		list = append(list, r.Recipient)
	}
	return list
}

// Unlock opens every value and checks that together they are what was written.
func (f *File) Unlock(identities []age.Identity) error {
	key, err := f.meta.dataKey(identities)
	if err != nil {
		return err
	}
	for _, l := range f.leaves {
		if err := l.open(key); err != nil {
			return err
		}
	}
	mac, _, err := openValue(f.meta.MAC, key, f.meta.LastModified)
	if err != nil {
		return fmt.Errorf("its MAC: %w", err)
	}
	if !hmac.Equal(mac, f.mac()) {
		return errors.New("its MAC does not match: it was changed without sops or mailplan")
	}
	f.key = key
	return nil
}

// Value is a secret by its name; ok is false when the file has none, or an empty one.
func (f *File) Value(name string) (value string, ok bool) {
	for _, l := range f.leaves {
		if l.name == name {
			return string(l.plain), len(l.plain) > 0
		}
	}
	return "", false
}

// Set puts a value under a name: where the name already stands, else in the mapping whose name it begins with,
// else at the end.
func (f *File) Set(name, value string) error {
	if value == "" {
		return fmt.Errorf("the value of %s is empty", name)
	}
	if err := f.place(f.root, name); err != nil {
		return err
	}
	for _, l := range f.leaves {
		if l.name != name {
			continue
		}
		if !l.sealed {
			return fmt.Errorf("%s would stay readable by the file's own rules: name it otherwise", name)
		}
		l.plain, l.kind, l.dirty = []byte(value), kindString, true
	}
	return nil
}

// Remove takes a name and its value out; one that is not there is no error.
func (f *File) Remove(name string) error {
	if !remove(f.root, name) {
		return nil
	}
	return f.recollect()
}

func remove(in *yaml.Node, name string) bool {
	for i := 0; i+1 < len(in.Content); i += 2 {
		key, value := in.Content[i].Value, in.Content[i+1]
		if key == name && value.Kind == yaml.ScalarNode {
			in.Content = slices.Delete(in.Content, i, i+2)
			return true
		}
		if rest, below := strings.CutPrefix(name, key+"/"); below && value.Kind == yaml.MappingNode && remove(value, rest) {
			return true
		}
	}
	return false
}

// place makes room for a name that is not there, and keeps what is known of the others.
func (f *File) place(in *yaml.Node, name string) error {
	for i := 0; i+1 < len(in.Content); i += 2 {
		key, value := in.Content[i].Value, in.Content[i+1]
		rest, below := strings.CutPrefix(name, key+"/")
		switch {
		case key == name && value.Kind != yaml.ScalarNode:
			return fmt.Errorf("%s holds other names, it can't be a value", name)
		case key == name:
			return nil
		case below && value.Kind == yaml.MappingNode:
			return f.place(value, rest)
		}
	}
	in.Content = append(in.Content, text(name), text(""))
	return f.recollect()
}

// recollect lists the leaves again and keeps what is known of those that stay.
func (f *File) recollect() error {
	known := f.leaves
	if err := f.collect(); err != nil {
		return err
	}
	for _, l := range f.leaves {
		for _, old := range known {
			if old.node == l.node {
				*l = *old
			}
		}
	}
	return nil
}

// Marshal writes the file for these recipients. A recipient that is taken away makes a new data key; without one
// taken away, sealed values that did not change stay byte for byte. The file must be unlocked.
func (f *File) Marshal(recipients []string, now time.Time) ([]byte, error) {
	if f.key == nil {
		return nil, errors.New("write the secrets file: it is not unlocked")
	}
	if err := f.address(recipients); err != nil {
		return nil, err
	}
	for _, l := range f.leaves {
		if err := l.seal(f.key); err != nil {
			return nil, err
		}
	}
	f.meta.LastModified = now.UTC().Format(time.RFC3339)
	mac, err := sealValue(f.mac(), kindString, f.key, f.meta.LastModified)
	if err != nil {
		return nil, err
	}
	f.meta.MAC = mac
	f.meta.write(f.root)
	var b bytes.Buffer
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(4) // as sops does
	if err := enc.Encode(f.doc); err != nil {
		return nil, fmt.Errorf("write the secrets file: %w", err)
	}
	return b.Bytes(), enc.Close()
}

// address sets who can open the file.
func (f *File) address(recipients []string) error {
	gone, err := f.meta.address(recipients, f.key)
	if err != nil || !gone {
		return err
	}
	key, err := newDataKey()
	if err != nil {
		return err
	}
	resealComments(f.root, nil, f.key, key)
	for _, l := range f.leaves {
		l.dirty = true
	}
	f.key, f.meta.Age = key, nil
	_, err = f.meta.address(recipients, key)
	return err
}

func text(s string) *yaml.Node { return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s} }

func lookup(mapping *yaml.Node, key string) *yaml.Node {
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if mapping.Content[i].Value == key {
			return mapping.Content[i+1]
		}
	}
	return nil
}
