package dovecot_test

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
	"github.com/emersion/go-smtp"

	"github.com/mailplan/mailplan/compiler/emit/dovecot"
	"github.com/mailplan/mailplan/compiler/emit/emittest"
	"github.com/mailplan/mailplan/compiler/emit/mariadb"
	"github.com/mailplan/mailplan/test/daemon"
)

// deliveryRoot starts MariaDB with the emitted schema and accounts and the emitted Dovecot 2.3, and this test's
// own binary as the client. (Dovecot 2.4 does the same in the stack's test.)
const deliveryRoot = `
gzip -dc /client.gz >/client
cp /etc/learn /usr/local/bin/mailplan-learn
chmod 755 /client /usr/local/bin/mailplan-learn
install -d -o 1000 -g 1000 /srv/mail /tmp/sieve-bin
mkdir -p /run/mysqld /run/secrets /var/lib/db
mariadb-install-db --no-defaults --datadir=/var/lib/db --user=root --auth-root-authentication-method=normal --skip-test-db >/dev/null
mariadbd --no-defaults --datadir=/var/lib/db --user=root --socket=/run/mysqld/mysqld.sock --innodb-buffer-pool-size=32M --skip-name-resolve 2>/dev/null &
for i in $(seq 100); do mariadb -e 'SELECT 1' >/dev/null 2>&1 && break; sleep 0.1; done
: >/run/secrets/MYSQL_ROOT_PASSWORD
for name in MYSQL_PASSWORD USERMGMT_DB_PASSWORD DOVECOT_DB_PASSWORD POSTFIX_DB_PASSWORD ROUNDCUBE_PASSWORD_DB_PASSWORD; do echo -n pw >/run/secrets/$name; done
mariadb </etc/mailplan/mariadb/10-schema.sql
bash /etc/mailplan/mariadb/20-users.sh
password=$(doveadm pw -s ARGON2ID -p right)
mariadb mailserver <<END
INSERT INTO domains (id, name) VALUES (1, 'example.com');
INSERT INTO users (email, password_hash, domain_id, quota_mb, is_active, state) VALUES
	('alice@example.com', '$password', 1, 0, 1, 'active'), ('barred@example.com', '$password', 1, 1, 0, 'disabled'),
	('gone@example.com', '$password', 1, 1, 0, 'retired'), ('new@example.com', '', 1, 1, 1, 'active'), ('full@example.com', '$password', 1, 1, 1, 'active');
INSERT INTO aliases (source, destination, domain_id) VALUES ('sales@example.com', 'alice@example.com', 1);
INSERT INTO app_passwords (user_id, name, selector, password_hash)
	SELECT u.id, CONCAT('phone ', n), LEFT(SHA2(CONCAT('app-', n, '-x'), 256), 4), h FROM users u,
	(SELECT 1 AS n, '$(doveadm pw -s SSHA512 -p "app-1-x")' AS h UNION SELECT 2, '$(doveadm pw -s SSHA512 -p "app-2-x")') a
	WHERE u.email <> 'full@example.com';
END
test "$1" = TestDelivery || sed -i 's/auth_cache_size = .*/auth_cache_size = 0/' /etc/dovecot/dovecot.conf # else changes wait a minute
dovecot -F >/tmp/log 2>&1 &
sleep 0.5
MAILPLAN_INSIDE=1 /client -test.run "^$1\$" -test.v && exit 0
cat /tmp/log
exit 1
`

// learn stands for mailplan-learn, notes what it was asked and finds one delivery in the mailbox.
const learn = `#!/bin/sh
if [ "$1" = stored ]; then
	test "$2 $3" = "k2 1700000000" -a -d "$HOME/Maildir"
	exit
fi
cat >/dev/null
echo "$@" >>/tmp/learned
`

func TestDelivery(t *testing.T) {
	if os.Getenv("MAILPLAN_INSIDE") != "" {
		inside(t)
		return
	}
	r := newDeliveryRoot(t)
	if result := r.Script(deliveryRoot, "TestDelivery"); result.Err != nil {
		t.Errorf("%v\n%s\n%s", result.Err, result.Stdout, result.Stderr)
	}
}

// newDeliveryRoot is a Debian with Dovecot 2.3 as the site configures it and this test's own program.
func newDeliveryRoot(t *testing.T) *daemon.Root {
	t.Helper()
	s := site("dovecot/dovecot:2.3.21")
	s.Host.Subnet = "127.16.0.0/20" // so that the containers' addresses exist
	s.Tailnet.Mode = "container"
	secret := func(string) string { return "pw" }
	r := daemon.NewHostRoot(t)
	r.User("vmail", 1000)
	r.Mount(emittest.Layout(t, emittest.Emit(t, dovecot.Files, s), "config/dovecot", secret), "/etc/dovecot")
	r.Mount(emittest.Layout(t, emittest.Emit(t, mariadb.Files, s), "config/mariadb/initdb", secret), "/etc/mailplan/mariadb")
	r.Mount(daemon.Self(t), "/client.gz")
	r.Write("/etc/learn", learn, 0o755)
	r.Hosts("mariadb", "postfix", "rspamd")
	return r
}

