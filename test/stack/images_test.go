//go:build stack

package stack_test

import (
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/mailplan/mailplan/test/stack"
)

func TestMain(m *testing.M) {
	os.Exit(stack.Run(m, "100.64.0.10/32", smarthostAddress+"/32", stack.Resolver+"/32"))
}

// TestImages brings every stand-in up by itself and asks each for what the project relies on.
func TestImages(t *testing.T) {
	const dir = "testdata/images"
	d := stack.StartDocker(t)
	d.Build(strings.Fields(d.Must(dir, "compose", "config", "--images"))...)
	if _, err := d.Try(dir, "compose", "up", "--detach", "--wait", "--wait-timeout", "120"); err != nil {
		t.Fatalf("%v\n%s", err, d.Must(dir, "compose", "logs"))
	}
	asks := map[string]struct {
		command []string
		answer  string
	}{
		"mariadb":   {[]string{"mariadb", "-h127.0.0.1", "-uapp", "-pexample", "mail", "-e", "SELECT text FROM greeting"}, "made at first start"},
		"redis":     {[]string{"redis-cli", "config", "get", "appendonly"}, "yes"},
		"dovecot":   {[]string{"doveadm", "auth", "test", "alice", "example"}, "auth succeeded"},
		"postfix":   {[]string{"postconf", "-h", "myhostname", "smtpd_relay_restrictions"}, "mail.example.com\npermit_mynetworks,reject"},
		"rspamd":    {[]string{"rspamc", "-h", "127.0.0.1:11333", "/usr/share/doc/rspamd/copyright"}, "Action:"},
		"clamav":    {[]string{"id", "-u", "clamav"}, "100"},
		"roundcube": {[]string{"curl", "-s", "http://127.0.0.1/"}, "Roundcube Webmail"},
	}
	for name, ask := range asks {
		t.Run(name, func(t *testing.T) {
			out, err := d.Try(dir, append([]string{"compose", "exec", "--no-TTY", name}, ask.command...)...)
			if err != nil || !strings.Contains(out, ask.answer) {
				t.Errorf("%v: %v, want %q in\n%s", ask.command, err, ask.answer, out)
			}
		})
	}
	t.Run("webmail through the tunnel", func(t *testing.T) {
		request, err := http.NewRequestWithContext(t.Context(), "GET", "http://100.64.0.10:8080/", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Host = "mail.example.com"
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		if body, err := io.ReadAll(response.Body); err != nil || !strings.Contains(string(body), "Roundcube Webmail") {
			t.Errorf("%s, %v: %s", response.Status, err, body)
		}
	})
}
