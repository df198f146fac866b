package console

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/pquerna/otp/totp"

	"github.com/mailplan/mailplan/runtime/accounts/mariadb"
)

func TestSignIn(t *testing.T) {
	s := start(t)
	t.Run("who may", func(t *testing.T) {
		for _, address := range []string{"alice@a.example", "boss@b.example", "root@a.example", "git@a.example"} {
			s.signIn(t, address)
			s.audited(t, `"sign-in"`, `"done"`, address, `"client":"127.0.0.1"`)
		}
		if b := s.signIn(t, " Alice@A.example "); !strings.Contains(b.page, "Name of alice@a.example") {
			t.Error("an address is known in its own spelling only")
		}
	})
	t.Run("who may not", func(t *testing.T) {
		b := s.browser(t)
		b.post("/sign-in", "address", "nobody@a.example", "password", secret)
		unknown := strings.ReplaceAll(b.page, "nobody", "X")
		for _, localpart := range []string{"barred@b", "new@b", "alice@a"} {
			resp := b.post("/sign-in", "address", localpart+".example", "password", "wrong")
			if resp.StatusCode != http.StatusUnauthorized || len(resp.Cookies()) > 0 {
				t.Errorf("%s: %s, cookies %v", localpart, resp.Status, resp.Cookies())
			}
			same := strings.ReplaceAll(b.page, localpart, "X@a")
			if d := cmp.Diff(unknown, same); d != "" {
				t.Errorf("%s: the page tells that the account exists:\n%s", localpart, d)
			}
			s.audited(t, `"sign-in"`, `"refused"`, localpart)
		}
	})
	t.Run("hostile", func(t *testing.T) {
		s.console.attempts = newAttempts()
		b := s.browser(t)
		for _, address := range []string{"", "' OR 1=1 -- ", "\xff\x00", `"><script>alert(1)</script>`, strings.Repeat("a", 10_000) + "@a.example", "alice@a.example\r\nSet-Cookie: x=y"} {
			if resp := b.post("/sign-in", "address", address, "password", strings.Repeat("x", 4000)); resp.StatusCode != http.StatusUnauthorized {
				t.Errorf("%.20q: %s", address, resp.Status)
			}
			if strings.Contains(b.page, "<script>alert") {
				t.Errorf("a script comes back: %s", b.page)
			}
		}
		if resp := b.post("/sign-in", "address", strings.Repeat("a", 100_000)); resp.StatusCode < 400 {
			t.Errorf("an endless form: %s", resp.Status)
		}
	})
	t.Run("signs out", func(t *testing.T) {
		b := s.signIn(t, "alice@a.example")
		kept := b.http.Jar.Cookies(mustURL(s.web.URL))
		b.post("/sign-out")
		b.http.Jar.SetCookies(mustURL(s.web.URL), kept)
		if resp := b.get("/"); resp.StatusCode != http.StatusSeeOther {
			t.Errorf("the old cookie still works: %s", resp.Status)
		}
	})
	s.clean(t)
}

func mustURL(text string) *url.URL {
	u, err := url.Parse(text)
	if err != nil {
		panic(err)
	}
	return u
}

func TestThrottled(t *testing.T) {
	s := start(t)
	b := s.browser(t)
	for range pairAttempts {
		if resp := b.post("/sign-in", "address", "alice@a.example", "password", "wrong"); resp.StatusCode != http.StatusUnauthorized {
			t.Fatal(resp.Status)
		}
	}
	resp := b.post("/sign-in", "address", "alice@a.example", "password", secret)
	if resp.StatusCode != http.StatusTooManyRequests || resp.Header.Get("Retry-After") == "" {
		t.Errorf("after %d failures: %s", pairAttempts, resp.Status)
	}
	s.audited(t, "throttled", "alice@a.example")
	s.signIn(t, "bob@b.example") // somebody else in the same office

	s.console.attempts = newAttempts()
	for i := range nameAttempts {
		s.console.attempts.failed(attempt{fmt.Sprint("client ", i), "alice@a.example"})
	}
	if resp := b.post("/sign-in", "address", "alice@a.example", "password", secret); resp.StatusCode != http.StatusTooManyRequests {
		t.Errorf("after %d failures from everywhere: %s", nameAttempts, resp.Status)
	}
}

