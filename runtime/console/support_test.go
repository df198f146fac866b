package console

import (
	"bytes"
	"context"
	"database/sql"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	_ "github.com/go-sql-driver/mysql"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/mailplan/mailplan/runtime/accounts"
	"github.com/mailplan/mailplan/runtime/accounts/mariadb"
	"github.com/mailplan/mailplan/runtime/config"
	"github.com/mailplan/mailplan/runtime/console/password"
	"github.com/mailplan/mailplan/runtime/console/people"
	"github.com/mailplan/mailplan/test/daemon"
)

// secret is everybody's password in the tests; canary is what no answer and no log may hold.
const (
	secret = "right horse battery"
	canary = "canary-4f1d"
)

// database is a real server with the emitted schema and accounts, opened as the console opens it.
func database(t testing.TB) *sql.DB {
	t.Helper()
	emitted := "../../compiler/emit/mariadb/files/initdb/"
	schema, err := os.ReadFile(emitted + "10-schema.sql")
	if err != nil {
		t.Fatal(err)
	}
	server := daemon.StartMariaDB(t)
	if err := server.Load(string(schema)); err != nil {
		t.Fatal(err)
	}
	secrets := t.TempDir()
	for _, name := range []string{"MYSQL_ROOT_PASSWORD", "MYSQL_PASSWORD", "USERMGMT_DB_PASSWORD", "DOVECOT_DB_PASSWORD", "POSTFIX_DB_PASSWORD", "ROUNDCUBE_PASSWORD_DB_PASSWORD"} {
		if err := os.WriteFile(filepath.Join(secrets, name), []byte("pw"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(secrets, "MYSQL_ROOT_PASSWORD"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	users := exec.Command("bash", emitted+"20-users.sh")
	users.Env = append(os.Environ(), "MAILPLAN_SECRETS="+secrets, "MAILPLAN_SOCKET="+server.Socket)
	if out, err := users.CombinedOutput(); err != nil {
		t.Fatalf("20-users.sh: %v: %s", err, out)
	}
	db, err := sql.Open("mysql", server.DSN("usermgmt", "pw", "mailserver"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// cheap checks passwords without the cost that guards them.
func cheap() *password.Checker {
	return password.NewChecker(2, password.Cost{Memory: 64, Passes: 1, Threads: 1})
}

// seed makes two domains with people in every role and state.
func seed(t testing.TB, db *sql.DB) {
	t.Helper()
	hash, err := cheap().Hash(t.Context(), secret)
	if err != nil {
		t.Fatal(err)
	}
	var changes []accounts.Change
	for _, name := range []string{"a.example", "b.example"} {
		changes = append(changes, accounts.Change{New: &accounts.Row{Domain: &accounts.Domain{Name: name, State: "active"}}})
	}
	user := func(address, role, state string, quota int) {
		changes = append(changes, accounts.Change{New: &accounts.Row{User: &accounts.User{Address: address, Role: role, State: state, QuotaMB: quota, Name: "Name of " + address}}})
	}
	user("root@a.example", "admin", "active", 0)
	user("boss@b.example", "domainAdmin", "active", 1024)
	user("alice@a.example", "user", "active", 2048)
	user("bob@b.example", "user", "active", 2048)
	user("barred@b.example", "user", "disabled", 2048)
	user("new@b.example", "user", "active", 2048)
	git := accounts.User{Address: "git@a.example", Role: "user", State: "active", QuotaMB: 5, Password: "fingerprint"}
	changes = append(changes, accounts.Change{New: &accounts.Row{User: &git}, Hash: hash},
		accounts.Change{New: &accounts.Row{Alias: &accounts.Alias{Source: "info@a.example", Destination: "alice@a.example"}}},
		accounts.Change{New: &accounts.Row{Alias: &accounts.Alias{Source: "sales@b.example", Destination: "bob@b.example"}}},
		accounts.Change{New: &accounts.Row{Alias: &accounts.Alias{Source: "@b.example", Destination: "boss@b.example"}}})
	if err := mariadb.Apply(t.Context(), db, changes); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec("UPDATE users SET password_hash = ? WHERE email NOT IN ('new@b.example', 'git@a.example')", hash); err != nil {
		t.Fatal(err)
	}
}

// journal is a log that tests read.
type journal struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.String()
}

// site is a running console.
type site struct {
	console *Server
	web     *httptest.Server
	db      *sql.DB
	log     *journal
}

// start gives a console of its own on a database of its own.
func start(t testing.TB, changes ...func(*config.Console)) *site {
	t.Helper()
	db := database(t)
	seed(t, db)
	return on(t, db, changes...)
}

// on gives a console of its own on a database that has people already.
func on(t testing.TB, db *sql.DB, changes ...func(*config.Console)) *site {
	t.Helper()
	s := &site{db: db, log: &journal{}}
	s.console = open(t, s.db, s.log, changes...)
	s.web = httptest.NewTLSServer(s.console.Handler()) // so that cookies are kept as browsers keep them
	t.Cleanup(s.web.Close)
	return s
}

// open makes a console on db.
func open(t testing.TB, db *sql.DB, log io.Writer, changes ...func(*config.Console)) *Server {
	t.Helper()
	dir := t.TempDir()
	c := &config.Console{Reports: filepath.Join(dir, "reports"), SessionKeyFile: filepath.Join(dir, "key"), Declared: filepath.Join(dir, "console.json"), Proxies: []string{"192.0.2.0/24"}}
	d := config.Declared{Site: "home", Webmail: "mail.a.example", Domains: []config.DeclaredDomain{
		{Name: "a.example", Unicode: "a.example", DMARC: "reject", SPF: "-all", MTASTS: "enforce",
			Selectors: []config.DeclaredSelector{{Name: "mail2026", State: "active", Algorithm: "ed25519"}}},
		{Name: "b.example", Unicode: "b.example", DMARC: "none", SPF: "~all", MTASTS: "none"}}}
	data, err := d.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	for path, content := range map[string][]byte{c.SessionKeyFile: []byte(canary + " session key\n"), c.Declared: data} {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, change := range changes {
		change(c)
	}
	server, err := New(c, people.New(db), slog.New(slog.NewJSONHandler(log, nil)), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	server.patience = 0
	server.passwords = cheap()
	return server
}

// client keeps cookies, follows no redirect by itself and says that its forms come from the site.
type client struct {
	t    testing.TB
	site *site
	http *http.Client
	page string // the last one
}

func (s *site) browser(t testing.TB) *client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	web := *s.web.Client()
	web.Jar = jar
	web.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &client{t: t, site: s, http: &web}
}

func (b *client) do(req *http.Request) *http.Response {
	b.t.Helper()
	resp, err := b.http.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	b.page = string(data)
	for _, leak := range []string{canary, "$argon2id$", "{ARGON2ID}", "SSHA512", "goroutine", "runtime/console", "mysql"} {
		if strings.Contains(b.page, leak) {
			b.t.Errorf("%s %s leaks %q:\n%s", req.Method, req.URL.Path, leak, b.page)
		}
	}
	return resp
}

func (b *client) get(path string) *http.Response {
	b.t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, b.site.web.URL+path, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	return b.do(req)
}

var tokenField = regexp.MustCompile(`name="token" value="([^"]*)"`)

// post sends a form with the token of the last page and the fields, as name and value in turn.
func (b *client) post(path string, fields ...string) *http.Response {
	b.t.Helper()
	form := url.Values{}
	if m := tokenField.FindStringSubmatch(b.page); m != nil {
		form.Set("token", m[1])
	}
	for i := 0; i < len(fields); i += 2 {
		form.Set(fields[i], fields[i+1])
	}
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, b.site.web.URL+path, strings.NewReader(form.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Origin", b.site.web.URL)
	return b.do(req)
}

// signIn is a browser in which somebody has signed in.
func (s *site) signIn(t testing.TB, address string) *client {
	t.Helper()
	b := s.browser(t)
	resp := b.post("/sign-in", "address", address, "password", secret)
	if resp.StatusCode != http.StatusSeeOther || resp.Header.Get("Location") != "/" {
		t.Fatalf("%s does not get in: %s to %q: %s", address, resp.Status, resp.Header.Get("Location"), b.page)
	}
	if resp := b.get("/"); resp.StatusCode != http.StatusOK {
		t.Fatalf("%s has no page: %s", address, resp.Status)
	}
	return b
}

// audited waits for nothing: the log is written before the answer.
func (s *site) audited(t testing.TB, parts ...string) {
	t.Helper()
	for line := range strings.Lines(s.log.String()) {
		all := true
		for _, p := range parts {
			all = all && strings.Contains(line, p)
		}
		if all {
			return
		}
	}
	t.Errorf("no line of the log has %q:\n%s", parts, s.log)
}

// clean holds that the log has no secret.
func (s *site) clean(t testing.TB) {
	t.Helper()
	for _, leak := range []string{canary, secret, "argon2", "SSHA512"} {
		if strings.Contains(s.log.String(), leak) {
			t.Errorf("the log has %q", leak)
		}
	}
}
