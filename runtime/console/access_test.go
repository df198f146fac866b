package console

import (
	"crypto/rand"
	"crypto/rsa"
	"database/sql"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/mailplan/mailplan/runtime/access"
	"github.com/mailplan/mailplan/runtime/config"
)

const team = "https://team.cloudflareaccess.com"

// vouch returns what a site that asks for Access is configured with, and a signer of its tokens.
func vouch(t *testing.T, signIn bool) (func(*config.Console), func(claims map[string]any) string) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "k", Algorithm: "RS256"}}})
	file := filepath.Join(t.TempDir(), "access.json")
	if err == nil {
		err = os.WriteFile(file, data, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: key, KeyID: "k"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	token := func(change map[string]any) string {
		claims := map[string]any{"iss": team, "aud": []string{"console"}, "exp": time.Now().Add(time.Hour).Unix(), "type": "app"}
		for k, v := range change {
			claims[k] = v
		}
		data, err := json.Marshal(claims)
		if err != nil {
			t.Fatal(err)
		}
		signed, err := signer.Sign(data)
		if err != nil {
			t.Fatal(err)
		}
		text, err := signed.CompactSerialize()
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	audience := filepath.Join(t.TempDir(), "access.aud")
	if err := os.WriteFile(audience, []byte("console\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return func(c *config.Console) {
		c.Access = &config.ConsoleAccess{Issuer: team, Audience: "console", KeysFile: file, SignIn: signIn}
		if signIn {
			c.Access.Audience, c.Access.AudienceFile = "", audience
		}
	}, token
}

// passing adds the token of Access to every request.
type passing struct {
	token string
	next  http.RoundTripper
}

func (p *passing) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	if p.token != "" {
		r.Header.Set(access.Header, p.token)
	}
	return p.next.RoundTrip(r)
}

// past is a browser whose requests carry a token.
func (s *site) past(t *testing.T, token string) (*client, *passing) {
	t.Helper()
	b := s.browser(t)
	p := &passing{token, b.http.Transport}
	b.http.Transport = p
	return b, p
}

func TestAccess(t *testing.T) {
	db := database(t)
	seed(t, db)
	t.Run("gate", func(t *testing.T) { accessGate(t, db) })
	t.Run("signs in", func(t *testing.T) { accessSignsIn(t, db) })
}

// accessGate lets nothing through without a good token, and asks for the password all the same.
func accessGate(t *testing.T, db *sql.DB) {
	change, token := vouch(t, false)
	s := on(t, db, change)
	for why, text := range map[string]string{"none": "", "garbage": "a.b.c", "another application's": token(map[string]any{"aud": []string{"webmail"}}),
		"another team's": token(map[string]any{"iss": "https://evil.cloudflareaccess.com"}), "an old one": token(map[string]any{"exp": time.Now().Add(-time.Hour).Unix()})} {
		b, _ := s.past(t, text)
		for _, path := range []string{"/", "/sign-in", "/users", "/static/console.css", "/welcome/hush-7c1d"} {
			if resp := b.get(path); resp.StatusCode != http.StatusForbidden || !strings.Contains(b.page, "Cloudflare Access") {
				t.Errorf("%s at %s: %s", why, path, resp.Status)
			}
		}
		if resp := b.post("/sign-in", "address", "root@a.example", "password", secret); resp.StatusCode != http.StatusForbidden {
			t.Errorf("%s signs in: %s", why, resp.Status)
		}
	}
	if resp := s.browser(t).get("/health"); resp.StatusCode != http.StatusOK {
		t.Errorf("the container's own check: %s", resp.Status)
	}
	s.audited(t, `"access"`, `"refused"`, "/users")
	if strings.Contains(s.log.String(), "hush-7c1d") {
		t.Error("the log has a link's secret")
	}
	b, p := s.past(t, token(map[string]any{"email": "somebody@elsewhere.example"}))
	if resp := b.post("/sign-in", "address", "root@a.example", "password", "wrong"); resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("a wrong password: %s", resp.Status)
	}
	if resp := b.post("/sign-in", "address", "root@a.example", "password", secret); resp.Header.Get("Location") != "/" {
		t.Errorf("the right one: %s", resp.Status)
	}
	if resp := b.get("/users"); resp.StatusCode != http.StatusOK {
		t.Errorf("past Access and signed in: %s", resp.Status)
	}
	p.token = ""
	if resp := b.get("/users"); resp.StatusCode != http.StatusForbidden {
		t.Errorf("the session without Access: %s", resp.Status)
	}
	s.clean(t)
}

// accessSignsIn lets in whom Access knows, as himself and nobody else.
func accessSignsIn(t *testing.T, db *sql.DB) {
	change, token := vouch(t, true)
	s := on(t, db, change)
	of := func(email string) string { return token(map[string]any{"email": email}) }
	b, p := s.past(t, of("Alice@A.example"))
	if b.get("/sign-in"); !strings.Contains(b.page, "knows you as alice@a.example") || strings.Contains(b.page, `type="password"`) {
		t.Errorf("the sign-in: %s", b.page)
	}
	if resp := b.post("/sign-in", "address", "root@a.example", "password", secret); resp.Header.Get("Location") != "/" {
		t.Fatalf("%s", resp.Status)
	}
	if b.get("/"); !strings.Contains(b.page, "alice@a.example") || strings.Contains(b.page, "root@a.example") {
		t.Errorf("signed in as somebody else: %s", b.page)
	}
	p.token = of("root@a.example")
	if resp := b.get("/"); resp.Header.Get("Location") != "/sign-in" {
		t.Errorf("her session serves whoever Access knows now: %s", resp.Status)
	}
	for _, email := range []string{"stranger@elsewhere.example", "barred@b.example", "", "' OR 1=1 --"} {
		b, _ := s.past(t, of(email))
		if resp := b.post("/sign-in", "address", "root@a.example", "password", secret); resp.StatusCode != http.StatusForbidden {
			t.Errorf("%q gets in: %s", email, resp.Status)
		}
	}
	s.exec(t, "INSERT INTO console_factors (user_id, totp_key, last_step) SELECT id, 'JBSWY3DPEHPK3PXP', 0 FROM users WHERE email = 'root@a.example'")
	b, _ = s.past(t, of("root@a.example"))
	if resp := b.post("/sign-in"); resp.Header.Get("Location") != "/code" {
		t.Errorf("the second step is left out: %s to %q", resp.Status, resp.Header.Get("Location"))
	}
	s.audited(t, `"sign-in"`, `"refused"`, "stranger@elsewhere.example")
	s.clean(t)
}
