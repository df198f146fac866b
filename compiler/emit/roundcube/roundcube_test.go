package roundcube_test

import (
	"encoding/json"
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
