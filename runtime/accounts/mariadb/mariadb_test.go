package mariadb_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	_ "github.com/go-sql-driver/mysql"
	"github.com/google/go-cmp/cmp"

	"github.com/mailplan/mailplan/runtime/accounts"
	"github.com/mailplan/mailplan/runtime/accounts/mariadb"
	"github.com/mailplan/mailplan/test/daemon"
)

// start gives a real server with the emitted schema.
func start(t testing.TB) *sql.DB {
	t.Helper()
	schema, err := os.ReadFile("../../../compiler/emit/mariadb/files/initdb/10-schema.sql")
	if err != nil {
		t.Fatal(err)
	}
	server := daemon.StartMariaDB(t)
	if err := server.Load(string(schema) + "\nCREATE USER m@'%' IDENTIFIED BY 'm'; GRANT SELECT, INSERT, UPDATE, DELETE ON mailserver.* TO m@'%';"); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("mysql", server.DSN("m", "m", "mailserver"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func domain(name string) *accounts.Row {
	return &accounts.Row{Domain: &accounts.Domain{Name: name, State: "active", Subaddress: true}}
}

func user(address string, set ...func(*accounts.User)) *accounts.Row {
	u := &accounts.User{Address: address, QuotaMB: 2048, State: "active", Role: "user"}
	for _, f := range set {
		f(u)
	}
	return &accounts.Row{User: u}
}

func alias(source, destination string) *accounts.Row {
	return &accounts.Row{Alias: &accounts.Alias{Source: source, Destination: destination}}
}

func apply(t *testing.T, db *sql.DB, changes ...accounts.Change) {
	t.Helper()
	if err := mariadb.Apply(context.Background(), db, changes); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, db *sql.DB) accounts.Rows {
	t.Helper()
	rows, err := mariadb.Read(context.Background(), db)
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

func TestRowsComeChangeAndGo(t *testing.T) {
	db := start(t)
	alice := user("alice@a.example", func(u *accounts.User) { u.Name, u.SendAs = "Alice Ä.", []string{"info@a.example", "sales@a.example"} })
	apply(t, db, accounts.Change{New: domain("a.example")}, accounts.Change{New: alice}, accounts.Change{New: user("bob@a.example")},
		accounts.Change{New: alias("@a.example", "alice@a.example")}, accounts.Change{New: alias("info@a.example", "x@outside.example")})
	want := accounts.Rows{
		Domains: []accounts.Domain{*domain("a.example").Domain},
		Users:   []accounts.User{*alice.User, *user("bob@a.example").User},
		Aliases: []accounts.Alias{*alias("@a.example", "alice@a.example").Alias, *alias("info@a.example", "x@outside.example").Alias},
	}
	if d := cmp.Diff(want, read(t, db)); d != "" {
		t.Fatal(d)
	}

	less := user("alice@a.example", func(u *accounts.User) {
		u.QuotaMB, u.State, u.Since, u.Role, u.SendAs = 0, "disabled", "2026-11-01", "admin", []string{"sales@a.example"}
	})
	apply(t, db, accounts.Change{Old: alice, New: less}, accounts.Change{Old: user("bob@a.example")},
		accounts.Change{Old: alias("info@a.example", "x@outside.example")})
	got := read(t, db)
	if d := cmp.Diff(*less.User, got.Users[0]); d != "" {
		t.Error(d)
	}
	if bob := got.Users[1]; bob.State != "retired" || bob.Since == "" {
		t.Errorf("bob is %+v, want retired since today: his mailbox is kept", bob)
	}
	if len(got.Aliases) != 1 {
		t.Errorf("aliases %v, want the catch-all only", got.Aliases)
	}
}

func TestAllOrNothing(t *testing.T) {
	db := start(t)
	apply(t, db, accounts.Change{New: domain("a.example")}, accounts.Change{New: user("alice@a.example")})
	before := read(t, db)
	err := mariadb.Apply(context.Background(), db, []accounts.Change{
		{New: user("carol@a.example")}, {New: user("dave@nowhere.example")},
	})
	if err == nil || !strings.Contains(err.Error(), "nowhere.example") {
		t.Errorf("error %v, want the domain that has no row", err)
	}
	old := user("alice@a.example", func(u *accounts.User) { u.QuotaMB = 1 })
	err = mariadb.Apply(context.Background(), db, []accounts.Change{{New: user("carol@a.example")}, {Old: old, New: user("alice@a.example")}})
	if err == nil || !strings.Contains(err.Error(), "user alice@a.example has changed") {
		t.Errorf("error %v, want the row that moved", err)
	}
	if d := cmp.Diff(before, read(t, db)); d != "" {
		t.Errorf("half of it was done: %s", d)
	}
}

func TestPasswordsBelongToTheirOwners(t *testing.T) {
	db := start(t)
	git := user("alice@a.example", func(u *accounts.User) { u.Password = "fingerprint" })
	apply(t, db, accounts.Change{New: domain("a.example")}, accounts.Change{New: git, Hash: "{ARGON2ID}x"}, accounts.Change{New: user("bob@a.example")})
	if _, err := db.Exec("UPDATE users SET password_hash = '{ARGON2ID}bobs-own' WHERE email = 'bob@a.example'"); err != nil {
		t.Fatal(err)
	}
	rows := read(t, db)
	if rows.Users[0].Password != "fingerprint" || rows.Users[1].Password != "" {
		t.Errorf("rows %+v: a password that its owner set must not show, one of Git's must", rows.Users)
	}
	if _, err := db.Exec("UPDATE users SET password_hash = '{ARGON2ID}by-hand' WHERE email = 'alice@a.example'"); err != nil {
		t.Fatal(err)
	}
	if got := read(t, db).Users[0].Password; got != accounts.PasswordChanged {
		t.Errorf("a password of Git's changed by hand shows as %q", got)
	}
	quota := user("bob@a.example", func(u *accounts.User) { u.QuotaMB = 9 })
	apply(t, db, accounts.Change{Old: user("bob@a.example"), New: quota})
	var hash string
	if err := db.QueryRow("SELECT password_hash FROM users WHERE email = 'bob@a.example'").Scan(&hash); err != nil || hash != "{ARGON2ID}bobs-own" {
		t.Errorf("bob's password is %q, %v: it was his own", hash, err)
	}
}

func TestTenThousandUsers(t *testing.T) {
	db := start(t)
	changes := []accounts.Change{{New: domain("a.example")}}
	for i := range 10_000 {
		changes = append(changes, accounts.Change{New: user(fmt.Sprintf("u%d@a.example", i))})
	}
	begin := time.Now()
	apply(t, db, changes...)
	t.Logf("%.0f rows a second", 10_000/time.Since(begin).Seconds())
	if n := len(read(t, db).Users); n != 10_000 {
		t.Errorf("%d users, want 10000", n)
	}
}
