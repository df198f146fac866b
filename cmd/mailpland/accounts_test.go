package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/mailplan/mailplan/runtime/accounts"
	"github.com/mailplan/mailplan/runtime/config"
	machine "github.com/mailplan/mailplan/test/daemon"
)

// TestAccounts changes the database by what comes on standard input, and prints what it has then.
func TestAccounts(t *testing.T) {
	schema, err := os.ReadFile("../../compiler/emit/mariadb/files/initdb/10-schema.sql")
	if err != nil {
		t.Fatal(err)
	}
	server := machine.StartMariaDB(t)
	if err := server.Load(string(schema) + "CREATE USER 'u'@'%' IDENTIFIED BY 'pw'; GRANT ALL ON mailserver.* TO 'u'@'%';"); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	conf := config.Config{Accounts: &config.Accounts{Address: "127.0.0.1:" + strconv.Itoa(server.Port), User: "u", Database: "mailserver", PasswordFile: filepath.Join(dir, "pw")}}
	text, err := json.Marshal(conf)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "mailpland.json")
	for file, content := range map[string]string{conf.Accounts.PasswordFile: "pw\n", path: string(text)} {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run := func(verb, in string) (string, error) {
		cmd := newAccountsCmd()
		var out strings.Builder
		cmd.SetArgs([]string{verb, "--config", path})
		cmd.SetIn(strings.NewReader(in))
		cmd.SetOut(&out)
		cmd.SilenceErrors, cmd.SilenceUsage = true, true
		err := cmd.ExecuteContext(t.Context())
		return out.String(), err
	}
	if out, err := run("apply", `[{"new": {"domain": {"name": "a.example", "state": "active", "subaddress": true}}}]`); err != nil || out != "" {
		t.Fatalf("%q, %v", out, err)
	}
	out, err := run("read", "")
	var rows accounts.Rows
	if err := json.Unmarshal([]byte(out), &rows); err != nil || len(rows.Domains) != 1 || rows.Domains[0].Name != "a.example" {
		t.Errorf("%q, %v", out, err)
	}
	if out, err := run("edits", ""); err != nil || out != "[]\n" {
		t.Errorf("%q, %v", out, err)
	}
	if _, err := run("answer", `[]`); err != nil {
		t.Error(err)
	}
	for verb, in := range map[string]string{"apply": `[{"newer": {}}]`, "answer": `{`} {
		if _, err := run(verb, in); err == nil || !strings.Contains(err.Error(), "standard input") {
			t.Errorf("%s takes %s: %v", verb, in, err)
		}
	}
	if err != nil {
		t.Error(err)
	}
}
