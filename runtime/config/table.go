package config

import (
	"encoding/json"
	"fmt"
	"os"
)

// Table is the compiled recipient table: which addresses exist and where their mail goes. All names
// are lower case; domains are in their ASCII form.
type Table struct {
	Domains map[string]TableDomain `json:"domains"`
}

// TableDomain is one domain of the table. For a localpart the order is: alias, user, the same two
// without the subaddress, catch-all.
type TableDomain struct {
	Users      []string            `json:"users,omitempty"`      // localparts of mailboxes, sorted
	Refused    []string            `json:"refused,omitempty"`    // localparts that take no mail, catch-all or not (retired), sorted
	Aliases    map[string][]string `json:"aliases,omitempty"`    // localpart -> localparts of this domain or whole addresses
	CatchAll   []string            `json:"catchAll,omitempty"`   // targets of every other localpart, written as in Aliases
	Subaddress string              `json:"subaddress,omitempty"` // separator of RFC 5233 details, such as +; empty: none
}

// LoadTable reads the recipient table at path; unknown keys are refused.
func LoadTable(path string) (*Table, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read recipient table: %w", err)
	}
	t, err := ParseTable(data)
	if err != nil {
		return nil, fmt.Errorf("recipient table %s: %w", path, err)
	}
	return t, nil
}

// ParseTable reads a recipient table. The error of a wrong one is of type [Problems].
func ParseTable(data []byte) (*Table, error) {
	var t Table
	if found := decode(data, &t); len(found) > 0 {
		return nil, found
	}
	return &t, nil
}

// Bytes is the table as it stands in its file: indented JSON with sorted keys.
func (t *Table) Bytes() ([]byte, error) {
	b, err := json.MarshalIndent(t, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write recipient table: %w", err)
	}
	return append(b, '\n'), nil
}
