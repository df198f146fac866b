package rotate_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/mailplan/mailplan/compiler/model"
	"github.com/mailplan/mailplan/compiler/plan"
	"github.com/mailplan/mailplan/compiler/sandbox/cloudflare"
)

// files are those that hold the passwords which a service offers or asks for, and that it knows as of its last start or
// reload; of a folder, all that are in it.
var files = map[string][]string{
	"mariadb":  {"secrets/mariadb"},
	"redis":    {"config/redis/users.acl"},
	"rspamd":   {"config/rspamd/override.d/worker-controller.inc", "config/rspamd/local.d/redis.conf"},
	"dovecot":  {"config/dovecot"},
	"postfix":  {"config/postfix/mysql-sender-login.cf", "config/postfix/sasl_passwd"},
	"usermgmt": {"secrets/USERMGMT_DB_PASSWORD", "secrets/CONSOLE_SESSION_KEY", "secrets/CONSOLE_SESSION_KEY.previous"},
}

// offers are the passwords by who offers which to whom. What has no name in files is read each time.
var offers = []struct{ who, secret, whom string }{
	{"dovecot", model.SecretDovecotDB, "mariadb"},
	{"postfix", model.SecretPostfixDB, "mariadb"},
	{"usermgmt", model.SecretAccountsDB, "mariadb"},
	{"config/roundcube", model.SecretRoundcubeDB, "mariadb"},
	{"config/roundcube", model.SecretPasswordDB, "mariadb"},
	{"secrets/mariadb/MYSQL_ROOT_PASSWORD", model.SecretMariaDBRoot, "mariadb"},
	{"rspamd", model.SecretRedisPassword, "redis"},
	{"secrets/redis/REDIS_PASSWORD", model.SecretRedisPassword, "redis"},
	{"secrets/dovecot", model.SecretRspamdPassword, "rspamd"},
}

// took has the services of the changes that were made take note of their files, one after the other.
func (w *world) took(changes []plan.Change) {
	for _, c := range changes {
		if c.Plane == plan.Containers && w.loaded != nil {
			w.start(c.ID)
			w.passwords("when " + c.ID + " has its files")
		}
	}
}

// start is what a service does when it starts or reloads: it takes its files as they are.
func (w *world) start(service string) {
	if service == "mailserver-api" {
		w.loaded = w.daemon()
	}
	var all strings.Builder
	for _, name := range files[service] {
		all.WriteString(w.text(name))
	}
	w.services[service] = all.String()
}

// text is what a file holds, or all files in a folder; nothing where there is none.
func (w *world) text(name string) string {
	var all strings.Builder
	w.check(filepath.WalkDir(w.hosted(name), func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		all.Write(append(data, '\n'))
		return err
	}))
	return all.String()
}

// passwords holds that whoever offers a password has one that the other side takes.
func (w *world) passwords(when string) {
	w.Helper()
	for _, o := range offers {
		offered, ok := w.services[o.who]
		if !ok {
			offered = w.text(o.who)
		}
		good := false
		for _, value := range w.ever[o.secret] {
			good = good || strings.Contains(offered, value) && strings.Contains(w.services[o.whom], value)
		}
		if !good {
			w.Fatalf("%s, %s: %s refuses the %s of %s", w.now.Format(time.DateOnly), when, o.whom, o.secret, o.who)
		}
	}
}

// connector holds that the host has the token of the tunnel, as it is after an apply.
func (w *world) connector() {
	w.Helper()
	server, err := cloudflare.New(filepath.Join(w.box, "edge"), cloudflare.Options{})
	w.check(err)
	token, err := server.TunnelToken("home")
	w.check(err)
	if got := strings.TrimSpace(w.text("secrets/TUNNEL_TOKEN")); got != token {
		w.Fatalf("%s: a connector that starts is refused", w.now.Format(time.DateOnly))
	}
	if n := len(w.tokens); n == 0 || w.tokens[n-1] != token {
		w.tokens = append(w.tokens, token)
	}
}
