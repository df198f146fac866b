package secrets

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	"filippo.io/age"
	"filippo.io/age/armor"
	"gopkg.in/yaml.v3"
)

const (
	metadataKey   = "sops"
	formatVersion = "3.13.3" // of the format that is written
)

// metadata is the sops block, as far as mailplan uses it; what else stands in it is kept.
type metadata struct {
	Age              []recipient `yaml:"age"`
	LastModified     string      `yaml:"lastmodified"` // RFC 3339, as the MAC is bound to it
	MAC              string      `yaml:"mac"`
	Version          string      `yaml:"version"`
	MACOnlyEncrypted bool        `yaml:"mac_only_encrypted"`

	UnencryptedSuffix string `yaml:"unencrypted_suffix"`
	EncryptedSuffix   string `yaml:"encrypted_suffix"`
	UnencryptedRegex  string `yaml:"unencrypted_regex"`
	EncryptedRegex    string `yaml:"encrypted_regex"`

	UnencryptedCommentRegex string    `yaml:"unencrypted_comment_regex"`
	EncryptedCommentRegex   string    `yaml:"encrypted_comment_regex"`
	KeyGroups               yaml.Node `yaml:"key_groups"`

	others  []string // further kinds of master keys
	matches [2]*regexp.Regexp
}

// recipient is the data key for one age public key.
type recipient struct {
	Recipient string `yaml:"recipient"`
	Enc       string `yaml:"enc"`
}

func (m *metadata) read(block *yaml.Node) (err error) {
	if err := block.Decode(m); err != nil {
		return fmt.Errorf("sops block: %w", err)
	}
	if !m.KeyGroups.IsZero() {
		return errors.New("sops block: key groups need several people at once, an apply can't")
	}
	if m.UnencryptedCommentRegex != "" || m.EncryptedCommentRegex != "" {
		return errors.New("sops block: rules by comment are not supported; use encrypted_regex")
	}
	for i, expr := range []string{m.UnencryptedRegex, m.EncryptedRegex} {
		if expr == "" {
			continue
		}
		if m.matches[i], err = regexp.Compile(expr); err != nil {
			return fmt.Errorf("sops block: %w", err)
		}
	}
	modified, err := time.Parse(time.RFC3339, m.LastModified)
	if err != nil {
		return fmt.Errorf("sops block: lastmodified: %w", err)
	}
	m.LastModified = modified.Format(time.RFC3339)
	for _, kind := range []string{"kms", "gcp_kms", "hckms", "azure_kv", "hc_vault", "pgp"} {
		if n := lookup(block, kind); n != nil && len(n.Content) > 0 {
			m.others = append(m.others, kind)
		}
	}
	return nil
}

// rules says which values are sealed, by their path.
type rules func(path []string) bool

// rules are by the names on the way to a value. Without any, sops takes the suffix _unencrypted.
func (m *metadata) rules() rules {
	has := func(match func(string) bool) rules {
		return func(path []string) bool { return slices.ContainsFunc(path, match) }
	}
	suffix := func(end string) rules { return has(func(s string) bool { return strings.HasSuffix(s, end) }) }
	not := func(r rules) rules { return func(path []string) bool { return !r(path) } }
	switch {
	case m.EncryptedRegex != "":
		return has(m.matches[1].MatchString)
	case m.UnencryptedRegex != "":
		return not(has(m.matches[0].MatchString))
	case m.EncryptedSuffix != "":
		return suffix(m.EncryptedSuffix)
	case m.UnencryptedSuffix != "":
		return not(suffix(m.UnencryptedSuffix))
	}
	return not(suffix("_unencrypted"))
}

