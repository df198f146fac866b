// Package accounts writes who receives mail where, as rows for the account database: the desired state of the
// accounts plane, and the file in which a tree tells a reviewer which addresses change. It holds no password,
// only the names of those that Git sets.
package accounts

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/mailplan/mailplan/compiler/model"
)

// Path of the file in a tree.
const Path = model.ProjectDir + "/config/runtime/accounts.json"

// Files writes accounts.json, one row a line so that a diff reads well.
func Files(s *model.Site) ([]model.File, error) {
	a := s.Accounts()
	var b bytes.Buffer
	b.WriteString("{\n\"domains\": ")
	if err := rows(&b, a.Domains); err != nil {
		return nil, err
	}
	b.WriteString(",\n\"users\": ")
	if err := rows(&b, a.Users); err != nil {
		return nil, err
	}
	b.WriteString(",\n\"aliases\": ")
	if err := rows(&b, a.Aliases); err != nil {
		return nil, err
	}
	b.WriteString("\n}\n")
	return []model.File{{Path: Path, Mode: 0o640, Content: b.Bytes(), Reads: []string{"mailserver-api"}, From: "domains"}}, nil
}

func rows[T any](b *bytes.Buffer, list []T) error {
	b.WriteByte('[')
	for i, row := range list {
		data, err := json.Marshal(row)
		if err != nil {
			return fmt.Errorf("accounts: %w", err)
		}
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString("\n ")
		b.Write(data)
	}
	b.WriteByte(']')
	return nil
}

// Parse reads the file of a tree or a host; without content nobody has an account.
func Parse(content []byte) (model.Accounts, error) {
	var a model.Accounts
	if len(content) == 0 {
		return a, nil
	}
	if err := json.Unmarshal(content, &a); err != nil {
		return a, fmt.Errorf("read %s: %w", Path, err)
	}
	return a, nil
}
