package dump_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/mailplan/mailplan/runtime/backup/dump"
	"github.com/mailplan/mailplan/runtime/config"
	"github.com/mailplan/mailplan/test/daemon"
	"github.com/mailplan/mailplan/test/need"
)

const schema = `CREATE DATABASE mail CHARACTER SET utf8mb4; USE mail;
CREATE TABLE users (id INT PRIMARY KEY AUTO_INCREMENT, email VARCHAR(255), avatar BLOB, seen TIMESTAMP NULL);
INSERT INTO users (email, avatar) SELECT CONCAT('用户', seq, '@example.com'), UNHEX('00FF0A5C27') FROM seq_1_to_500;
CREATE TABLE log (id INT); INSERT INTO log VALUES (1), (2);
CREATE VIEW active AS SELECT email FROM users;
CREATE TRIGGER added AFTER INSERT ON users FOR EACH ROW INSERT INTO log VALUES (NEW.id);
CREATE PROCEDURE hello() SELECT 'hello';
CREATE EVENT nightly ON SCHEDULE EVERY 1 DAY DO DELETE FROM log;`

func server(t testing.TB, db *daemon.MariaDB, databases ...string) dump.Server {
	t.Helper()
	return dump.Server{BackupDatabase: config.BackupDatabase{Socket: db.Socket, User: "root", Databases: databases,
		DumpProgram: need.Program(t, "mariadb-dump"), Client: need.Program(t, "mariadb")}}
}

func TestDatabases(t *testing.T) {
	t.Setenv("LC_ALL", "C") // as on a fresh machine, and under cron
	db := daemon.StartMariaDB(t)
	if err := db.Load(schema); err != nil {
		t.Fatal(err)
	}
	t.Run("comes back with views, triggers, events and routines", func(t *testing.T) { comesBack(t, db) })
	t.Run("unchanged data is an unchanged dump", func(t *testing.T) { isStable(t, db) })
	t.Run("an old client is spared the sandbox line", func(t *testing.T) { sparesOldClient(t, db) })
	t.Run("a try leaves nothing, and nothing is left of what is replaced", func(t *testing.T) { leavesNothing(t, db) })
	t.Run("a dump cut by TRUNCATE is not kept", func(t *testing.T) { isNotKept(t, db) })
	t.Run("the password shows nowhere", func(t *testing.T) { hidesPassword(t, db) })
}

func comesBack(t *testing.T, db *daemon.MariaDB) {
	s, dir := server(t, db, "mail"), t.TempDir()
	s.Accounts = true
	// a server without name resolution ignores the account the installer made for the machine's name
	if err := db.Load("DELETE FROM mysql.global_priv WHERE Host NOT IN ('localhost', '127.0.0.1', '::1'); FLUSH PRIVILEGES"); err != nil {
		t.Fatal(err)
	}
	if err := s.Dump(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	if err := s.Load(t.Context(), "again", filepath.Join(dir, "mail.sql")); err != nil {
		t.Fatal(err)
	}
	rows, err := s.Rows(t.Context(), "again")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]int64{"users": 500, "log": 2}, rows); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
	got, err := s.Query(t.Context(), `SELECT HEX(avatar), email FROM again.users WHERE id=7; SELECT COUNT(*) FROM again.active;
		SELECT COUNT(*) FROM information_schema.triggers WHERE trigger_schema='again';
		SELECT COUNT(*) FROM information_schema.routines WHERE routine_schema='again';
		SELECT COUNT(*) FROM information_schema.events WHERE event_schema='again'`)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"00FF0A5C27\t用户7@example.com", "500", "1", "1", "1"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	accounts, err := os.ReadFile(filepath.Join(dir, dump.AccountsFile))
	if err != nil || !strings.Contains(string(accounts), "root") {
		t.Errorf("accounts: %v", err)
	}
}

