package runtime_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mailplan/mailplan/compiler/emit/emittest"
	emitted "github.com/mailplan/mailplan/compiler/emit/runtime"
	"github.com/mailplan/mailplan/compiler/model"
)

func TestConsole(t *testing.T) {
	s := emittest.Site()
	files := emittest.Emit(t, emitted.Files, s)
	c := parse(t, files, "config/runtime/mailpland.json").Console
	tunnel, err := s.ServiceAddress("cloudflared", "web")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{tunnel.String() + "/32"}, c.Proxies); d != "" {
		t.Errorf("who is believed about clients:\n%s", d)
	}
	if c.Listen != ":8080" || c.SessionKeyFile != "/run/secrets/CONSOLE_SESSION_KEY" {
		t.Errorf("console: %+v", c)
	}
	s.Secrets.Names = map[string]model.SecretRule{model.SecretConsoleSession: {Also: "CONSOLE_SESSION_KEY.previous"}}
	rotating := parse(t, emittest.Emit(t, emitted.Files, s), "config/runtime/mailpland.json").Console
	if rotating.SessionKeyFile != c.SessionKeyFile || !cmp.Equal(rotating.FormerKeyFiles, []string{"/run/secrets/CONSOLE_SESSION_KEY.previous"}) {
		t.Errorf("while the session key rotates: %+v", rotating)
	}
	said := emittest.Text(t, files, "config/runtime/console.json")
	if !strings.Contains(said, s.Domains[0].Selectors[0].Name) || strings.Contains(said, "secret") {
		t.Errorf("console.json: %s", said)
	}
	for _, f := range files {
		if f.Path == model.ProjectDir+"/config/runtime/mailpland.json" {
			if d := cmp.Diff([]string{"mailserver-api", "usermgmt"}, f.Reads); d != "" {
				t.Errorf("who restarts:\n%s", d)
			}
		}
	}

	s.Edge.Tunnel.Connectors = 3
	c = parse(t, emittest.Emit(t, emitted.Files, s), "config/runtime/mailpland.json").Console
	if len(c.Proxies) != 1 || !strings.HasSuffix(c.Proxies[0], ".128/25") {
		t.Errorf("several connectors: %v", c.Proxies)
	}
}
