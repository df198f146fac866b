package mariadb_test

import (
	"database/sql"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/go-sql-driver/mysql"

	"github.com/mailplan/mailplan/compiler/emit/emittest"
	"github.com/mailplan/mailplan/compiler/emit/mariadb"
	"github.com/mailplan/mailplan/test/daemon"
)

// passwords are of the services' accounts; one has what an SQL string must escape.
var passwords = map[string]string{
	"MYSQL_ROOT_PASSWORD": "", "MYSQL_PASSWORD": "rc", "USERMGMT_DB_PASSWORD": `it's a \ "trap"`,
	"DOVECOT_DB_PASSWORD": "dv", "POSTFIX_DB_PASSWORD": "pf", "ROUNDCUBE_PASSWORD_DB_PASSWORD": "rp",
}

// start loads the emitted schema and accounts into a server as the image does, n times.
func start(t *testing.T, n int) *daemon.MariaDB {
	t.Helper()
	dir := emittest.Layout(t, emittest.Emit(t, mariadb.Files, emittest.Site()), "config/mariadb", nil)
	schema, err := os.ReadFile(filepath.Join(dir, "initdb/10-schema.sql"))
	if err != nil {
		t.Fatal(err)
	}
	secrets := t.TempDir()
	for name, value := range passwords {
		if err := os.WriteFile(filepath.Join(secrets, name), []byte(value), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	db := daemon.StartMariaDB(t)
	for range n {
		if err := db.Load(string(schema)); err != nil {
			t.Fatal(err)
		}
		users(t, db, dir, secrets)
	}
	return db
}

// users runs the script of the accounts.
func users(t *testing.T, db *daemon.MariaDB, dir, secrets string) {
	t.Helper()
	script := exec.Command("bash", filepath.Join(dir, "initdb/20-users.sh"))
	script.Env = append(os.Environ(), "MAILPLAN_SECRETS="+secrets, "MAILPLAN_SOCKET="+db.Socket)
	if out, err := script.CombinedOutput(); err != nil || len(out) > 0 {
		t.Fatalf("20-users.sh: %v: %s", err, out)
	}
}

// TestRotation changes a password and root's over three runs of the script while the account's service works without a
// pause, first with the old password, then with the new one: it is never refused, and at the end the old one is no good.
// A right that somebody added by hand goes.
func TestRotation(t *testing.T) {
	dir := emittest.Layout(t, emittest.Emit(t, mariadb.Files, emittest.Site()), "config/mariadb", nil)
	secrets := t.TempDir()
	put := func(name, value string) {
		if err := os.WriteFile(filepath.Join(secrets, name), []byte(value), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	drop := func(name string) {
		if err := os.Remove(filepath.Join(secrets, name)); err != nil {
			t.Fatal(err)
		}
	}
	for name, value := range passwords {
		put(name, value)
	}
	db := daemon.StartMariaDB(t)
	if err := db.Load(emittest.Text(t, emittest.Emit(t, mariadb.Files, emittest.Site()), "config/mariadb/initdb/10-schema.sql")); err != nil {
		t.Fatal(err)
	}
	users(t, db, dir, secrets)
	if err := db.Load("GRANT DELETE ON mailserver.users TO 'dovecot'@'%'"); err != nil {
		t.Fatal(err)
	}
	users(t, db, dir, secrets)
	if ask(db, "root", "", "SELECT 1") != nil {
		t.Fatal("root has no way in")
	}
	var password atomic.Value
	password.Store("dv")
	stop, worked := make(chan struct{}), make(chan int)
	go func() {
		n := 0
		for ; ; n++ {
			select {
			case <-stop:
				worked <- n
				return
			default:
			}
			if err := ask(db, "dovecot", password.Load().(string), "SELECT email, quota_mb FROM mailserver.users"); err != nil {
				t.Errorf("refused: %v", err)
			}
		}
	}()
	put("DOVECOT_DB_PASSWORD.next", "new's")
	put("MYSQL_ROOT_PASSWORD.next", "root's new one")
	users(t, db, dir, secrets)
	users(t, db, dir, secrets)
	put("DOVECOT_DB_PASSWORD.previous", "dv")
	put("DOVECOT_DB_PASSWORD", "new's")
	put("MYSQL_ROOT_PASSWORD.previous", "")
	put("MYSQL_ROOT_PASSWORD", "root's new one")
	drop("DOVECOT_DB_PASSWORD.next")
	drop("MYSQL_ROOT_PASSWORD.next")
	users(t, db, dir, secrets)
	password.Store("new's")
	users(t, db, dir, secrets)
	close(stop)
	t.Logf("%d sign-ins meanwhile", <-worked)
	drop("DOVECOT_DB_PASSWORD.previous")
	drop("MYSQL_ROOT_PASSWORD.previous")
	users(t, db, dir, secrets)
	for _, c := range []struct {
		user, password, statement string
		may                       bool
	}{
		{"dovecot", "new's", "SELECT id FROM mailserver.users", true}, {"dovecot", "dv", "SELECT id FROM mailserver.users", false},
		{"dovecot", "new's", "DELETE FROM mailserver.users", false},
		{"root", "root's new one", "SELECT 1", true}, {"root", "", "SELECT 1", false}, {"dovecot-wanted", "", "SELECT 1", false},
	} {
		if err := ask(db, c.user, c.password, c.statement); c.may != (err == nil) {
			t.Errorf("%s with %q, %s: %v", c.user, c.password, c.statement, err)
		}
	}
}

// ask runs a statement over a connection of its own, by the socket as root must.
func ask(db *daemon.MariaDB, user, password, statement string) error {
	c := mysql.NewConfig()
	c.User, c.Passwd, c.Net, c.Addr = user, password, "unix", db.Socket
	conn, err := sql.Open("mysql", c.FormatDSN())
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = conn.Exec(statement)
	return err
}

const rows = `
INSERT INTO mailserver.domains (name) VALUES ('example.com'), ('example.net');
INSERT INTO mailserver.users (email, password_hash, domain_id) VALUES ('alice@example.com', '{ARGON2ID}x', 1);
INSERT INTO mailserver.aliases (source, destination, domain_id) VALUES ('sales@example.com', 'alice@example.com', 1);
`

func TestSchema(t *testing.T) {
	db := start(t, 2)
	if err := db.Load(rows); err != nil {
		t.Fatal(err)
	}
	got, err := db.Query("SELECT quota_mb, is_active, state, created_at IS NOT NULL FROM mailserver.users")
	if want := "2048\t1\tactive\t1\n"; err != nil || got != want {
		t.Errorf("defaults are %q (%v), want %q", got, err, want)
	}
	got, err = db.Query("SELECT COUNT(*) >= 4 AND MIN(id) = 1 AND MAX(id) = COUNT(*) FROM mailserver.schema_migrations")
	if err != nil || got != "1\n" {
		t.Errorf("the ledger has gaps: %q (%v)", got, err)
	}
	refused := map[string]string{
		"a user twice":          "INSERT INTO users (email, password_hash, domain_id) VALUES ('alice@example.com', '', 1)",
		"a user in upper case":  "INSERT INTO users (email, password_hash, domain_id) VALUES ('Bob@example.com', '', 1)",
		"a foreign domain_id":   "INSERT INTO users (email, password_hash, domain_id) VALUES ('bob@example.com', '', 2)",
		"no domain":             "INSERT INTO users (email, password_hash, domain_id) VALUES ('bob@example.org', '', 3)",
		"an alias twice":        "INSERT INTO aliases (source, destination, domain_id) VALUES ('sales@example.com', 'alice@example.com', 1)",
		"an alias of elsewhere": "INSERT INTO aliases (source, destination, domain_id) VALUES ('x@example.net', 'alice@example.com', 1)",
		"a negative quota":      "UPDATE users SET quota_mb = -1",
		"a domain with users":   "DELETE FROM domains WHERE id = 1",
	}
	for what, statement := range refused {
		if db.Load("USE mailserver; "+statement) == nil {
			t.Errorf("%s was taken", what)
		}
	}
}

// TestSchemaOfDesign brings the tables of the original design, with rows in them, to the present.
func TestSchemaOfDesign(t *testing.T) {
	db := daemon.StartMariaDB(t)
	err := db.Load(`CREATE DATABASE mailserver CHARACTER SET utf8mb4; USE mailserver;
		CREATE TABLE domains (id INT AUTO_INCREMENT PRIMARY KEY, name VARCHAR(255) NOT NULL UNIQUE, created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP);
		CREATE TABLE users (id INT AUTO_INCREMENT PRIMARY KEY, email VARCHAR(255) NOT NULL UNIQUE, password_hash VARCHAR(255) NOT NULL,
			domain_id INT NOT NULL, quota_mb INT DEFAULT 2048, is_active BOOLEAN DEFAULT TRUE, created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
			FOREIGN KEY (domain_id) REFERENCES domains(id));
		CREATE TABLE aliases (id INT AUTO_INCREMENT PRIMARY KEY, source VARCHAR(255) NOT NULL, destination VARCHAR(255) NOT NULL,
			domain_id INT NOT NULL, created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP, FOREIGN KEY (domain_id) REFERENCES domains(id));` + rows)
	if err != nil {
		t.Fatal(err)
	}
	files := emittest.Emit(t, mariadb.Files, emittest.Site())
	if err := db.Load(emittest.Text(t, files, "config/mariadb/initdb/10-schema.sql")); err != nil {
		t.Fatal(err)
	}
	got, err := db.Query("SELECT email, state FROM mailserver.users")
	if err != nil || got != "alice@example.com\tactive\n" {
		t.Errorf("users hold %q (%v)", got, err)
	}
}

func TestGrants(t *testing.T) {
	db := start(t, 2)
	if err := db.Load(rows); err != nil {
		t.Fatal(err)
	}
	tests := []struct{ user, secret, database, statement, verdict string }{
		{"dovecot", "DOVECOT_DB_PASSWORD", "mailserver", "SELECT u.email, u.password_hash, u.quota_mb FROM users u JOIN domains d ON d.id = u.domain_id WHERE d.state = 'active' AND u.state = 'active' AND u.is_active = 1", "may"},
		{"dovecot", "DOVECOT_DB_PASSWORD", "mailserver", "UPDATE users SET is_active = 1", "must not"},
		{"dovecot", "DOVECOT_DB_PASSWORD", "mailserver", "SELECT source FROM aliases", "must not"},
		{"dovecot", "DOVECOT_DB_PASSWORD", "mailserver", "SELECT a.password_hash FROM app_passwords a JOIN users u ON u.id = a.user_id WHERE a.selector = 'abcd'", "may"},
		{"dovecot", "DOVECOT_DB_PASSWORD", "mailserver", "SELECT totp_key FROM console_factors", "must not"},
		{"postfix", "POSTFIX_DB_PASSWORD", "mailserver", "SELECT u.email, a.source, s.address FROM users u JOIN send_as s ON s.user_id = u.id JOIN aliases a ON a.destination = u.email JOIN domains d ON d.id = a.domain_id AND d.state = 'active' AND u.is_active = 1 AND u.state = 'active'", "may"},
		{"postfix", "POSTFIX_DB_PASSWORD", "mailserver", "SELECT password_hash FROM users", "must not"},
		{"postfix", "POSTFIX_DB_PASSWORD", "mailserver", "INSERT INTO aliases (source, destination, domain_id) VALUES ('a@example.com', 'b@c.example', 1)", "must not"},
		{"rcpassword", "ROUNDCUBE_PASSWORD_DB_PASSWORD", "mailserver", "UPDATE users SET password_hash = 'x' WHERE email = 'alice@example.com' AND is_active = 1", "may"},
		{"rcpassword", "ROUNDCUBE_PASSWORD_DB_PASSWORD", "mailserver", "SELECT password_hash FROM users", "must not"},
		{"rcpassword", "ROUNDCUBE_PASSWORD_DB_PASSWORD", "mailserver", "UPDATE users SET role = 'admin'", "must not"},
		{"rcpassword", "ROUNDCUBE_PASSWORD_DB_PASSWORD", "mailserver", "DELETE FROM users", "must not"},
		{"roundcube", "MYSQL_PASSWORD", "roundcubemail", "CREATE TABLE session (sess_id VARCHAR(128) PRIMARY KEY)", "may"},
		{"roundcube", "MYSQL_PASSWORD", "roundcubemail", "SELECT email FROM mailserver.users", "must not"},
		{"usermgmt", "USERMGMT_DB_PASSWORD", "mailserver", "UPDATE users SET state = 'retired'", "may"},
		{"usermgmt", "USERMGMT_DB_PASSWORD", "mailserver", "DELETE FROM aliases", "may"},
		{"usermgmt", "USERMGMT_DB_PASSWORD", "mailserver", "DELETE FROM console_sessions", "may"},
		{"usermgmt", "USERMGMT_DB_PASSWORD", "mailserver", "UPDATE app_passwords SET password_hash = 'x'", "must not"},
		{"usermgmt", "USERMGMT_DB_PASSWORD", "mailserver", "DROP TABLE users", "must not"},
		{"usermgmt", "USERMGMT_DB_PASSWORD", "mailserver", "DELETE FROM schema_migrations", "must not"},
		{"usermgmt", "USERMGMT_DB_PASSWORD", "mailserver", "SELECT 1 FROM mysql.user", "must not"},
	}
	for _, tt := range tests {
		conn, err := sql.Open("mysql", db.DSN(tt.user, passwords[tt.secret], tt.database))
		if err != nil {
			t.Fatal(err)
		}
		_, err = conn.Exec(tt.statement)
		conn.Close()
		if err != nil && !strings.Contains(err.Error(), "denied") {
			t.Errorf("%s: %s: %v", tt.user, tt.statement, err)
		}
		if may := tt.verdict == "may"; may != (err == nil) {
			t.Errorf("%s %s run %q: %v", tt.user, tt.verdict, tt.statement, err)
		}
	}
}

func TestSettings(t *testing.T) {
	files := emittest.Emit(t, mariadb.Files, emittest.Site())
	emittest.Holds(t, files, "config/mariadb/conf.d/mailplan.cnf", "from the site home", "innodb-buffer-pool-size = 512M")
}