func TestSessions(t *testing.T) {
	s := start(t)
	t.Run("headers", func(t *testing.T) {
		b := s.browser(t)
		resp := b.post("/sign-in", "address", "alice@a.example", "password", secret)
		c := resp.Cookies()[0]
		if !c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || !strings.HasPrefix(c.Name, "__Host-") || c.Domain != "" {
			t.Errorf("cookie %s", c)
		}
		for _, path := range []string{"/", "/sign-in", "/nowhere", "/static/console.css"} {
			h := b.get(path).Header
			if !strings.Contains(h.Get("Content-Security-Policy"), "default-src 'none'") || h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Strict-Transport-Security") == "" {
				t.Errorf("%s: headers %v", path, h)
			}
			if cached := h.Get("Cache-Control"); path != "/static/console.css" && cached != "no-store" {
				t.Errorf("%s may be cached: %s", path, cached)
			}
		}
	})
	t.Run("forged", func(t *testing.T) {
		b := s.signIn(t, "alice@a.example")
		good := b.http.Jar.Cookies(mustURL(s.web.URL))[0].Value
		id, signature, _ := strings.Cut(good, ".")
		other := "A"
		if strings.HasPrefix(id, other) {
			other = "B"
		}
		for _, value := range []string{"", ".", id, id + ".", id + "." + signature[1:], other + id[1:] + "." + signature, strings.Repeat("x", 5000), good + "x"} {
			req := httptest.NewRequest("GET", s.web.URL+"/", nil)
			req.RequestURI = ""
			req.AddCookie(&http.Cookie{Name: sessionCookie, Value: value})
			stranger := s.browser(t)
			if resp := stranger.do(req); resp.StatusCode != http.StatusSeeOther {
				t.Errorf("cookie %.30q: %s", value, resp.Status)
			}
		}
	})
	for name, change := range map[string]string{
		"idle":        "UPDATE console_sessions SET seen_at = seen_at - INTERVAL 31 MINUTE",
		"ended":       "UPDATE console_sessions SET ends_at = UTC_TIMESTAMP() - INTERVAL 1 SECOND",
		"revoked":     "DELETE FROM console_sessions",
		"barred":      "UPDATE users SET is_active = FALSE, state = 'disabled' WHERE email = 'alice@a.example'",
		"domain gone": "UPDATE domains SET state = 'retired' WHERE name = 'a.example'",
	} {
		t.Run(name, func(t *testing.T) {
			b := s.signIn(t, "alice@a.example")
			s.exec(t, change)
			if resp := b.get("/"); resp.StatusCode != http.StatusSeeOther || resp.Header.Get("Location") != "/sign-in" {
				t.Errorf("still in: %s", resp.Status)
			}
			s.exec(t, "UPDATE users SET is_active = TRUE, state = 'active' WHERE email = 'alice@a.example'")
			s.exec(t, "UPDATE domains SET state = 'active'")
		})
	}
	t.Run("foreign forms", func(t *testing.T) {
		b := s.signIn(t, "alice@a.example")
		other := s.signIn(t, "bob@b.example")
		b.get("/password")
		mine := b.page
		fields := []string{"password", secret, "new", "another good password", "again", "another good password"}
		for name, page := range map[string]string{"none": "", "made up": `name="token" value="AAAA"`, "another session's": other.page} {
			b.page = page
			if resp := b.post("/password", fields...); resp.StatusCode != http.StatusForbidden {
				t.Errorf("a form with the token %s: %s", name, resp.Status)
			}
		}
		s.audited(t, `"form"`, `"forged"`, "alice@a.example")
		token := tokenField.FindStringSubmatch(mine)[1]
		form := url.Values{"token": {token}, "password": {secret}, "new": {"another good password"}, "again": {"another good password"}}
		req, err := http.NewRequest("POST", s.web.URL+"/password", strings.NewReader(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Origin", "https://evil.example")
		if resp := b.do(req); resp.StatusCode != http.StatusForbidden {
			t.Errorf("a form from elsewhere: %s", resp.Status)
		}
		s.audited(t, `"foreign"`, "evil.example")
		s.signIn(t, "alice@a.example") // with the old password
	})
	s.clean(t)
}

func (s *site) exec(t testing.TB, query string) {
	t.Helper()
	if _, err := s.db.Exec(query); err != nil {
		t.Fatal(err)
	}
}

// TestClientAddress: only the tunnel is believed about who the client is.
func TestClientAddress(t *testing.T) {
	s := &Server{proxies: []netip.Prefix{netip.MustParsePrefix("192.0.2.20/32")}}
	tests := []struct{ remote, header, want string }{
		{"192.0.2.20:1", "198.51.100.7", "198.51.100.7"},
		{"192.0.2.20:1", "2001:db8:1:2:3::4", "2001:db8:1:2::/64"},
		{"192.0.2.20:1", "", "192.0.2.20"},
		{"192.0.2.20:1", "nonsense", "192.0.2.20"},
		{"192.0.2.21:1", "198.51.100.7", "192.0.2.21"},
		{"[::ffff:192.0.2.20]:1", "198.51.100.7", "198.51.100.7"},
	}
	for _, tt := range tests {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = tt.remote
		if tt.header != "" {
			r.Header.Set("CF-Connecting-IP", tt.header)
		}
		if got := throttleKey(s.client(r)); got != tt.want {
			t.Errorf("%s says %q: %s, want %s", tt.remote, tt.header, got, tt.want)
		}
	}
}

func TestPassword(t *testing.T) {
	s := start(t)
	before, err := mariadb.Read(t.Context(), s.db)
	if err != nil {
		t.Fatal(err)
	}
	b, elsewhere := s.signIn(t, "alice@a.example"), s.signIn(t, "alice@a.example")
	const fresh = "a much better one 日本"
	refused := []struct{ why, present, new, again string }{
		{"the present one is wrong", "wrong", fresh, fresh},
		{"they differ", secret, fresh, fresh + "x"},
		{"it is short", secret, "short", "short"},
		{"it is the address", secret, "alice@a.example", "alice@a.example"},
		{"it is endless", secret, strings.Repeat("abc", 200), strings.Repeat("abc", 200)},
	}
	for _, tt := range refused {
		b.get("/password")
		if resp := b.post("/password", "password", tt.present, "new", tt.new, "again", tt.again); resp.StatusCode < 400 || !strings.Contains(b.page, `role="alert"`) {
			t.Errorf("%s: %s", tt.why, resp.Status)
		}
	}
	b.get("/password")
	if resp := b.post("/password", "password", secret, "new", fresh, "again", fresh); resp.StatusCode != http.StatusSeeOther {
		t.Fatalf("%s: %s", resp.Status, b.page)
	}
	if resp := b.get("/"); resp.StatusCode != http.StatusOK {
		t.Errorf("who changed it is signed out: %s", resp.Status)
	}
	if resp := elsewhere.get("/"); resp.StatusCode != http.StatusSeeOther {
		t.Errorf("the other browser is still in: %s", resp.Status)
	}
	again := s.browser(t)
	if resp := again.post("/sign-in", "address", "alice@a.example", "password", secret); resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("the old password: %s", resp.Status)
	}
	if resp := again.post("/sign-in", "address", "alice@a.example", "password", fresh); resp.StatusCode != http.StatusSeeOther {
		t.Errorf("the new password: %s", resp.Status)
	}
	var hash string
	if err := s.db.QueryRow("SELECT password_hash FROM users WHERE email = 'alice@a.example'").Scan(&hash); err != nil || !strings.HasPrefix(hash, "{ARGON2ID}$argon2id$v=19$m=64,t=1,p=1$") {
		t.Errorf("stored as %.40s (%v)", hash, err)
	}
	s.audited(t, `"password"`, `"done"`, "alice@a.example")

	git := s.signIn(t, "git@a.example")
	git.get("/")
	if resp := git.post("/password", "password", secret, "new", fresh, "again", fresh); resp.StatusCode != http.StatusForbidden {
		t.Errorf("a password of the repository's: %s", resp.Status)
	}
	after, err := mariadb.Read(t.Context(), s.db)
	if d := cmp.Diff(before, after); d != "" || err != nil {
		t.Errorf("a password shows as drift (%v):\n%s", err, d)
	}
	if strings.Contains(s.log.String(), fresh) {
		t.Error("the log has the new password")
	}
	s.clean(t)
}