func isStable(t *testing.T, db *daemon.MariaDB) {
	s := server(t, db, "mail")
	var dumps []string
	for range 2 {
		dir := t.TempDir()
		if err := s.Dump(t.Context(), dir); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(filepath.Join(dir, "mail.sql"))
		if err != nil {
			t.Fatal(err)
		}
		dumps = append(dumps, string(data))
	}
	if dumps[0] != dumps[1] {
		t.Error("two dumps of the same data differ, so each day would store it anew")
	}
}

// sparesOldClient loads through a client which does not know the sandbox mode.
func sparesOldClient(t *testing.T, db *daemon.MariaDB) {
	s, dir := server(t, db, "mail"), t.TempDir()
	if err := s.Dump(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	old := filepath.Join(dir, "old-client")
	script := "#!/bin/sh\ninput=$(mktemp); cat > $input\n" +
		"if head -n 3 $input | grep -q '999999'; then echo \"ERROR at line 1: Unknown command '\\\\-'.\" >&2; exit 1; fi\n" +
		"exec " + s.Client + " \"$@\" < $input\n"
	if err := os.WriteFile(old, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	s.Client = old
	if err := s.Load(t.Context(), "oldclient", filepath.Join(dir, "mail.sql")); err != nil {
		t.Error(err)
	}
}

// leavesNothing tries a dump, and then loads it over what is there.
func leavesNothing(t *testing.T, db *daemon.MariaDB) {
	s, dir := server(t, db, "mail"), t.TempDir()
	if err := s.Dump(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	dump := filepath.Join(dir, "mail.sql")
	for range 2 { // an earlier one may have been cut off
		if err := s.Try(t.Context(), "tried", dump); err != nil {
			t.Fatal(err)
		}
	}
	if there, err := s.Exists(t.Context(), "tried"); err != nil || there {
		t.Errorf("the database of a try is there: %v, %v", there, err)
	}
	if err := db.Load("CREATE DATABASE worn; CREATE TABLE worn.intruder (n INT)"); err != nil {
		t.Fatal(err)
	}
	if err := s.Replace(t.Context(), "worn", dump); err != nil {
		t.Fatal(err)
	}
	rows, err := s.Rows(t.Context(), "worn")
	if diff := cmp.Diff(map[string]int64{"users": 500, "log": 2}, rows); diff != "" || err != nil {
		t.Errorf("%v, rows (-want +got):\n%s", err, diff)
	}
	spoilt := filepath.Join(dir, "spoilt.sql")
	if err := os.WriteFile(spoilt, []byte("SELECT nothing FROM nowhere;\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Try(t.Context(), "tried", spoilt); err == nil {
		t.Error("what does not load was good")
	}
}

func isNotKept(t *testing.T, db *daemon.MariaDB) {
	err := db.Load(`CREATE DATABASE big; USE big; CREATE TABLE a (t TEXT);
		INSERT INTO a SELECT REPEAT('x', 500) FROM seq_1_to_100000; CREATE TABLE z (i INT)`)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		for ctx.Err() == nil {
			if err := db.Load("TRUNCATE big.z"); err != nil {
				t.Error(err)
				return
			}
		}
	}()
	dir := t.TempDir()
	err = server(t, db, "big", "mail").Dump(t.Context(), dir)
	stop()
	<-stopped
	if err == nil || !strings.Contains(err.Error(), "big.sql") || !strings.Contains(err.Error(), "1412") {
		t.Errorf("got %v; want an error that names big.sql and the server's 1412", err)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 || left[0].Name() != "mail.sql" {
		t.Errorf("left %v, %v; want the whole dump of mail alone", left, err)
	}
}

func hidesPassword(t *testing.T, db *daemon.MariaDB) {
	s := server(t, db, "mail")
	s.User, s.PasswordFile = "nobody", filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(s.PasswordFile, []byte("canary\"s\\ecret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := db.Load(`CREATE USER nobody@localhost IDENTIFIED BY 'canary"s\\ecret'`); err != nil {
		t.Fatal(err)
	}
	err := s.Dump(t.Context(), t.TempDir())
	if err == nil || strings.Contains(err.Error(), "canary") || !strings.Contains(err.Error(), "1044") {
		t.Errorf("got %v; want access to the database denied (1044), without the password", err)
	}
}