// inside is the ingest and a mail client, beside the servers.
func inside(t *testing.T) {
	for address, want := range map[string]int{
		"alice@example.com":       250,
		"Alice@Example.COM":       250,
		"alice+news@example.com":  250,
		"barred@example.com":      250, // may not sign in, still receives
		"gone@example.com":        550,
		"sales@example.com":       550, // the ingest expands aliases
		"nobody@example.com":      550,
		"alice@elsewhere.example": 550,
		"x'or'1'='1@example.com":  550,
	} {
		if got := deliver(t, address, ""); got != want {
			t.Errorf("LMTP to %s: reply %d, want %d", address, got, want)
		}
	}
	deliver(t, "alice@example.com", "X-Spam: Yes\r\n")
	for range 2 {
		deliver(t, "alice@example.com", "X-Mailplan-Delivery: k1\r\n")
	}
	deliver(t, "alice@example.com", "X-Mailplan-Delivery: k2\r\nX-Mailplan-Doubt: 1700000000\r\n")
	deliver(t, "alice@example.com", "X-Mailplan-Delivery: k3\r\nX-Mailplan-Doubt: 1700000000\r\n")
	big := "X-Big: 1\r\n\r\n" + strings.Repeat(strings.Repeat("x", 70)+"\r\n", 20_000)
	if got := deliver(t, "full@example.com", big+"\r\n"); got != 250 && got != 552 {
		t.Errorf("over-size delivery: reply %d", got)
	}
	for range 8 {
		deliver(t, "full@example.com", big+"\r\n")
	}
	if got := deliver(t, "full@example.com", ""); got != 552 {
		t.Errorf("LMTP to a full mailbox: reply %d, want 552", got)
	}
	signIns(t)
	junk(t)
	noted(t)
	used(t, 1<<10, "-A")
	tailnet(t)
	shut(t)
}

// used holds that Dovecot tells how full mailboxes are in the form that the host reads for the console: one is this full, in
// KiB.
func used(t *testing.T, most int, users ...string) {
	t.Helper()
	out, err := exec.Command("doveadm", append([]string{"-f", "json", "quota", "get"}, users...)...).Output()
	var rows []struct{ Username, Type, Value string }
	if err == nil {
		err = json.Unmarshal(out, &rows)
	}
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	full := 0
	for _, r := range rows {
		n, err := strconv.Atoi(r.Value)
		if err != nil || !strings.Contains(r.Username, "@") || r.Type != "STORAGE" && r.Type != "MESSAGE" {
			t.Errorf("%+v: %v", r, err)
		}
		if r.Type == "STORAGE" {
			full = max(full, n)
		}
	}
	if full < most {
		t.Errorf("the fullest has %d KiB, want %d: %s", full, most, out)
	}
}

// noted holds that an app password says when it was used, and none else does.
func noted(t *testing.T) {
	db := database(t)
	var used string
	if err := db.QueryRow(`SELECT COALESCE(GROUP_CONCAT(CONCAT(u.email, ' ', a.name) ORDER BY 1 SEPARATOR ', '), '')
		FROM app_passwords a JOIN users u ON u.id = a.user_id WHERE a.used_at > UTC_TIMESTAMP() - INTERVAL 5 MINUTE`).Scan(&used); err != nil {
		t.Fatal(err)
	}
	if want := "alice@example.com phone 1, alice@example.com phone 2, new@example.com phone 1"; used != want {
		t.Errorf("used are %q, want %q", used, want)
	}
	if _, err := db.Exec("RENAME TABLE app_passwords TO away"); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec("CREATE VIEW app_passwords AS SELECT id, user_id, selector, password_hash, used_at + 0 AS used_at FROM away"); err != nil {
		t.Fatal(err)
	}
	if _, err := signIn("new@example.com", "app-2-x"); err != nil {
		t.Errorf("what can't be noted bars the way: %v", err)
	}
	if _, err := signIn("new@example.com", "app-3-x"); err == nil {
		t.Error("a wrong one gets in then")
	}
}

// deliver sends a message by LMTP and returns the code of the reply that decides.
func deliver(t *testing.T, to, field string) int {
	t.Helper()
	conn, err := net.Dial("tcp", "127.16.6.14:24")
	if err != nil {
		t.Fatal(err)
	}
	c := smtp.NewClientLMTP(conn)
	defer c.Close()
	if err := c.Mail("friend@remote.test", nil); err != nil {
		t.Fatal(err)
	}
	if err := c.Rcpt(to, nil); err != nil {
		return code(err)
	}
	w, err := c.Data()
	if err != nil {
		return code(err)
	}
	fmt.Fprintf(w, "From: friend@remote.test\r\nTo: %s\r\nSubject: hello\r\n%s\r\nbody\r\n", to, field)
	return code(w.Close())
}