func TestSecondFactor(t *testing.T) {
	s := start(t)
	b := s.signIn(t, "alice@a.example")
	b.get("/factor")
	key, proof := field(t, b.page, "key"), field(t, b.page, "proof")
	code := func(steps int) string {
		c, err := totp.GenerateCode(key, time.Now().Add(time.Duration(steps)*stepSeconds*time.Second))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	page := b.page
	for name, fields := range map[string][]string{
		"a key of one's own":   {"key", "JBSWY3DPEHPK3PXP", "proof", proof, "password", secret, "code", code(0)},
		"the wrong password":   {"key", key, "proof", proof, "password", "wrong", "code", code(0)},
		"a code of long ago":   {"key", key, "proof", proof, "password", secret, "code", code(-10)},
		"no code":              {"key", key, "proof", proof, "password", secret, "code", ""},
		"a code that is large": {"key", key, "proof", proof, "password", secret, "code", strings.Repeat("1", 9000)},
	} {
		b.page = page
		if resp := b.post("/factor", fields...); resp.StatusCode < 400 {
			t.Errorf("%s: %s", name, resp.Status)
		}
	}
	b.page = page
	if resp := b.post("/factor", "key", key, "proof", proof, "password", secret, "code", code(-1)); resp.StatusCode != http.StatusSeeOther {
		t.Fatalf("%s: %s", resp.Status, b.page)
	}

	again := s.browser(t)
	if resp := again.post("/sign-in", "address", "alice@a.example", "password", secret); resp.Header.Get("Location") != "/code" {
		t.Fatalf("no second step: %s to %s", resp.Status, resp.Header.Get("Location"))
	}
	for _, path := range []string{"/", "/password", "/factor"} {
		if resp := again.get(path); resp.Header.Get("Location") != "/code" && resp.Header.Get("Location") != "/sign-in" {
			t.Errorf("half a sign-in opens %s: %s", path, resp.Status)
		}
	}
	again.get("/code")
	if resp := again.post("/code", "code", code(-1)); resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("a code that was used: %s", resp.Status)
	}
	if resp := again.post("/code", "code", "000000"); resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("a made-up code: %s", resp.Status)
	}
	half := again.http.Jar.Cookies(mustURL(s.web.URL))
	if resp := again.post("/code", "code", code(0)); resp.StatusCode != http.StatusSeeOther {
		t.Fatalf("the right code: %s", resp.Status)
	}
	if resp := again.get("/"); resp.StatusCode != http.StatusOK {
		t.Errorf("not in: %s", resp.Status)
	}
	stolen := s.browser(t)
	stolen.http.Jar.SetCookies(mustURL(s.web.URL), half)
	if resp := stolen.get("/"); resp.StatusCode == http.StatusOK {
		t.Error("the half session's cookie has become a whole one")
	}

	again.get("/factor")
	if resp := again.post("/factor/remove", "password", "wrong"); resp.StatusCode < 400 {
		t.Errorf("removed without the password: %s", resp.Status)
	}
	if resp := again.post("/factor/remove", "password", secret); resp.StatusCode != http.StatusSeeOther {
		t.Errorf("not removed: %s", resp.Status)
	}
	s.signIn(t, "alice@a.example")
	s.clean(t)
	if strings.Contains(s.log.String(), key) {
		t.Error("the log has the key")
	}
}

func field(t testing.TB, page, name string) string {
	t.Helper()
	_, rest, ok := strings.Cut(page, fmt.Sprintf(`name="%s" value="`, name))
	value, _, _ := strings.Cut(rest, `"`)
	if !ok {
		t.Fatalf("no field %s in %s", name, page)
	}
	return value
}
