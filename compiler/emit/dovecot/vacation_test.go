package dovecot_test

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/mail"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
	_ "github.com/go-sql-driver/mysql"

	"github.com/mailplan/mailplan/compiler/emit/dovecot"
	"github.com/mailplan/mailplan/compiler/emit/emittest"
	"github.com/mailplan/mailplan/test/daemon"
)

// The text that people may write has everything in it that a configuration, a script or a protocol could take for its own.
const (
	awaySubject = `休暇中です "now" %u ${env.vnd.dovecot.username}`
	awayBody    = "こんにちは。\r\nBack \"soon\"; \\ %{user} %u ${1}\r\n.\r\n\tbye\r\n"
)

// TestVacation delivers to people who are away, by the real Dovecot 2.3 and the real tables.
func TestVacation(t *testing.T) {
	if os.Getenv("MAILPLAN_INSIDE") != "" {
		vacations(t)
		return
	}
	r := newDeliveryRoot(t)
	if result := r.Script(deliveryRoot, "TestVacation"); result.Err != nil {
		t.Errorf("%v\n%s\n%s", result.Err, result.Stdout, result.Stderr)
	}
}

const vacation24Root = `
gzip -dc /client.gz >/client
chmod 755 /client
install -d -o 1000 -g 1000 /srv/vmail /tmp/sieve-bin
dovecot -F >/tmp/log 2>&1 &
sleep 0.5
MAILPLAN_INSIDE=1 /client -test.run '^TestVacation24$' -test.v && exit 0
cat /tmp/log
exit 1
`

