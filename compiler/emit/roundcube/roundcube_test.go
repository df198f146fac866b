package roundcube_test

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/mailplan/mailplan/compiler/emit/emittest"
	"github.com/mailplan/mailplan/compiler/emit/roundcube"
	"github.com/mailplan/mailplan/compiler/model"
	"github.com/mailplan/mailplan/test/daemon"
)

// evaluated is the configuration as PHP sees it.
type evaluated struct {
	Database  string          `json:"db_dsnw"`
	Passwords string          `json:"password_db_dsn"`
	Prefix    string          `json:"password_algorithm_prefix"`
	Algorithm string          `json:"password_algorithm"`
	SMTP      string          `json:"smtp_host"`
	Proxies   []string        `json:"proxy_whitelist"`
	Hosts     []string        `json:"trusted_host_patterns"`
	Plugins   []string        `json:"plugins"`
	Key       int             `json:"key"`
	IMAP      json.RawMessage `json:"imap_conn_options"`
}

// evaluate runs the file with PHP and every secret as secret.
func evaluate(t *testing.T, s *model.Site, secret string) evaluated {
	t.Helper()
	files := emittest.Emit(t, roundcube.Files, s)
	dir := emittest.Layout(t, files, "config/roundcube", func(string) string { return secret })
	if _, err := daemon.PHP(t, dir); err != nil {
		t.Fatalf("refused: %v", err)
	}
	r := daemon.NewTrixieRoot(t)
	r.Mount(dir, "/srv/config")
	result := r.Run("php", "-d", "error_reporting=-1", "-d", "display_errors=stderr", "-r",
		`include '/srv/config/mailplan.php'; $config['key'] = strlen($config['des_key']); unset($config['des_key']);
		echo json_encode($config, JSON_THROW_ON_ERROR);`)
	var got evaluated
	if err := json.Unmarshal([]byte(result.Stdout), &got); err != nil || result.Stderr != "" {
		t.Fatalf("%v %v: %s%s", err, result.Err, result.Stdout, result.Stderr)
	}
	return got
}

func TestEvaluates(t *testing.T) {
	t.Parallel()
	s := emittest.Site()
	got := evaluate(t, s, `it's a/secret\with @:${odd} signs`)
	const encoded = "it%27s%20a%2Fsecret%5Cwith%20%40%3A%24%7Bodd%7D%20signs"
	if got.Database != "mysql://roundcube:"+encoded+"@mariadb/roundcubemail" || got.Passwords != "mysql://rcpassword:"+encoded+"@mariadb/mailserver" {
		t.Errorf("databases: %s, %s", got.Database, got.Passwords)
	}
	if got.Prefix != "{ARGON2ID}" || got.Algorithm != "hash-argon2id" {
		t.Errorf("passwords are stored as %s %s", got.Prefix, got.Algorithm)
	}
	if got.Key != 32 {
		t.Errorf("the session key has %d bytes, the cipher wants 32", got.Key)
	}
	if got.SMTP != "ssl://postfix:465" || len(got.Proxies) != 1 || got.Proxies[0] != "10.203.7.19" {
		t.Errorf("peers: %s, %v", got.SMTP, got.Proxies)
	}
	if len(got.Hosts) != 1 || got.Hosts[0] != `^mail\.example\.com$` || len(got.Plugins) != 5 {
		t.Errorf("hosts %q, plugins %q", got.Hosts, got.Plugins)
	}
	if imap := string(got.IMAP); !strings.Contains(imap, `"verify_peer":true`) || !strings.Contains(imap, `"peer_name":"imap.example.com"`) {
		t.Errorf("the mail store is not verified: %s", imap)
	}
}

// TestSessionsGoOn holds that a session keeps the key that it began with while keys change, and that new ones take the new key.
func TestSessionsGoOn(t *testing.T) {
	t.Parallel()
	s := emittest.Site()
	plain := sessions(t, s, "")
	s.Secrets.Names = map[string]model.SecretRule{model.SecretRoundcubeDES: {Also: "ROUNDCUBE_DES_KEY.previous"}}
	fresh := sessions(t, s, "")
	if plain.Key != fresh.Key || plain.Cookie != fresh.Cookie || !strings.HasPrefix(fresh.Cookie, "roundcube_") {
		t.Errorf("who comes new gets %+v, want %+v", fresh, plain)
	}
	s.Secrets.Names = map[string]model.SecretRule{model.SecretRoundcubeDES: {Also: "another"}}
	others := sessions(t, s, "")
	if others != fresh {
		t.Errorf("the last key decides what who comes new gets: %+v", others)
	}
	s.Secrets.Names = map[string]model.SecretRule{model.SecretRoundcubeDES: {Also: "ROUNDCUBE_DES_KEY.previous"}}
	former := fmt.Sprintf("roundcube_%.4x", sha256.Sum256([]byte("name value of ROUNDCUBE_DES_KEY.previous")))
	want := session{former, fmt.Sprintf("%x", sha256.Sum256([]byte("value of ROUNDCUBE_DES_KEY.previous")))}
	if got := sessions(t, s, former); got != want {
		t.Errorf("who is signed in gets %+v, want %+v", got, want)
	}
	if got := sessions(t, s, former+" "+fresh.Cookie); got != fresh {
		t.Errorf("who has signed in again gets %+v, want %+v", got, fresh)
	}
	if got := sessions(t, s, "roundcube_00000000"); got != fresh {
		t.Errorf("who comes with a cookie of long ago gets %+v, want %+v", got, fresh)
	}
}

// session is what Roundcube names a session's cookie, and the key of what is in it.
type session struct {
	Cookie string `json:"cookie"`
	Key    string `json:"key"`
}

// sessions asks PHP, for a browser with these cookies.
func sessions(t *testing.T, s *model.Site, cookies string) (got session) {
	t.Helper()
	dir := emittest.Layout(t, emittest.Emit(t, roundcube.Files, s), "config/roundcube", func(name string) string { return "value of " + name })
	r := daemon.NewTrixieRoot(t)
	r.Mount(dir, "/srv/config")
	result := r.Run("php", "-d", "error_reporting=-1", "-d", "display_errors=stderr", "-r",
		`foreach (array_filter(explode(' ', $argv[1])) as $name) { $_COOKIE[$name] = 'x'; } include '/srv/config/mailplan.php';
		echo json_encode(['cookie' => $config['session_name'], 'key' => bin2hex($config['des_key'])]);
		if (isset($session) || isset($former) || isset($cookie)) { exit(1); }`, cookies)
	if err := json.Unmarshal([]byte(result.Stdout), &got); err != nil || result.Err != nil || result.Stderr != "" {
		t.Fatalf("%v %v: %s%s", err, result.Err, result.Stdout, result.Stderr)
	}
	return got
}
