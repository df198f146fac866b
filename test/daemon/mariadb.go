package daemon

import (
	"crypto/sha256"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mailplan/mailplan/test/need"
)

// MariaDB is a throw-away MariaDB 10.11 server, empty but for root, who needs no password here.
type MariaDB struct {
	Socket string
	Port   int // on 127.0.0.1
	client string
}

// StartMariaDB starts a server that lives as long as the test.
func StartMariaDB(t testing.TB) *MariaDB {
	t.Helper()
	server := need.Program(t, "mariadbd")
	dir, err := os.MkdirTemp("", "db") // a socket's path must stay short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	db := &MariaDB{Socket: filepath.Join(dir, "socket"), Port: FreePort(t), client: need.Program(t, "mariadb")}
	data := filepath.Join(dir, "data")
	emptyMariaDB(t, server, data)
	cmd := exec.Command(server, "--no-defaults", "--datadir="+data, "--user="+currentUser(), "--socket="+db.Socket, smallLog,
		"--bind-address=127.0.0.1", "--port="+strconv.Itoa(db.Port), "--skip-name-resolve",
		"--character-set-server=utf8mb4", "--innodb-buffer-pool-size=32M", "--innodb-flush-log-at-trx-commit=0",
		"--pid-file="+filepath.Join(dir, "pid"))
	serve(t, cmd, func() error { return db.Load("SELECT 1") })
	return db
}

// smallLog spares each server the writing of the 96 MiB that are usual.
const smallLog = "--innodb-log-file-size=16M"

// emptyMariaDB makes the folder of a server that has never run. That takes seconds, so it is done once for a machine and
// copied from then on; where there is no cache, each time.
func emptyMariaDB(t testing.TB, server, data string) {
	t.Helper()
	version, err := exec.CommandContext(t.Context(), server, "--version").Output()
	if err != nil {
		t.Fatalf("mariadbd --version: %v", err)
	}
	kept := filepath.Join(need.Cache(), fmt.Sprintf("mariadb-%.8x", sha256.Sum256([]byte(string(version)+currentUser()+smallLog))))
	if _, err := os.Stat(kept); err != nil {
		made, err := os.MkdirTemp(need.Cache(), "mariadb-new")
		if err != nil {
			installMariaDB(t, data)
			return
		}
		defer os.RemoveAll(made)
		installMariaDB(t, filepath.Join(made, "data"))
		_ = os.Rename(filepath.Join(made, "data"), kept) // another test may have been first
	}
	if out, err := exec.CommandContext(t.Context(), "cp", "-a", kept, data).CombinedOutput(); err != nil {
		t.Fatalf("copy %s: %v: %s", kept, err, out)
	}
}

func installMariaDB(t testing.TB, data string) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), need.Program(t, "mariadb-install-db"), "--no-defaults", "--datadir="+data, "--user="+currentUser(),
		"--skip-test-db", "--auth-root-authentication-method=normal", "--skip-log-bin", smallLog).CombinedOutput()
	if err != nil {
		t.Fatalf("mariadb-install-db: %v: %s", err, out)
	}
}

// Load runs SQL statements as root and stops at the first that is refused, with the server's words.
func (db *MariaDB) Load(sql string) error {
	_, err := db.Query(sql)
	return err
}

// Query is [MariaDB.Load] that returns the rows: columns apart by a tab, no headings.
func (db *MariaDB) Query(sql string) (string, error) {
	cmd := exec.Command(db.client, "--no-defaults", "--socket="+db.Socket, "--user=root", "--batch", "--skip-column-names",
		"--default-character-set=utf8mb4")
	cmd.Stdin = strings.NewReader(sql)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("mariadb: %w: %s", err, strings.TrimSpace(string(out)))
	}
	return string(out), nil
}

// DSN is the data source name of go-sql-driver/mysql for a user of one database.
func (db *MariaDB) DSN(user, password, database string) string {
	return fmt.Sprintf("%s:%s@tcp(127.0.0.1:%d)/%s?parseTime=true", user, password, db.Port, database)
}

// serve starts a server, waits until ready says nil, and ends it with the test.
func serve(t testing.TB, cmd *exec.Cmd, ready func() error) {
	t.Helper()
	var log strings.Builder
	cmd.Stdout, cmd.Stderr = &log, &log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait() // its log tells
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // nothing of it is kept
		<-ended
	})
	deadline := time.Now().Add(time.Minute)
	for {
		err := ready()
		if err == nil {
			return
		}
		select {
		case <-ended:
			t.Fatalf("%s ended: %s", filepath.Base(cmd.Path), log.String())
		case <-time.After(50 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s is not ready: %v", filepath.Base(cmd.Path), err)
		}
	}
}

// FreePort returns a TCP port of 127.0.0.1 that nobody uses now.
func FreePort(t testing.TB) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port
}

func currentUser() string {
	if os.Geteuid() == 0 {
		return "root"
	}
	return os.Getenv("USER")
}
