package console

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mailplan/mailplan/runtime/accounts/mariadb"
)

// TestFirstPassword: whose password is his own has none at first, and gets one by a link.
func TestFirstPassword(t *testing.T) {
	s := start(t)
	before, err := mariadb.Read(t.Context(), s.db)
	if err != nil {
		t.Fatal(err)
	}
	boss := s.signIn(t, "boss@b.example")
	for _, address := range []string{"alice@a.example", "boss@b.example", "barred@b.example", "nobody@b.example", "git@a.example"} {
		boss.get("/")
		if resp := boss.post("/users/" + address + "/link"); resp.StatusCode != http.StatusNotFound {
			t.Errorf("boss makes a link for %s: %s", address, resp.Status)
		}
	}
	s.audited(t, `"link"`, `"refused"`, "boss@b.example")
	link := func() string {
		boss.get("/users/new@b.example")
		if resp := boss.post("/users/new@b.example/link"); resp.StatusCode != http.StatusOK {
			t.Fatalf("%s: %s", resp.Status, boss.page)
		}
		_, rest, _ := strings.Cut(boss.page, "/welcome/")
		token, _, _ := strings.Cut(rest, "<")
		return "/welcome/" + token
	}
	old, path := link(), link()
	b := s.browser(t)
	for _, wrong := range []string{old, "/welcome/x", path + "x", "/welcome/%ff%00", "/welcome/" + strings.Repeat("x", 5000)} {
		if resp := b.get(wrong); resp.StatusCode != http.StatusNotFound {
			t.Errorf("%.40s: %s", wrong, resp.Status)
		}
	}
	if resp := b.get(path); resp.StatusCode != http.StatusOK || !strings.Contains(b.page, "new@b.example") {
		t.Fatalf("%s: %s", resp.Status, b.page)
	}
	for why, fields := range map[string][]string{"short": {"new", "short", "again", "short"}, "differ": {"new", secret, "again", secret + "x"}} {
		if resp := b.post(path, fields...); resp.StatusCode != http.StatusUnprocessableEntity {
			t.Errorf("%s: %s", why, resp.Status)
		}
	}
	if resp := b.post(path, "new", secret, "again", secret); resp.StatusCode != http.StatusSeeOther {
		t.Fatalf("%s: %s", resp.Status, b.page)
	}
	s.signIn(t, "new@b.example")
	if resp := b.post(path, "new", secret+"2", "again", secret+"2"); resp.StatusCode != http.StatusNotFound {
		t.Errorf("the link works twice: %s", resp.Status)
	}
	late := link()
	s.exec(t, "UPDATE console_links SET ends_at = UTC_TIMESTAMP() - INTERVAL 1 SECOND")
	if resp := b.get(late); resp.StatusCode != http.StatusNotFound {
		t.Errorf("the link never ends: %s", resp.Status)
	}
	after, err := mariadb.Read(t.Context(), s.db)
	if d := cmp.Diff(before, after); d != "" || err != nil {
		t.Errorf("it shows as drift (%v):\n%s", err, d)
	}
	if strings.Contains(s.log.String(), strings.TrimPrefix(path, "/welcome/")) {
		t.Error("the log has the link")
	}
	s.clean(t)
}