// dataKey opens the data key with the first identity that can.
func (m *metadata) dataKey(identities []age.Identity) ([]byte, error) {
	if len(m.Age) == 0 {
		return nil, errors.New("it has no age recipient: add one with sops")
	}
	var names []string
	for _, r := range m.Age {
		names = append(names, r.Recipient)
		plain, err := age.Decrypt(armor.NewReader(strings.NewReader(r.Enc)), identities...)
		if err != nil {
			continue
		}
		key, err := io.ReadAll(io.LimitReader(plain, keySize+1))
		if err == nil && len(key) == keySize {
			return key, nil
		}
	}
	return nil, fmt.Errorf("none of your age keys opens it; it is for %s", strings.Join(names, ", "))
}

// address gives the data key to recipients that have it not; gone says that others have it who should not.
func (m *metadata) address(recipients []string, key []byte) (gone bool, err error) {
	if len(recipients) == 0 {
		return false, errors.New("nobody could open it: declare secrets: recipients with an age public key")
	}
	for _, r := range m.Age {
		if !slices.Contains(recipients, r.Recipient) {
			gone = true
		}
	}
	if gone && len(m.others) > 0 {
		return false, fmt.Errorf("a recipient is to be taken away, which needs a new data key for %s too: run sops rotate", strings.Join(m.others, ", "))
	}
	for _, name := range recipients {
		if slices.ContainsFunc(m.Age, func(r recipient) bool { return r.Recipient == name }) {
			continue
		}
		enc, err := wrap(key, name)
		if err != nil {
			return false, err
		}
		m.Age = append(m.Age, recipient{Recipient: name, Enc: enc})
	}
	return gone, nil
}

// wrap seals the data key for one recipient.
func wrap(key []byte, name string) (string, error) {
	to, err := age.ParseRecipients(strings.NewReader(name))
	if err != nil {
		return "", fmt.Errorf("recipient %s: %w", name, err)
	}
	var b bytes.Buffer
	outer := armor.NewWriter(&b)
	inner, err := age.Encrypt(outer, to...)
	if err == nil {
		_, err = inner.Write(key)
		err = errors.Join(err, inner.Close(), outer.Close())
	}
	if err != nil {
		return "", fmt.Errorf("recipient %s: %w", name, err)
	}
	return b.String(), nil
}

// write puts the block at the end of the file, keeping what is not ours.
func (m *metadata) write(root *yaml.Node) {
	block := lookup(root, metadataKey)
	if block == nil {
		block = &yaml.Node{Kind: yaml.MappingNode}
		root.Content = append(root.Content, text(metadataKey), block)
		set(block, "age", &yaml.Node{Kind: yaml.SequenceNode})
		set(block, "lastmodified", text(""))
		set(block, "mac", text(""))
		set(block, "unencrypted_suffix", text(m.UnencryptedSuffix))
	}
	moveLast(root, metadataKey)
	ages := &yaml.Node{Kind: yaml.SequenceNode}
	for _, r := range m.Age {
		entry, enc := &yaml.Node{Kind: yaml.MappingNode}, text(r.Enc)
		enc.Style = yaml.LiteralStyle
		set(entry, "recipient", text(r.Recipient))
		set(entry, "enc", enc)
		ages.Content = append(ages.Content, entry)
	}
	set(block, "age", ages)
	modified := text(m.LastModified)
	modified.Style = yaml.DoubleQuotedStyle // else a YAML time
	set(block, "lastmodified", modified)
	set(block, "mac", text(m.MAC))
	if lookup(block, "version") == nil {
		set(block, "version", text(formatVersion))
	}
}

// set replaces or adds a value of a mapping.
func set(mapping *yaml.Node, key string, value *yaml.Node) {
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if mapping.Content[i].Value == key {
			mapping.Content[i+1] = value
			return
		}
	}
	mapping.Content = append(mapping.Content, text(key), value)
}

func moveLast(mapping *yaml.Node, key string) {
	c := mapping.Content
	for i := 0; i+3 < len(c); i += 2 {
		if c[i].Value == key {
			k, v := c[i], c[i+1]
			mapping.Content = append(slices.Delete(c, i, i+2), k, v)
			return
		}
	}
}
