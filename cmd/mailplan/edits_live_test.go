package main

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	_ "github.com/go-sql-driver/mysql"

	"github.com/mailplan/mailplan/compiler"
	"github.com/mailplan/mailplan/compiler/model"
	"github.com/mailplan/mailplan/runtime/accounts"
	"github.com/mailplan/mailplan/runtime/accounts/mariadb"
	"github.com/mailplan/mailplan/test/daemon"
	"github.com/mailplan/mailplan/test/need"
	"github.com/mailplan/mailplan/test/sshd"
)

// docker on the host of the test has one container, in which the mailpland of the test runs with a configuration of its own.
const docker = `#!/bin/sh
case "$1" in
ps) echo c1 ;;
exec) shift 3; exec %s "$2" "$3" --config %s ;;
esac
`

// TestEditsOfALiveHost answers edits that lie in a real MariaDB, asked for as the console does, over a real sshd and by the real
// mailpland, without a key that opens the site's secrets: proposed on a branch, made on main once confirmed, refused with why.
func TestEditsOfALiveHost(t *testing.T) {
	need.Program(t, "git")
	bin := t.TempDir()
	if out, err := exec.Command("go", "build", "-o", bin, "../mailpland").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	conf := filepath.Join(bin, "mailpland.json")
	if err := os.WriteFile(filepath.Join(bin, "docker"), fmt.Appendf(nil, docker, filepath.Join(bin, "mailpland"), conf), 0o700); err != nil {
		t.Fatal(err)
	}
	ssh := sshd.Start(t, "SetEnv PATH="+bin+":"+os.Getenv("PATH"))
	for name, value := range map[string]string{"MAILPLAN_SSH_KEY": ssh.KeyFile, "MAILPLAN_KNOWN_HOSTS": ssh.KnownHosts, "HOME": bin,
		"SOPS_AGE_KEY": "", "GIT_AUTHOR_NAME": "T", "GIT_AUTHOR_EMAIL": "t@example.com", "GIT_COMMITTER_NAME": "T", "GIT_COMMITTER_EMAIL": "t@example.com"} {
		t.Setenv(name, value)
	}
	site := liveSite(t, ssh.URL)
	db := liveAccounts(t, site, conf)
	ask := func(e accounts.Edit) int64 {
		t.Helper()
		e.By, e.Domain = "alice@example.org", "example.org"
		id, ok, err := mariadb.Ask(t.Context(), db, e)
		if err != nil || !ok {
			t.Fatalf("ask: %t, %v", ok, err)
		}
		return id
	}
	good := ask(accounts.Edit{Verb: accounts.SetAlias, Address: "info@example.org", Targets: []string{"alice"}})
	bad := ask(accounts.Edit{Verb: accounts.RetireUser, Address: "alice@example.org"})
	edits := func(args ...string) string {
		t.Helper()
		var out, said bytes.Buffer
		if code := Run(context.Background(), append([]string{"edits", site}, args...), strings.NewReader(""), &out, &said); code != exitDone {
			t.Fatalf("exit %d: %s", code, said.String())
		}
		return out.String()
	}
	if out := edits(); !strings.Contains(out, fmt.Sprintf("edit %d, set-alias info@example.org by alice@example.org: proposed on console/%d", good, good)) {
		t.Errorf("said %s", out)
	}
	state := func(id int64) accounts.Edit {
		t.Helper()
		e, err := mariadb.EditOf(t.Context(), db, "example.org", id)
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	if e := state(good); e.State != accounts.Proposed || !strings.Contains(e.Answer.Mail, "info@example.org") || e.Answer.Plan == "" || len(e.Answer.Lines) == 0 {
		t.Errorf("the database has %+v", e)
	}
	if e := state(bad); e.State != accounts.Refused || !strings.Contains(e.Answer.Problem, "alias-dangling") {
		t.Errorf("the database has %+v", e)
	}
	if ok, err := mariadb.Decide(t.Context(), db, "example.org", good, accounts.Confirmed); err != nil || !ok {
		t.Fatal(ok, err)
	}
	edits("--merge")
	text, err := os.ReadFile(filepath.Join(site, "site.cue"))
	if e := state(good); e.State != accounts.Done || err != nil || !strings.Contains(string(text), `info:`) {
		t.Errorf("the database has %+v, the site\n%s", e, text)
	}
	log, err := exec.Command("git", "-C", site, "log", "-1", "--format=%an %s").Output()
	if err != nil || string(log) != "alice@example.org Set the alias info@example.org\n" {
		t.Errorf("the log says %s, %v", log, err)
	}
}

// liveSite is a repository with a site whose host is reached by SSH.
func liveSite(t *testing.T, url string) string {
	t.Helper()
	dir := t.TempDir()
	text := `package site

name: "small"
host: connect: "` + url + `"
relay: password: secret: "SENDGRID_API_KEY"
edge: accountID: "0123456789abcdef0123456789abcdef"
domains: "example.org": {
	dkim: selectors: m1: {}
	users: alice: {role: "admin"}
	aliases: {postmaster: ["alice"], abuse: ["alice"]}
}
`
	if err := os.WriteFile(filepath.Join(dir, "site.cue"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"init", "-q", "-b", "main"}, {"add", "."}, {"commit", "-q", "-m", "one"}} {
		if out, err := exec.Command("git", append([]string{"-C", dir}, args...)...).CombinedOutput(); err != nil {
			t.Fatalf("git %q: %v: %s", args, err, out)
		}
	}
	return dir
}

// liveAccounts is the database with the site's own schema and accounts, and the daemon's configuration for it. It is opened as
// the console does.
func liveAccounts(t *testing.T, dir, conf string) *sql.DB {
	t.Helper()
	site, err := compiler.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	tree, err := site.Tree()
	if err != nil {
		t.Fatal(err)
	}
	server := daemon.StartMariaDB(t)
	secrets := t.TempDir()
	for _, e := range site.Model.Inventory() {
		value := "pw"
		if e.Name == model.SecretMariaDBRoot {
			value = ""
		}
		if !strings.Contains(e.Name, "/") {
			if err := os.WriteFile(filepath.Join(secrets, e.Name), []byte(value), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, name := range []string{"10-schema.sql", "20-users.sh"} {
		f, ok := tree.Lookup(model.ProjectDir + "/config/mariadb/initdb/" + name)
		if !ok {
			t.Fatalf("the tree has no %s", name)
		}
		if name == "10-schema.sql" {
			if err := server.Load(string(f.Content)); err != nil {
				t.Fatal(err)
			}
			continue
		}
		cmd := exec.Command("bash", "-c", string(f.Content))
		cmd.Env = append(os.Environ(), "MAILPLAN_SECRETS="+secrets, "MAILPLAN_SOCKET="+server.Socket)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	text := fmt.Sprintf(`{"accounts": {"address": "127.0.0.1:%d", "user": "usermgmt", "database": "mailserver", "passwordFile": %q}}`,
		server.Port, filepath.Join(secrets, model.SecretAccountsDB))
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("mysql", server.DSN("usermgmt", "pw", "mailserver"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}
