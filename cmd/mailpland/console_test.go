package main

import (
	"bytes"
	"encoding/json"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/mailplan/mailplan/runtime/config"
	"github.com/mailplan/mailplan/runtime/console/password"
	machine "github.com/mailplan/mailplan/test/daemon"
	"github.com/mailplan/mailplan/test/mailstore"
)

// consoleConfig is a configuration of the console with a real database that knows alice.
func consoleConfig(t *testing.T) (*config.Config, string) {
	t.Helper()
	schema, err := os.ReadFile("../../compiler/emit/mariadb/files/initdb/10-schema.sql")
	if err != nil {
		t.Fatal(err)
	}
	hash, err := password.NewChecker(1, password.Standard()).Hash(t.Context(), "right horse battery")
	if err != nil {
		t.Fatal(err)
	}
	db := machine.StartMariaDB(t)
	if err := db.Load(string(schema) + `
		CREATE USER usermgmt@'%' IDENTIFIED BY 'pw'; GRANT SELECT, INSERT, UPDATE, DELETE ON mailserver.* TO usermgmt@'%';
		INSERT INTO mailserver.domains (name) VALUES ('example.com');
		INSERT INTO mailserver.users (email, password_hash, domain_id) VALUES ('alice@example.com', '` + hash + `', 1);`); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	conf := &config.Config{
		Accounts: &config.Accounts{Address: net.JoinHostPort("127.0.0.1", strconv.Itoa(db.Port)), User: "usermgmt", Database: "mailserver", PasswordFile: filepath.Join(dir, "password")},
		Console:  &config.Console{Listen: mailstore.FreeAddress(t), SessionKeyFile: filepath.Join(dir, "key")},
		Health:   &config.Health{Listen: mailstore.FreeAddress(t)},
	}
	data, err := json.Marshal(conf)
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{"password": "pw\n", "key": "a key of the console's\n", "mailpland.json": string(data)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return conf, filepath.Join(dir, "mailpland.json")
}

// TestConsole runs the process as its container does: sign-in, health check, metrics, a stop.
func TestConsole(t *testing.T) {
	conf, path := consoleConfig(t)
	var stderr bytes.Buffer
	cmd := exec.Command(os.Args[0], "console", "--config", path)
	cmd.Env, cmd.Stderr = append(os.Environ(), "MAILPLAND_MAIN=1"), &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill() })
	mailstore.Wait(t, conf.Console.Listen)

	var out bytes.Buffer
	if code := Run(t.Context(), []string{"health", "--ready", "--config", path}, &out, &out); code != 0 || !strings.Contains(out.String(), `"accounts":"ok"`) {
		t.Errorf("health check: %d, %s", code, &out)
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.PostForm("http://"+conf.Console.Listen+"/sign-in", url.Values{"address": {"alice@example.com"}, "password": {"right horse battery"}})
	if err != nil || resp.Header.Get("Location") != "/" || len(resp.Cookies()) != 1 {
		t.Fatalf("sign-in: %v %v", err, resp)
	}
	resp.Body.Close()
	if resp, err := http.Get("http://" + conf.Console.Listen + "/metrics"); err != nil || resp.StatusCode == http.StatusOK {
		t.Errorf("the public site shows metrics: %v %v", err, resp)
	}
	if text := metrics(t, conf.Health.Listen); !strings.Contains(text, `mailplan_console_actions_total{action="sign-in",outcome="done"} 1`) {
		t.Errorf("metrics: %s", text)
	}

	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("stop: %v: %s", err, &stderr)
	}
}

func metrics(t *testing.T, address string) string {
	t.Helper()
	resp, err := http.Get("http://" + address + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var b bytes.Buffer
	if _, err := b.ReadFrom(resp.Body); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestConsoleRefusesToStart names what is wrong with a configuration.
func TestConsoleRefusesToStart(t *testing.T) {
	dir := t.TempDir()
	weak := filepath.Join(dir, "weak")
	if err := os.WriteFile(weak, []byte("short\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	accounts := `"accounts": {"address": "127.0.0.1:1", "user": "u", "database": "d", "passwordFile": "` + weak + `"}`
	tests := map[string]string{
		`{}`: "give the sections console and accounts",
		`{"console": {"listen": "127.0.0.1:0", "sessionKeyFile": "` + weak + `"}, ` + accounts + `}`:                   "the key has 5 bytes",
		`{"console": {"listen": "127.0.0.1:0", "sessionKeyFile": "` + weak + `x"}, ` + accounts + `}`:                  "console.sessionKeyFile",
		`{"console": {"listen": "8080", "sessionKeyFile": "` + weak + `", "proxies": ["10.0.0.1"]}, ` + accounts + `}`: "console.proxies[0]",
	}
	for text, want := range tests {
		path := filepath.Join(dir, "mailpland.json")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		var stderr bytes.Buffer
		if code := Run(t.Context(), []string{"console", "--check", "--config", path}, &stderr, &stderr); code != 1 || !strings.Contains(stderr.String(), want) {
			t.Errorf("%s: %d, %s, want %s", text, code, &stderr, want)
		}
	}
}