// TestVacation24 holds that 2.4 takes the values from the user as 2.3 does; here they stand in the configuration.
func TestVacation24(t *testing.T) {
	if os.Getenv("MAILPLAN_INSIDE") != "" {
		box := listen(t)
		message(t, "friend@remote.test", "alice@example.com", "alice@example.com", "")
		box.reply(t, "alice@example.com", "friend@remote.test", `休暇中です "now" %u %{user}`, "こんにちは。\"soon\"")
		message(t, "friend@remote.test", "alice@example.com", "alice@example.com", "")
		box.silent(t, "the second message")
		if err := os.WriteFile("/tmp/users", []byte("alice@example.com\nbob@example.com\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		used(t, 1, "-F", "/tmp/users")
		return
	}
	s := site("dovecot/dovecot:2.4.5")
	s.Host.Subnet = "127.16.0.0/20"
	files := emittest.Emit(t, dovecot.Files, s)
	conf := emittest.Text(t, files, "config/dovecot/dovecot.conf")
	before, rest, _ := strings.Cut(conf, "userdb sql {")
	query, after, found := strings.Cut(rest, "\n}\n")
	if !found || !strings.Contains(query, "v.address6 AS `sieve_environment/vacation_address6`") {
		t.Fatalf("no query for users with vacations: %s", query)
	}
	fields := "userdb_static_allow_all_users = yes\n  fields {\n    uid = 1000\n    gid = 1000\n    sieve_environment/vacation_version = 1\n" +
		"    sieve_environment/vacation_subject = '休暇中です \"now\" %u %%{user}'\n    sieve_environment/vacation_body = 'こんにちは。\"soon\"'\n"
	for n := range 6 {
		fields += fmt.Sprintf("    sieve_environment/vacation_address%d = alice@example.com\n", n+1)
	}
	dir := emittest.Layout(t, files, "config/dovecot", func(string) string { return "pw" })
	if err := os.WriteFile(dir+"/dovecot.conf", []byte(before+"userdb static {\n  "+fields+"  }\n}\n"+after), 0o644); err != nil {
		t.Fatal(err)
	}
	r := daemon.NewTrixieRoot(t)
	r.User("vmail", 1000)
	r.Mount(dir, "/etc/dovecot")
	r.Mount(daemon.Self(t), "/client.gz")
	r.Hosts("mariadb", "postfix", "rspamd")
	if result := r.Script(vacation24Root); result.Err != nil {
		t.Errorf("%v\n%s\n%s", result.Err, result.Stdout, result.Stderr)
	}
}

func database(t *testing.T) *sql.DB {
	t.Helper()
	db, err := sql.Open("mysql", "root@unix(/run/mysqld/mysqld.sock)/mailserver")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// away sets what one is answered; starts and ends are days from today, nil for none.
func away(t *testing.T, db *sql.DB, address, subject, body, addresses string, starts, ends any) {
	t.Helper()
	_, err := db.Exec(`REPLACE INTO vacations (user_id, active, starts, ends, subject, body, addresses)
		SELECT id, 1, CURRENT_DATE + INTERVAL ? DAY, CURRENT_DATE + INTERVAL ? DAY, ?, ?, ? FROM users WHERE email = ?`,
		starts, ends, subject, body, strings.TrimSpace(address+" "+addresses), address)
	if err != nil {
		t.Fatal(err)
	}
}

func vacations(t *testing.T) {
	db, box := database(t), listen(t)
	const alice, bob = "alice@example.com", "full@example.com"
	message(t, "early@remote.test", alice, alice, "")
	box.silent(t, "before anything is set")

	away(t, db, alice, awaySubject, awayBody, "sales@example.com", nil, nil)
	message(t, "friend@remote.test", alice, alice, "")
	box.reply(t, alice, "friend@remote.test", awaySubject, awayBody)
	for why, m := range map[string]struct{ from, to, more string }{
		"again":                {"friend@remote.test", alice, ""},
		"a bounce":             {"", alice, ""},
		"a list":               {"list-bounces@remote.test", alice, "List-Id: <x.remote.test>\r\n"},
		"an automatic message": {"robot@remote.test", alice, "Auto-Submitted: auto-generated\r\n"},
		"bulk mail":            {"bulk@remote.test", alice, "Precedence: bulk\r\n"},
		"a blind copy":         {"blind@remote.test", "other@remote.test", ""},
		"spam":                 {"spammer@remote.test", alice, "X-Spam: Yes\r\n"},
		"himself":              {alice, alice, ""},
	} {
		message(t, m.from, alice, m.to, m.more)
		box.silent(t, why)
	}
	message(t, "customer@remote.test", alice, "sales@example.com", "")
	box.reply(t, alice, "customer@remote.test", awaySubject, awayBody)

	if _, err := db.Exec("UPDATE vacations SET version = version + 1, subject = ''"); err != nil {
		t.Fatal(err)
	}
	message(t, "friend@remote.test", alice, alice, "")
	box.reply(t, alice, "friend@remote.test", "Auto: hello", awayBody)

	for day, c := range []struct {
		starts, ends any
		want         bool
	}{{1, nil, false}, {nil, -1, false}, {0, 0, true}, {-3, 3, true}, {nil, 0, true}} {
		away(t, db, alice, "S", "B", "", c.starts, c.ends)
		from := fmt.Sprintf("day%d@remote.test", day)
		message(t, from, alice, alice, "")
		if c.want {
			box.reply(t, alice, from, "S", "B")
		} else {
			box.silent(t, from)
		}
	}
	// As much as fits, and each byte one that takes two on its way to Dovecot's delivery.
	away(t, db, bob, strings.Repeat("件", 100), strings.Repeat("\r\n", 1500), strings.TrimSpace(strings.Repeat(strings.Repeat("x", 64)+"@"+strings.Repeat("y", 100)+".example ", 5)), nil, nil)
	message(t, "many@remote.test", bob, bob, "")
	box.reply(t, bob, "many@remote.test", strings.Repeat("件", 100), "")
	away(t, db, bob, strings.Repeat("%", 200), strings.Repeat("%", 3000), strings.TrimSpace(strings.Repeat(strings.Repeat("%", 64)+"@"+strings.Repeat("y", 100)+".example ", 5)), nil, nil)
	message(t, "signs@remote.test", bob, bob, "")
	box.reply(t, bob, "signs@remote.test", strings.Repeat("%", 200), strings.Repeat("%", 3000))
	if _, err := db.Exec("UPDATE vacations SET body = ?", strings.Repeat("x", 3001)); err == nil {
		t.Error("the database takes more than fits")
	}
	ownScript(t, db, box)
}

// ownScript has a script of the user's own that files messages away and answers too.
func ownScript(t *testing.T, db *sql.DB, box inbox) {
	const alice, home = "alice@example.com", "/srv/mail/example.com/alice"
	script := "require [\"fileinto\", \"mailbox\", \"vacation\"];\nvacation \"mine\";\nfileinto :create \"Work\";\n"
	for _, c := range []string{"mkdir -p " + home + "/sieve", "cat >" + home + "/sieve/mine.sieve", "ln -sf sieve/mine.sieve " + home + "/.dovecot.sieve"} {
		if out, err := shell(c, script); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	away(t, db, alice, "from the console", "B", "", nil, nil)
	message(t, "script@remote.test", alice, alice, "")
	box.reply(t, alice, "script@remote.test", "from the console", "B")
	box.silent(t, "an answer of his script besides")
	if found, err := os.ReadDir(home + "/Maildir/.Work/new"); err != nil || len(found) != 1 {
		t.Errorf("his script does not do what it did: %v, %v", found, err)
	}
	if _, err := db.Exec("UPDATE vacations SET active = 0"); err != nil {
		t.Fatal(err)
	}
	message(t, "later@remote.test", alice, alice, "")
	if m := box.next(); m == nil || !strings.Contains(string(m.body), "mine") {
		t.Errorf("his own answer is gone: %v", m)
	}
}

// shell runs a command as the owner of the mail.
func shell(command, stdin string) ([]byte, error) {
	cmd := exec.Command("setpriv", "--reuid=1000", "--regid=1000", "--clear-groups", "sh", "-c", command)
	cmd.Stdin = strings.NewReader(stdin)
	return cmd.CombinedOutput()
}

// message is delivered by LMTP, as the ingest does.
func message(t *testing.T, from, recipient, to, more string) {
	t.Helper()
	conn, err := net.Dial("tcp", "127.16.6.14:24")
	if err != nil {
		t.Fatal(err)
	}
	c := smtp.NewClientLMTP(conn)
	defer c.Close()
	err = errors.Join(c.Mail(from, nil), c.Rcpt(recipient, nil))
	if err != nil {
		t.Fatalf("%s: %v", recipient, err)
	}
	w, err := c.Data()
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(w, "From: <%s>\r\nTo: %s\r\nSubject: hello\r\nMessage-ID: <%d@remote.test>\r\n%s\r\nbody\r\n", from, to, time.Now().UnixNano(), more)
	if code := code(w.Close()); code != 250 {
		t.Fatalf("%s to %s: reply %d", from, recipient, code)
	}
}

// posted is a message that Dovecot sends.
type posted struct {
	from, to string
	body     []byte
}

// inbox plays Postfix.
type inbox chan posted

func (b inbox) NewSession(*smtp.Conn) (smtp.Session, error) { return &session{to: b}, nil }

type session struct {
	to   inbox
	next posted
}

func (s *session) Mail(from string, _ *smtp.MailOptions) error { s.next.from = from; return nil }
func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error   { s.next.to = to; return nil }
func (s *session) Reset()                                      {}
func (s *session) Logout() error                               { return nil }
func (s *session) Data(r io.Reader) (err error) {
	if s.next.body, err = io.ReadAll(r); err == nil {
		s.to <- s.next
	}
	return err
}

func listen(t *testing.T) inbox {
	t.Helper()
	b := make(inbox, 10)
	s := smtp.NewServer(b)
	s.Addr, s.Domain, s.MaxLineLength = "127.0.0.1:10025", "postfix", 4000
	go s.ListenAndServe()
	t.Cleanup(func() { s.Close() })
	return b
}

func (b inbox) next() *posted {
	select {
	case m := <-b:
		return &m
	case <-time.After(5 * time.Second):
		return nil
	}
}

// silent holds that nothing was sent: the delivery is acknowledged after what it sends.
func (b inbox) silent(t *testing.T, why string) {
	t.Helper()
	select {
	case m := <-b:
		t.Errorf("%s is answered: %s", why, m.body)
	case <-time.After(50 * time.Millisecond):
	}
}

// reply holds that one answer of a user went to somebody, and could start no war of answers. Rspamd knows whose it is by the
// sender, whom it takes out of it.
func (b inbox) reply(t *testing.T, user, to, subject, body string) {
	t.Helper()
	got := b.next()
	if got == nil {
		t.Fatalf("%s gets no answer", to)
	}
	m, err := mail.ReadMessage(bytes.NewReader(got.body))
	if err != nil {
		t.Fatal(err)
	}
	said, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
	if err != nil || said != subject {
		t.Errorf("subject %q (%v), want %q", said, err, subject)
	}
	text, err := io.ReadAll(m.Body)
	if err != nil || !strings.Contains(string(text), body) {
		t.Errorf("body %q (%v), want %q", text, err, body)
	}
	if got.from != user || got.to != to || !strings.HasPrefix(m.Header.Get("Auto-Submitted"), "auto-replied") {
		t.Errorf("from %q to %q, %v", got.from, got.to, m.Header)
	}
}