func code(err error) int {
	var reply *smtp.SMTPError
	var all smtp.LMTPDataError
	switch {
	case err == nil:
		return 250
	case errors.As(err, &reply):
		return reply.Code
	case errors.As(err, &all):
		for _, one := range all {
			return one.Code
		}
	}
	return 0
}

// signIn comes from webmail's address, on which the penalty for wrong passwords does not grow.
func signIn(user, password string) (*imapclient.Client, error) {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP("127.16.8.16")}}
	conn, err := tls.DialWithDialer(&d, "tcp", "127.16.8.14:993", &tls.Config{InsecureSkipVerify: true}) // made for this test
	if err != nil {
		return nil, err
	}
	c := imapclient.New(conn, nil)
	return c, c.Login(user, password).Wait()
}

func signIns(t *testing.T) {
	var wait sync.WaitGroup
	defer wait.Wait()
	for _, tt := range []struct {
		user, password string
		want           bool
	}{
		{"alice@example.com", "right", true},
		{"ALICE@example.com", "right", true},
		{"alice@example.com", "wrong", false},
		{"alice@example.com", "pass", false}, // of the image's own configuration
		{"barred@example.com", "right", false},
		{"gone@example.com", "right", false},
		{"new@example.com", "", false}, // has not chosen a password yet
		{"sales@example.com", "right", false},
		{"alice@example.com", "app-1-x", true},
		{"alice@example.com", "app-2-x", true},
		{"new@example.com", "app-1-x", true},
		{"full@example.com", "app-1-x", false}, // somebody else's
		{"barred@example.com", "app-1-x", false},
		{"gone@example.com", "app-2-x", false},
		{"alice@example.com", "x' OR '1'='1", false},
	} {
		wait.Go(func() {
			if _, err := signIn(tt.user, tt.password); (err == nil) != tt.want {
				t.Errorf("%s signs in with %q: %v", tt.user, tt.password, err)
			}
		})
	}
}

// junk holds what lies where, and that moves teach.
func junk(t *testing.T) {
	c, err := signIn("alice@example.com", "right")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	count := func(mailbox string) uint32 {
		data, err := c.Select(mailbox, nil).Wait()
		if err != nil {
			t.Fatalf("%s: %v", mailbox, err)
		}
		return data.NumMessages
	}
	if n := count("INBOX"); n != 5 {
		t.Errorf("INBOX holds %d messages, want 3 plain ones, one of the two alike, and that which was not there", n)
	}
	if n := count("Junk"); n != 1 {
		t.Errorf("Junk holds %d messages, want 1", n)
	}
	for _, name := range []string{"Drafts", "Sent", "Trash", "Archive"} {
		count(name)
	}
	move := func(from, to string) {
		count(from)
		if _, err := c.Move(imap.SeqSetNum(1), to).Wait(); err != nil {
			t.Errorf("move %s to %s: %v", from, to, err)
		}
	}
	move("INBOX", "Junk")
	move("Junk", "INBOX")
	move("Junk", "Trash")
	learned, err := os.ReadFile("/tmp/learned")
	if want := "spam alice@example.com\nham alice@example.com\n"; err != nil || string(learned) != want {
		t.Errorf("learned %q (%v), want %q", learned, err, want)
	}
}

// tailnet holds that the tailnet's container, and nobody else, may say who the client is.
func tailnet(t *testing.T) {
	for from, want := range map[string]bool{"127.16.8.21": true, "127.16.8.16": false} {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
		conn, err := d.Dial("tcp", "127.16.8.14:10993")
		if err != nil {
			t.Fatal(err)
		}
		// Version 2 of the PROXY protocol: TCP over IPv4 from 100.64.0.9, port 4660, to 100.64.0.10, port 993.
		fmt.Fprint(conn, "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\x64\x40\x00\x09\x64\x40\x00\x0a\x12\x34\x03\xe1")
		c := imapclient.New(tls.Client(conn, &tls.Config{InsecureSkipVerify: true}), nil) // made for this test
		if err := c.Login("alice@example.com", "right").Wait(); (err == nil) != want {
			t.Errorf("by the PROXY protocol from %s: %v", from, err)
		}
		conn.Close()
	}
	if log, err := os.ReadFile("/tmp/log"); err != nil || !strings.Contains(string(log), "rip=100.64.0.9") {
		t.Errorf("the log does not name the client (%v)", err)
	}
}

// shut holds that nothing listens without TLS, or where it must not.
func shut(t *testing.T) {
	for _, address := range []string{"127.0.0.1:143", "127.0.0.1:110", "127.0.0.1:12345", "127.16.8.14:24", "127.16.8.14:12345"} {
		if conn, err := net.Dial("tcp", address); err == nil {
			conn.Close()
			t.Errorf("%s is open", address)
		}
	}
	if conn, err := net.Dial("tcp", "127.16.2.14:12345"); err != nil {
		t.Errorf("SASL for Postfix: %v", err)
	} else {
		conn.Close()
	}
}
