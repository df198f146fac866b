package mariadb_test

import (
	"database/sql"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	_ "github.com/go-sql-driver/mysql"

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
		users := exec.Command("bash", filepath.Join(dir, "initdb/20-users.sh"))
		users.Env = append(os.Environ(), "MAILPLAN_SECRETS="+secrets, "MAILPLAN_SOCKET="+db.Socket)
		if out, err := users.CombinedOutput(); err != nil {
			t.Fatalf("20-users.sh: %v: %s", err, out)
		}
	}
	return db
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
