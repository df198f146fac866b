package containers

import (
	"testing"

	"github.com/mailplan/mailplan/compiler/model"
)

// TestAPasswordRestartsNobody holds how a service takes note of its passwords: a rotation is to cut no connection.
func TestAPasswordRestartsNobody(t *testing.T) {
	p := project{services: map[string]service{"postfix": {single: map[string]bool{model.ProjectDir + "/config/postfix/10-mailplan.sh": true}},
		"tailscale": {single: map[string]bool{model.ProjectDir + "/secrets/TAILSCALE_AUTHKEY": true}}}}
	for _, c := range []struct {
		service, file string
		want          how
	}{
		{"mariadb", "secrets/mariadb/DOVECOT_DB_PASSWORD.next", nothing}, // its accounts are settled
		{"mariadb", "config/mariadb/conf.d/mailplan.cnf", restart},
		{"redis", "config/redis/users.acl", reload}, {"redis", "secrets/redis/REDIS_PASSWORD", nothing}, {"redis", "config/redis/redis.conf", restart},
		{"rspamd", "config/rspamd/override.d/worker-controller.inc", reload},
		{"dovecot", "secrets/dovecot/rspamd-controller.previous", nothing},
		{"postfix", "config/postfix/sasl_passwd", reload}, {"postfix", "config/postfix/mysql-sender-login.cf", reload},
		{"postfix", "config/postfix/main.cf", restart}, {"postfix", "config/postfix/10-mailplan.sh", restart},
		{"roundcube", "secrets/roundcube/roundcube_db_password", nothing}, {"roundcube", "config/roundcube/mailplan.php", nothing},
		{"tailscale", "secrets/TAILSCALE_AUTHKEY", nothing},
	} {
		if got := p.how(c.service, []string{model.ProjectDir + "/" + c.file}); got != c.want {
			t.Errorf("%s takes note of %s by %s, want %s", c.service, c.file, got, c.want)
		}
	}
	if !below(model.ProjectDir+"/secrets/mariadb/MYSQL_PASSWORD.next", manners["mariadb"].settles) {
		t.Error("a second password is not settled in the database")
	}
}
