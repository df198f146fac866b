package daemon_test

import (
	"testing"

	"github.com/mailplan/mailplan/test/daemon"
)

func TestNginx(t *testing.T) {
	t.Parallel()
	const dir = "testdata/project/config/nginx"
	accepts(t, "proxy_pass $roundcube")(daemon.Nginx(t, dir))
	unknown := variant(t, dir, "conf.d/default.conf", "listen", "listens")
	refuses(t, `unknown directive "listens"`)(daemon.Nginx(t, unknown))
	variable := variant(t, dir, "conf.d/default.conf", "proxy_pass $roundcube", "proxy_pass $webmail")
	refuses(t, `unknown "webmail" variable`)(daemon.Nginx(t, variable))
}

func TestRspamd(t *testing.T) {
	t.Parallel()
	const dir = "testdata/rspamd"
	accepts(t, "clamav:3310")(daemon.Rspamd(t, dir))
	unclosed := variant(t, dir, "local.d/antivirus.conf", `"clamav:3310";`, `"clamav:3310`)
	refuses(t, "antivirus.conf")(daemon.Rspamd(t, unclosed))
}

func TestClamAV(t *testing.T) {
	t.Parallel()
	const dir = "testdata/clamav"
	accepts(t, "StreamMaxLength")(daemon.ClamAV(t, dir))
	unknown := variant(t, dir, "clamd.conf", "StreamMaxLength", "StreamMaximum")
	refuses(t, "StreamMaximum")(daemon.ClamAV(t, unknown))
	value := variant(t, dir, "freshclam.conf", "Checks 12", "Checks often")
	refuses(t, "Checks")(daemon.ClamAV(t, value))
}

func TestRedis(t *testing.T) {
	t.Parallel()
	const dir = "testdata/project/config/redis"
	accepts(t, "")(daemon.Redis(t, dir))
	refuses(t, "volatile-least")(daemon.Redis(t, variant(t, dir, "redis.conf", "volatile-lru", "volatile-least")))
}

func TestPHP(t *testing.T) {
	t.Parallel()
	const dir = "testdata/php"
	accepts(t, "No syntax errors")(daemon.PHP(t, dir))
	refuses(t, "syntax error")(daemon.PHP(t, variant(t, dir, "site.php", "true;", "true")))
}

func TestSources(t *testing.T) {
	t.Parallel()
	tests := []struct {
		check          func(testing.TB, string) error
		dir, name      string
		from, to, says string
	}{
		{daemon.JavaScript, "testdata/project/edge", "worker/worker.mjs", "};", "", "SyntaxError"},
		{daemon.Terraform, "testdata/project/terraform", "main.tf", "  bucket", "bucket", "main.tf"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if err := tt.check(t, tt.dir); err != nil {
				t.Errorf("refused: %v", err)
			}
			refuses(t, tt.says)("", tt.check(t, variant(t, tt.dir, tt.name, tt.from, tt.to)))
		})
	}
}

func TestProject(t *testing.T) { daemon.Project(t, "testdata/project") }

func TestCompose(t *testing.T) {
	t.Parallel()
	const dir, name = "testdata/project", "docker-compose.yml"
	accepts(t, "image: redis:8")(daemon.Compose(t, dir))
	refuses(t, "tempfs")(daemon.Compose(t, variant(t, dir, name, "tmpfs", "tempfs")))
	refuses(t, "UNSET")(daemon.Compose(t, variant(t, dir, name, "${REDIS_VERSION:?}", "$UNSET")))
}
