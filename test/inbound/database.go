package inbound

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mailplan/mailplan/test/need"
)

// Database is a MariaDB that keeps what it is given when it is killed.
type Database struct {
	*Process
	Socket string
	client string
}

// StartDatabase starts an empty one.
func StartDatabase(t testing.TB) *Database {
	t.Helper()
	server, install := need.Program(t, "mariadbd"), need.Program(t, "mariadb-install-db")
	dir, err := os.MkdirTemp("", "db") // a socket's path must stay short
	if err != nil {
		t.Fatal(err)
	}
	os.Chmod(dir, 0o755) // Dovecot's processes come as somebody else
	t.Cleanup(func() { os.RemoveAll(dir) })
	user := "--user=root"
	if os.Geteuid() != 0 {
		user = "--user=" + os.Getenv("USER")
	}
	data := "--datadir=" + filepath.Join(dir, "data")
	out, err := exec.Command(install, "--no-defaults", data, user, "--skip-test-db", "--auth-root-authentication-method=normal").CombinedOutput()
	if err != nil {
		t.Fatalf("mariadb-install-db: %v: %s", err, out)
	}
	db := &Database{Socket: filepath.Join(dir, "socket"), client: need.Program(t, "mariadb")}
	db.Process = start(t, db.answers, server, "--no-defaults", data, user, "--socket="+db.Socket, "--skip-networking",
		"--innodb-buffer-pool-size=32M", "--pid-file="+filepath.Join(dir, "pid"))
	return db
}

func (db *Database) answers() error {
	c, err := net.Dial("unix", db.Socket)
	if err == nil {
		err = c.Close()
	}
	return err
}

// Exec runs SQL statements as root.
func (db *Database) Exec(t testing.TB, sql string) {
	t.Helper()
	cmd := exec.Command(db.client, "--no-defaults", "--socket="+db.Socket, "--user=root", "--batch")
	cmd.Stdin = strings.NewReader(sql)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("mariadb: %v: %s", err, out)
	}
}

// Users makes a database "mail" with the addresses as users, and returns Dovecot's settings to look them
// up in it: home is below root.
func (db *Database) Users(t testing.TB, file, root string, addresses []string) (userdb string) {
	t.Helper()
	var rows []string
	for _, a := range addresses {
		rows = append(rows, fmt.Sprintf("('%s')", a))
	}
	db.Exec(t, "CREATE DATABASE mail; USE mail; CREATE TABLE users (email VARCHAR(255) PRIMARY KEY); INSERT INTO users VALUES "+strings.Join(rows, ","))
	write(t, file, fmt.Sprintf("driver = mysql\nconnect = host=%s dbname=mail user=root\nuser_query = SELECT '%s/%%d/%%n' AS home FROM users WHERE email = '%%u'\n", db.Socket, root))
	return fmt.Sprintf("userdb {\n  driver = sql\n  args = %s\n}\n", file)
}
