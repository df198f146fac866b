package console

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mailplan/mailplan/runtime/accounts"
	"github.com/mailplan/mailplan/runtime/accounts/mariadb"
	"github.com/mailplan/mailplan/runtime/console/password"
	"github.com/mailplan/mailplan/runtime/report"
)

func TestAppPasswords(t *testing.T) {
	s := start(t)
	before, err := mariadb.Read(t.Context(), s.db)
	if err != nil {
		t.Fatal(err)
	}
	b := s.signIn(t, "alice@a.example")
	b.get("/app-passwords")
	for why, fields := range map[string][]string{
		"wrong password": {"name", "Phone", "password", "wrong"}, "no name": {"name", " ", "password", secret},
		"long name": {"name", strings.Repeat("あ", 101), "password", secret}, "hostile name": {"name", "x\x00y", "password", secret},
	} {
		if resp := b.post("/app-passwords", fields...); resp.StatusCode < 400 || resp.StatusCode >= 500 {
			t.Errorf("%s: %s", why, resp.Status)
		}
	}
	const name = `Phone <b>"携帯"</b>`
	if resp := b.post("/app-passwords", "name", name, "password", secret); resp.StatusCode != http.StatusCreated {
		t.Fatalf("%s: %s", resp.Status, b.page)
	}
	_, rest, _ := strings.Cut(b.page, `<code class="secret">`)
	fresh, _, _ := strings.Cut(rest, "<")
	var selector, hash string
	if err := s.db.QueryRow("SELECT selector, password_hash FROM app_passwords WHERE name = ?", name).Scan(&selector, &hash); err != nil {
		t.Fatal(err)
	}
	if len(fresh) != 27 || selector != password.Selector(fresh) || !strings.HasPrefix(hash, "{SSHA512}") || strings.Contains(b.page, "<b>") {
		t.Errorf("app password %d long, selector %s, %.9s", len(fresh), selector, hash)
	}
	if b.get("/app-passwords"); strings.Contains(b.page, fresh) {
		t.Error("it is shown again")
	}
	s.audited(t, `"app password"`, `"made"`, "alice@a.example")
	if strings.Contains(s.log.String(), fresh) {
		t.Error("the log has it")
	}
	if resp := s.browser(t).post("/sign-in", "address", "alice@a.example", "password", fresh); resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("it opens the console: %s", resp.Status)
	}

	id := field(t, b.page, "id")
	bob := s.signIn(t, "bob@b.example")
	for _, wrong := range []string{id, "0", "-1", "", "x", "99999999999999999999"} {
		bob.get("/app-passwords")
		if resp := bob.post("/app-passwords/revoke", "id", wrong); resp.StatusCode != http.StatusNotFound {
			t.Errorf("bob revokes %q: %s", wrong, resp.Status)
		}
	}
	s.audited(t, `"not his"`, "bob@b.example")
	if resp := b.post("/app-passwords/revoke", "id", id); resp.StatusCode != http.StatusSeeOther {
		t.Errorf("alice revokes it: %s", resp.Status)
	}
	b.get("/app-passwords")
	for n := range 26 {
		resp := b.post("/app-passwords", "name", fmt.Sprint("device ", n), "password", secret)
		if want := map[bool]int{true: http.StatusCreated, false: http.StatusConflict}[n < 25]; resp.StatusCode != want {
			t.Errorf("number %d: %s, want %d", n+1, resp.Status, want)
		}
	}
	after, err := mariadb.Read(t.Context(), s.db)
	if d := cmp.Diff(before, after); d != "" || err != nil {
		t.Errorf("app passwords show as drift (%v):\n%s", err, d)
	}
	s.clean(t)
}

