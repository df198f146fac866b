package console

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/mailplan/mailplan/runtime/config"
)

// TestKeysChange holds that a session and its forms outlive the change of the key, and end with the key's being good.
func TestKeysChange(t *testing.T) {
	s := start(t)
	b := s.signIn(t, "alice@a.example")
	b.get("/password")
	keyed := func(former bool) *site {
		return on(t, s.db, func(c *config.Console) {
			if former {
				c.FormerKeyFiles = []string{c.SessionKeyFile}
			}
			c.SessionKeyFile = filepath.Join(t.TempDir(), "next")
			if err := os.WriteFile(c.SessionKeyFile, []byte("the next session key of the console\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		})
	}
	b.site = keyed(true)
	if resp := b.post("/password", "password", secret, "new", "another good password", "again", "another good password"); resp.StatusCode >= http.StatusBadRequest {
		t.Errorf("a form that was open when the key changed: %s", resp.Status)
	}
	fresh := b // a new password began a session by the new key
	old := s.signIn(t, "bob@b.example")
	old.site = b.site
	if resp := old.get("/"); resp.StatusCode != http.StatusOK {
		t.Errorf("a session of the last key: %s", resp.Status)
	}
	end := keyed(false)
	old.site, fresh.site = end, end
	if resp := old.get("/"); resp.StatusCode != http.StatusSeeOther {
		t.Errorf("a session of a key that is good no longer: %s", resp.Status)
	}
	if resp := fresh.get("/"); resp.StatusCode != http.StatusOK {
		t.Errorf("a session of the key in use: %s", resp.Status)
	}
}
