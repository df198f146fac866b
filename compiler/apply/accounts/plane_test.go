package accounts_test

import (
	"context"
	"database/sql"
	"os"
	"strings"
	"testing"

	_ "github.com/go-sql-driver/mysql"
	"github.com/google/go-cmp/cmp"

	people "github.com/mailplan/mailplan/compiler/apply/accounts"
	"github.com/mailplan/mailplan/compiler/model"
	"github.com/mailplan/mailplan/compiler/plan"
	"github.com/mailplan/mailplan/runtime/accounts"
	"github.com/mailplan/mailplan/runtime/accounts/mariadb"
	"github.com/mailplan/mailplan/test/daemon"
)

// server is the runtime's part, called in the test itself.
type server struct{ db *sql.DB }

func (s server) Read(ctx context.Context) (accounts.Rows, error) { return mariadb.Read(ctx, s.db) }
func (s server) Apply(ctx context.Context, changes []accounts.Change) error {
	return mariadb.Apply(ctx, s.db, changes)
}

func start(t *testing.T) server {
	t.Helper()
	schema, err := os.ReadFile("../../emit/mariadb/files/initdb/10-schema.sql")
	if err != nil {
		t.Fatal(err)
	}
	m := daemon.StartMariaDB(t)
	if err := m.Load(string(schema) + "\nCREATE USER m@'%' IDENTIFIED BY 'm'; GRANT SELECT, INSERT, UPDATE, DELETE ON mailserver.* TO m@'%';"); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("mysql", m.DSN("m", "m", "mailserver"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return server{db}
}

// site has users a, b, … as "name" or "name:state" and the alias info to the targets.
func site(users string, info ...string) *model.Site {
	d := model.Domain{Name: "a.example", Unicode: "a.example", Zone: "a.example", State: model.Active, Subaddress: true}
	for _, u := range strings.Fields(users) {
		name, state, _ := strings.Cut(u, ":")
		if state == "" {
			state = "active"
		}
		d.Users = append(d.Users, model.User{Localpart: name, Domain: d.Name, QuotaMB: 100, State: model.State(state), Role: "user"})
	}
	if info != nil {
		d.Aliases = []model.Alias{{Localpart: "info", Domain: d.Name, Targets: info}}
	}
	return &model.Site{Name: "home", Domains: []model.Domain{d}}
}

// converge applies and returns the changes in short.
func converge(t *testing.T, store people.Store, before, s *model.Site) string {
	t.Helper()
	return convergeBy(t, store, before, s, "k")
}

// convergeBy does so with keys of fingerprints.
func convergeBy(t *testing.T, store people.Store, before, s *model.Site, keys ...string) string {
	t.Helper()
	ctx := context.Background()
	p := &people.Plane{Site: s, Store: store, Secrets: func(name string) (string, error) { return "secret of " + name, nil }}
	for _, key := range keys {
		p.Keys = append(p.Keys, []byte(key))
	}
	desired, err := p.Desired(ctx)
	if err != nil {
		t.Fatal(err)
	}
	live, err := p.Live(ctx)
	if err != nil {
		t.Fatal(err)
	}
	made, err := plan.New("home", "", "", live, desired)
	if err != nil {
		t.Fatal(err)
	}
	if before != nil {
		if err := made.Check(before.Accounts(), s.Accounts(), live, desired); err != nil {
			t.Error(err)
		}
	}
	var lines []string
	for start := 0; start < len(made.Changes); {
		end := start + 1
		for end < len(made.Changes) && made.Changes[end].Phase == made.Changes[start].Phase && made.Changes[end].Verb != plan.Delete {
			end++
		}
		if err := p.Apply(ctx, made.Changes[start:end]); err != nil {
			t.Fatal(err)
		}
		start = end
	}
	for _, c := range made.Changes {
		lines = append(lines, string(c.Verb)+" "+c.Kind+" "+c.ID)
	}
	return strings.Join(lines, "\n")
}

func TestAccountsConverge(t *testing.T) {
	store := start(t)
	first := site("alice bob", "bob@a.example")
	want := "create domain a.example\ncreate user alice@a.example\ncreate user bob@a.example\ncreate alias info@a.example"
	if d := cmp.Diff(want, converge(t, store, nil, first)); d != "" {
		t.Error(d)
	}
	if got := converge(t, store, first, first); got != "" {
		t.Errorf("a second apply does %s", got)
	}

	// bob is no longer declared, and his alias goes to carol, who comes.
	second := site("alice carol", "carol@a.example")
	want = "create user carol@a.example\nupdate alias info@a.example\ndelete user bob@a.example"
	if d := cmp.Diff(want, converge(t, store, first, second)); d != "" {
		t.Error(d)
	}
	if got := converge(t, store, second, second); got != "" {
		t.Errorf("a retired user shows again: %s", got)
	}
	rows, err := store.Read(context.Background())
	if err != nil || rows.Users[1].State != "retired" {
		t.Errorf("bob is %+v, %v: want him retired, his mailbox kept", rows.Users[1], err)
	}

	// he comes back, and alice is retired by declaration.
	third := site("alice:retired bob carol", "carol@a.example")
	if d := cmp.Diff("update user bob@a.example\nupdate user alice@a.example", converge(t, store, second, third)); d != "" {
		t.Error(d)
	}
	if got := converge(t, store, third, third); got != "" {
		t.Errorf("a second apply does %s", got)
	}
}

func TestPasswordsOfOwnersAreNoDrift(t *testing.T) {
	store := start(t)
	s := site("alice bob")
	s.Domains[0].Users[0].Password.Secret = "users/alice"
	converge(t, store, nil, s)
	if _, err := store.db.Exec("UPDATE users SET password_hash = '{ARGON2ID}own' WHERE email = 'bob@a.example'"); err != nil {
		t.Fatal(err)
	}
	if got := converge(t, store, nil, s); got != "" {
		t.Errorf("a password that its owner changed shows as %s", got)
	}
	if _, err := store.db.Exec("UPDATE users SET password_hash = '{ARGON2ID}by hand' WHERE email = 'alice@a.example'"); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff("update user alice@a.example", converge(t, store, nil, s)); d != "" {
		t.Error(d)
	}
	var hash string
	if err := store.db.QueryRow("SELECT password_hash FROM users WHERE email = 'alice@a.example'").Scan(&hash); err != nil || !strings.HasPrefix(hash, "{ARGON2ID}$argon2id$v=19$m=65536,t=3,p=1$") {
		t.Errorf("hash %q, %v", hash, err)
	}
}

func TestPurgeIsIrreversible(t *testing.T) {
	p := &people.Plane{Site: site("alice:purged")}
	objects, err := p.Desired(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if objects[1].Irreversible == "" {
		t.Error("a purge is not named as one")
	}
}

// TestKeyOfFingerprints rotates it: fingerprints change, passwords do not, and what somebody changed by hand shows as before.
func TestKeyOfFingerprints(t *testing.T) {
	store := start(t)
	s := site("alice bob")
	for i, name := range []string{"users/alice", "users/bob"} {
		s.Domains[0].Users[i].Password.Secret = name
	}
	converge(t, store, nil, s)
	hashes := func() (list []string) {
		t.Helper()
		rows, err := store.db.Query("SELECT CONCAT_WS(' ', password_hash, password_written, password_changed_at) FROM users ORDER BY email")
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		for rows.Next() {
			var hash string
			if err := rows.Scan(&hash); err != nil {
				t.Fatal(err)
			}
			list = append(list, hash)
		}
		return list
	}
	before := hashes()
	if d := cmp.Diff("update user alice@a.example\nupdate user bob@a.example", convergeBy(t, store, nil, s, "next", "k")); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(before, hashes()); d != "" {
		t.Errorf("passwords were set again: %s", d)
	}
	for _, keys := range [][]string{{"next", "k"}, {"next"}} {
		if got := convergeBy(t, store, nil, s, keys...); got != "" {
			t.Errorf("with %v: %s", keys, got)
		}
	}
	if _, err := store.db.Exec("UPDATE users SET password_hash = '{ARGON2ID}by hand' WHERE email = 'bob@a.example'"); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff("update user alice@a.example\nupdate user bob@a.example", convergeBy(t, store, nil, s, "third", "next")); d != "" {
		t.Error(d)
	}
	if after := hashes(); after[0] != before[0] || strings.HasPrefix(after[1], "{ARGON2ID}by hand") {
		t.Errorf("alice's password was set again, or bob's was not: %v", after)
	}
}