func TestRoles(t *testing.T) {
	s := start(t)
	lists := []string{"/users", "/aliases", "/domains", "/users/bob@b.example", "/users/alice@a.example"}
	t.Run("user", func(t *testing.T) {
		b := s.signIn(t, "alice@a.example")
		if strings.Contains(b.page, `href="/users"`) {
			t.Error("lists are offered")
		}
		for _, path := range lists {
			if resp := b.get(path); resp.StatusCode != http.StatusNotFound || strings.Contains(b.page, ">bob@") {
				t.Errorf("%s: %s", path, resp.Status)
			}
		}
		s.audited(t, `"refused"`, "alice@a.example", "/users")
	})
	t.Run("nobody", func(t *testing.T) {
		b := s.browser(t)
		for _, path := range append(lists, "/", "/password", "/app-passwords", "/factor") {
			if resp := b.get(path); resp.Header.Get("Location") != "/sign-in" || len(b.page) > 100 {
				t.Errorf("%s: %s", path, resp.Status)
			}
		}
	})
	t.Run("domain administrator", func(t *testing.T) {
		b := s.signIn(t, "boss@b.example")
		for _, path := range append(lists[:4], "/users?q=example", "/users?q=alice", "/aliases?q=alice", "/domains?q=a.example", "/users?q=%25", "/users?q=%27+OR+1%3D1+--+") {
			if b.get(path); strings.Contains(b.page, "a.example</") || strings.Contains(b.page, "alice@a") || strings.Contains(b.page, "root@") {
				t.Errorf("%s shows another domain: %s", path, b.page)
			}
		}
		if b.get("/users"); !strings.Contains(b.page, "bob@b.example") || !strings.Contains(b.page, "barred@b.example") {
			t.Error("his own users are missing")
		}
		if resp := b.get("/users/alice@a.example"); resp.StatusCode != http.StatusNotFound {
			t.Errorf("another's user: %s", resp.Status)
		}
		s.audited(t, `"not his"`, "boss@b.example", "alice@a.example")
	})
	t.Run("administrator", func(t *testing.T) {
		b := s.signIn(t, "root@a.example")
		for path, want := range map[string][]string{
			"/users":                 {"alice@a.example", "bob@b.example", "barred from signing in", "mailplan apply"},
			"/users?q=BOB":           {"1 found", "bob@b.example"},
			"/users?q=Name+of+alice": {"1 found"},
			"/users?q=_":             {"0 found"},
			"/users?page=-3":         {"Page 1 of 1"},
			"/users?page=99999999":   {"found"},
			"/aliases":               {"info@a.example", "@b.example"},
			"/domains":               {"mail2026", "ed25519, signing", "reject", "~all"},
			"/users/bob@b.example":   {"sales@b.example", "set by its owner"},
			"/users/new@b.example":   {"none yet"},
			"/users/git@a.example":   {"set by the repository"},
		} {
			resp := b.get(path)
			for _, w := range want {
				if resp.StatusCode != http.StatusOK || !strings.Contains(b.page, w) {
					t.Errorf("%s: %s, without %q", path, resp.Status, w)
				}
			}
		}
		for _, path := range []string{"/users/" + strings.Repeat("x", 3000), "/users/%ff%00", "/users/..%2f..%2fetc", "/users?q=%ff&page=x", "/users?q=" + strings.Repeat("y", 9000)} {
			if resp := b.get(path); resp.StatusCode >= 500 {
				t.Errorf("%.40s: %s", path, resp.Status)
			}
		}
	})
	t.Run("second step of others", func(t *testing.T) {
		for _, address := range []string{"bob@b.example", "alice@a.example", "root@a.example"} {
			s.exec(t, "INSERT INTO console_factors (user_id, totp_key, last_step) SELECT id, 'JBSWY3DPEHPK3PXP', 0 FROM users WHERE email = '"+address+"'")
		}
		s.exec(t, "UPDATE users SET role = 'domainAdmin' WHERE email = 'alice@a.example'")
		b := s.signIn(t, "boss@b.example")
		for address, want := range map[string]int{"bob@b.example": http.StatusSeeOther, "alice@a.example": http.StatusNotFound, "root@a.example": http.StatusNotFound} {
			b.get("/")
			if resp := b.post("/users/" + address + "/factor/remove"); resp.StatusCode != want {
				t.Errorf("%s: %s, want %d", address, resp.Status, want)
			}
		}
		var left int
		if err := s.db.QueryRow("SELECT COUNT(*) FROM console_factors").Scan(&left); err != nil || left != 2 {
			t.Errorf("%d factors left (%v)", left, err)
		}
	})
	s.clean(t)
}

func TestLanguages(t *testing.T) {
	catalogs := map[string]map[string]string{}
	for _, name := range []string{"en", "ja"} {
		data, err := embedded.ReadFile("lang/" + name + ".json")
		if err != nil {
			t.Fatal(err)
		}
		var c map[string]string
		if err := json.Unmarshal(data, &c); err != nil {
			t.Fatal(err)
		}
		catalogs[name] = c
	}
	for key, text := range catalogs["en"] {
		ja, ok := catalogs["ja"][key]
		if !ok || strings.Count(text, "%s") != strings.Count(ja, "%s") {
			t.Errorf("%s: %q and %q do not match", key, text, ja)
		}
	}
	if len(catalogs["en"]) != len(catalogs["ja"]) {
		t.Errorf("%d texts in English, %d in Japanese", len(catalogs["en"]), len(catalogs["ja"]))
	}
	s := start(t)
	b := s.signIn(t, "root@a.example")
	b.post("/language", "language", "ja", "back", "/users")
	for _, path := range []string{"/", "/users", "/aliases", "/domains", "/users/bob@b.example", "/password", "/app-passwords", "/factor", "/nowhere"} {
		if b.get(path); !strings.Contains(b.page, `<html lang="ja">`) || !strings.Contains(b.page, "サインアウト") && path != "/nowhere" {
			t.Errorf("%s is not in Japanese", path)
		}
	}
	for back, want := range map[string]string{"/users?q=x": "/users?q=x", "//evil.example": "/", "https://evil.example": "/", `/\evil.example`: "/", "": "/"} {
		if resp := b.post("/language", "language", "en", "back", back); resp.Header.Get("Location") != want {
			t.Errorf("back to %q leads to %q", back, resp.Header.Get("Location"))
		}
	}
	req := httptest.NewRequest("GET", "/", nil)
	req.Header.Set("Accept-Language", "ja-JP,ja;q=0.9,en;q=0.5")
	if got := s.console.language(req); got != "ja" {
		t.Errorf("a Japanese browser gets %s", got)
	}
}

