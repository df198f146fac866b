package edit

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"cuelang.org/go/cue/literal"
)

// Field is one value of a row in a table of users. Value is a string, an int, a []string or a Secret;
// nil takes the field out.
type Field struct {
	Name  string
	Value any
}

// Secret is a value that names a secret.
type Secret string

// CUE writes the value as a CUE expression.
func (f Field) CUE() string {
	switch v := f.Value.(type) {
	case int:
		return strconv.Itoa(v)
	case []string:
		return Strings(v)
	case Secret:
		return "{secret: " + literal.String.Quote(string(v)) + "}"
	}
	return literal.String.Quote(fmt.Sprint(f.Value))
}

// json writes the value as JSON, which is YAML too.
func (f Field) json() string {
	v := f.Value
	if s, ok := v.(Secret); ok {
		v = map[string]string{"secret": string(s)}
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return literal.String.Quote(fmt.Sprint(f.Value)) // only for what is no value of a field
	}
	text := strings.ReplaceAll(strings.TrimSuffix(b.String(), "\n"), `","`, `", "`)
	return strings.Replace(text, `{"secret":`, `{"secret": `, 1)
}

// plain is the value as YAML reads it back.
func (f Field) plain() any {
	switch v := f.Value.(type) {
	case []string:
		list := make([]any, len(v))
		for i := range v {
			list[i] = v[i]
		}
		return list
	case Secret:
		return map[string]any{"secret": string(v)}
	}
	return f.Value
}

// table is a kind of data file. Rows are found by their address; set changes one or adds it.
type table interface {
	set(content []byte, address string, fields []Field) ([]byte, error)
	remove(content []byte, address string) ([]byte, error)
}

func tableOf(name string) (table, error) {
	switch filepath.Ext(name) {
	case ".csv":
		return csvTable{}, nil
	case ".json":
		return jsonTable{}, nil
	case ".yaml", ".yml":
		return yamlTable{}, nil
	}
	return nil, fmt.Errorf("%s is no table of users (CSV, JSON or YAML)", name)
}

// SetRow gives the user of an address these fields in a data file, and adds a row where the file has none: in order
// where the addresses are sorted, else at the end. Fields not named keep what they have.
func SetRow(name string, content []byte, address string, fields []Field) ([]byte, error) {
	t, err := tableOf(name)
	if err != nil {
		return nil, err
	}
	out, err := t.set(content, address, fields)
	if err != nil {
		return nil, fmt.Errorf("%s: %s: %w", name, address, err)
	}
	return out, nil
}

// RemoveRow takes the row of an address out of a data file. ErrAbsent comes back when there is none.
func RemoveRow(name string, content []byte, address string) ([]byte, error) {
	t, err := tableOf(name)
	if err != nil {
		return nil, err
	}
	return t.remove(content, address)
}

// slotOf is where an address belongs among others: in order where they are sorted, else at the end.
func slotOf(have []string, address string) int {
	if len(have) > 1 && slices.IsSorted(have) {
		i, _ := slices.BinarySearch(have, address)
		return i
	}
	return len(have)
}
