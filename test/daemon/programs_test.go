package daemon_test

import (
	"path/filepath"
	"testing"

	"github.com/mailplan/mailplan/test/daemon"
)

func TestNginx(t *testing.T) {
	t.Parallel()
	const dir = "testdata/nginx"
	accepts(t, "proxy_pass $roundcube")(daemon.Nginx(t, dir))
	unknown := variant(t, dir, "default.conf", "listen", "listens")
	refuses(t, `unknown directive "listens"`)(daemon.Nginx(t, unknown))
	variable := variant(t, dir, "default.conf", "proxy_pass $roundcube", "proxy_pass $webmail")
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
	const dir = "testdata/redis"
	check := func(dir string) (string, error) { return "", daemon.Redis(t, filepath.Join(dir, "redis.conf")) }
	accepts(t, "")(check(dir))
	refuses(t, "volatile-least")(check(variant(t, dir, "redis.conf", "volatile-lru", "volatile-least")))
}

func TestSources(t *testing.T) {
	t.Parallel()
	tests := []struct {
		check          func(testing.TB, string) error
		dir, name      string
		from, to, says string
	}{
		{daemon.PHP, "testdata/php", "site.php", "true;", "true", "syntax error"},
		{daemon.JavaScript, "testdata/worker", "worker.mjs", "};", "", "SyntaxError"},
		{daemon.Terraform, "testdata/terraform", "main.tf", "  bucket", "bucket", "main.tf"},
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

func TestCompose(t *testing.T) {
	t.Parallel()
	const dir, name = "testdata/compose", "docker-compose.yml"
	accepts(t, "image: redis:8")(daemon.Compose(t, dir))
	refuses(t, "memory_limit")(daemon.Compose(t, variant(t, dir, name, "mem_limit", "memory_limit")))
	refuses(t, "UNSET")(daemon.Compose(t, variant(t, dir, name, "${REDIS_VERSION:?}", "$UNSET")))
}