// many fills a.example with n users and as many aliases.
func many(t testing.TB, s *site, n int) {
	t.Helper()
	changes := make([]accounts.Change, 0, 2*n)
	for i := range n {
		u := &accounts.User{Address: fmt.Sprintf("user%05d@a.example", i), Name: fmt.Sprintf("Person %d", i), Role: "user", State: "active", QuotaMB: 2048}
		changes = append(changes, accounts.Change{New: &accounts.Row{User: u}},
			accounts.Change{New: &accounts.Row{Alias: &accounts.Alias{Source: fmt.Sprintf("alias%05d@a.example", i), Destination: u.Address}}})
	}
	if err := mariadb.Apply(t.Context(), s.db, changes); err != nil {
		t.Fatal(err)
	}
}

// full lays down reports as a large site has them.
func full(t testing.TB, s *site, n int) {
	t.Helper()
	usage, dns, queue := report.Usage{}, &report.DNS{}, &report.Queue{Total: 3 * report.MaxMessages}
	for i := range n {
		usage[fmt.Sprintf("user%05d@a.example", i)] = report.Mailbox{Bytes: int64(i) << 16, Messages: int64(i)}
	}
	for i := range 200 {
		d := report.Domain{Name: fmt.Sprintf("d%03d.example", i)}
		for range 8 {
			d.Records = append(d.Records, report.Record{Kind: "dkim", Owner: "mail2026._domainkey." + d.Name, Found: strings.Repeat("x", 400), State: report.Same})
		}
		dns.Domains = append(dns.Domains, d)
	}
	for i := range report.MaxMessages {
		queue.Messages = append(queue.Messages, report.Message{ID: fmt.Sprint(i), Queue: "deferred", Sender: "a@a.example",
			Recipients: []report.Recipient{{Address: "x@y.example", Reason: strings.Repeat("busy ", 20)}}})
	}
	f, now := s.console.reports.queue.folder, time.Now()
	if err := errors.Join(report.Put(f, report.Used, now, &usage, nil), report.Put(f, report.Published, now, dns, nil), report.Put(f, report.Queued, now, queue, nil)); err != nil {
		t.Fatal(err)
	}
}

// pagesOfMany are what an administrator opens in a large site.
var pagesOfMany = []string{"/", "/users", "/users?page=100", "/users?q=user09", "/users?q=nobody", "/users/user05000@a.example", "/aliases", "/aliases?q=alias099", "/domains", "/edits", "/state", "/state/dns", "/state/queue", "/domains/a.example", "/vacation", "/password", "/app-passwords"}

// BenchmarkPages measures each page at 10,000 users, session and database included.
func BenchmarkPages(b *testing.B) {
	s := start(b)
	many(b, s, 10_000)
	full(b, s, 10_000)
	who := s.signIn(b, "root@a.example")
	cookie := who.http.Jar.Cookies(mustURL(s.web.URL))[0]
	handler := s.console.Handler()
	for _, path := range pagesOfMany {
		b.Run(strings.ReplaceAll(path, "/", ":"), func(b *testing.B) {
			for b.Loop() {
				req := httptest.NewRequest("GET", path, nil)
				req.AddCookie(cookie)
				rec := httptest.NewRecorder()
				handler.ServeHTTP(rec, req)
				if rec.Code != http.StatusOK {
					b.Fatal(rec.Code)
				}
				io.Copy(io.Discard, rec.Body)
			}
		})
	}
}

// TestTenThousandUsers turns the pages of a long list; the benchmark has the figures.
func TestTenThousandUsers(t *testing.T) {
	s := start(t)
	many(t, s, 10_000)
	b := s.signIn(t, "root@a.example")
	for _, path := range pagesOfMany {
		if resp := b.get(path); resp.StatusCode != http.StatusOK {
			t.Fatalf("%s: %s", path, resp.Status)
		}
	}
	if b.get("/users?page=2"); !strings.Contains(b.page, "Page 2 of 201") || !strings.Contains(b.page, `rel="prev"`) {
		t.Errorf("the list does not turn: %s", b.page[len(b.page)-3000:])
	}
}
