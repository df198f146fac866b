package postfix_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/mailplan/mailplan/compiler/emit/emittest"
	"github.com/mailplan/mailplan/compiler/emit/mariadb"
	"github.com/mailplan/mailplan/compiler/emit/postfix"
	"github.com/mailplan/mailplan/test/daemon"
)

const accounts = `USE mailserver;
INSERT INTO domains (id, name, state) VALUES (1, 'example.com', 'active'), (2, 'old.example', 'retired');
INSERT INTO users (id, email, password_hash, domain_id, is_active, state) VALUES
	(1, 'alice@example.com', 'x', 1, 1, 'active'), (2, 'bob@example.com', 'x', 1, 1, 'active'),
	(3, 'gone@example.com', 'x', 1, 0, 'retired'), (4, 'barred@example.com', 'x', 1, 0, 'active'), (5, 'eve@old.example', 'x', 2, 1, 'active');
INSERT INTO aliases (source, destination, domain_id) VALUES
	('sales@example.com', 'alice@example.com', 1), ('sales@example.com', 'bob@example.com', 1), ('sales@example.com', 'crm@partner.example', 1),
	('left@example.com', 'gone@example.com', 1), ('@example.com', 'alice@example.com', 1), ('info@old.example', 'alice@example.com', 2);
INSERT INTO send_as (user_id, address) VALUES (2, 'ceo@partner.example'), (3, 'board@partner.example');
`

// TestSenders asks the emitted query, as Postfix' own account, who may send as an address.
func TestSenders(t *testing.T) {
	db := daemon.StartMariaDB(t)
	s := emittest.Site()
	schema := emittest.Text(t, emittest.Emit(t, mariadb.Files, s), "config/mariadb/initdb/10-schema.sql")
	if err := db.Load(schema + accounts); err != nil {
		t.Fatal(err)
	}
	table := emittest.Text(t, emittest.Emit(t, postfix.Files, s), "config/postfix/mysql-sender-login.cf")
	query := regexp.MustCompile(`(?s)query = (.*)`).FindStringSubmatch(table)[1]
	query = strings.ReplaceAll(query, "%%", "%")
	for address, want := range map[string][]string{
		"alice@example.com":     {"alice@example.com"},
		"Alice@Example.com":     {"alice@example.com"},
		"sales@example.com":     {"alice@example.com", "bob@example.com"},
		"ceo@partner.example":   {"bob@example.com"},
		"board@partner.example": nil, // of one who left
		"left@example.com":      nil,
		"gone@example.com":      nil,
		"barred@example.com":    nil,
		"eve@old.example":       nil,
		"info@old.example":      nil,
		"@example.com":          nil, // a catch-all grants nothing
		"alice":                 nil,
	} {
		out, err := db.Query("USE mailserver; " + strings.ReplaceAll(query, "%s", address))
		if err != nil {
			t.Fatal(err)
		}
		got := strings.Fields(out)
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("as %s may send %v, want %v", address, got, want)
		}
	}
}
