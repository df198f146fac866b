package dovecot_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/mailplan/mailplan/compiler/emit/dovecot"
	"github.com/mailplan/mailplan/compiler/emit/emittest"
	"github.com/mailplan/mailplan/runtime/console/password"
	"github.com/mailplan/mailplan/test/daemon"
)

// selectorRoot lets Dovecot 2.4 put the emitted variable into the name of a file in which the user is, so that the
// sign-in works only if it expands to what the console wrote into the database. (TestDelivery has 2.3 with MariaDB.)
const selectorRoot = `
cat >/etc/dovecot/dovecot.conf <<END
dovecot_config_version = 2.4.1
dovecot_storage_version = 2.4.0
auth_mechanisms = plain
passdb passwd-file {
  default_password_scheme = SSHA512
  passwd_file_path = /etc/dovecot/$1
}
userdb static {
  fields {
    uid = 1000
    gid = 1000
    home = /tmp
  }
}
END
echo "alice:$3" >"/etc/dovecot/$2"
dovecot
sleep 0.3
doveadm auth test alice "$4"
`

func TestSelector(t *testing.T) {
	conf := emittest.Text(t, emittest.Emit(t, dovecot.Files, site("dovecot/dovecot:2.4.5")), "config/dovecot/dovecot.conf")
	variable := regexp.MustCompile(`selector = '(%\{[^}]*\})'`).FindStringSubmatch(conf)
	if variable == nil {
		t.Fatal("no query has a selector")
	}
	plain := password.Random()
	r := daemon.NewTrixieRoot(t)
	r.User("vmail", 1000)
	result := r.Script(selectorRoot, variable[1], password.Selector(plain), password.Fast(plain), plain)
	if result.Err != nil || !strings.Contains(result.Stdout+result.Stderr, "auth succeeded") {
		t.Errorf("%s: %v\n%s\n%s", variable[1], result.Err, result.Stdout, result.Stderr)
	}
}
