package compose

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/compose-spec/compose-go/v2/types"

	"github.com/mailplan/mailplan/compiler/model"
)

// none are the capabilities of a service that needs none.
var none = types.ContainerSpec{CapDrop: []string{"ALL"}}

// with are all capabilities dropped but these.
func with(capabilities ...string) types.ContainerSpec {
	return types.ContainerSpec{CapDrop: []string{"ALL"}, CapAdd: capabilities}
}

// service is a container with what it waits for.
func service(c types.ContainerSpec, h *types.HealthCheckConfig, after ...string) types.ServiceConfig {
	svc := types.ServiceConfig{ContainerSpec: c}
	svc.HealthCheck = h
	if len(after) > 0 {
		svc.DependsOn = healthy(after...)
	}
	return svc
}

func grace(d time.Duration) *types.Duration {
	out := types.Duration(d)
	return &out
}

// services adds the stack in start order.
func (b *builder) services() {
	b.mariadb()
	b.redis()
	b.clamav()
	b.rspamd()
	b.dovecot()
	b.postfix()
	b.roundcube()
	b.mailpland()
	b.nginx()
	b.cloudflared()
	if b.tailnetContainer() {
		b.tailscale()
	}
}

func (b *builder) zone() string { return cmp.Or(b.site.Host.Timezone, "UTC") }

func (b *builder) mariadb() {
	spec := none
	spec.User, spec.ReadOnly = "999:999", true
	spec.Tmpfs = types.StringList{"/tmp", "/run/mysqld:uid=999,gid=999,mode=0755"}
	spec.Environment = env("MARIADB_ROOT_PASSWORD_FILE", "/run/secrets/MYSQL_ROOT_PASSWORD",
		"MARIADB_ROOT_HOST", "localhost", "MARIADB_AUTO_UPGRADE", "1", "TZ", b.zone())
	spec.Volumes = []types.ServiceVolumeConfig{
		data("db_data", "/var/lib/mysql"),
		config("mariadb/initdb", "/docker-entrypoint-initdb.d"),
		config("mariadb/conf.d", "/etc/mysql/conf.d"),
	}
	spec.StopGracePeriod = grace(time.Minute)
	b.add("mariadb", b.site.Containers.MariaDB,
		service(spec, command("healthcheck.sh", "--connect", "--innodb_initialized")))
}

func (b *builder) redis() {
	spec := none
	spec.User, spec.ReadOnly = "999:1000", true
	spec.Command = types.ShellCommand{"redis-server", "/usr/local/etc/redis/redis.conf"}
	spec.Tmpfs = types.StringList{"/tmp"}
	spec.Volumes = []types.ServiceVolumeConfig{data("redis_data", "/data"), config("redis", "/usr/local/etc/redis")}
	spec.StopGracePeriod = grace(30 * time.Second)
	b.add("redis", b.site.Containers.Redis, service(spec,
		command("sh", "-c", `REDISCLI_AUTH="$(cat /run/secrets/REDIS_PASSWORD)" redis-cli ping | grep -q PONG`)))
}

func (b *builder) clamav() {
	c := b.site.Containers.ClamAV
	spec := none
	spec.User, spec.ReadOnly = "100:101", true
	spec.Entrypoint = types.ShellCommand{"/init-unprivileged"}
	spec.Environment = env("FRESHCLAM_CHECKS", fmt.Sprint(c.ChecksPerDay), "TZ", b.zone())
	spec.Tmpfs = types.StringList{"/tmp", "/run/clamav:uid=100,gid=101", "/var/log/clamav:uid=100,gid=101"}
	spec.Volumes = []types.ServiceVolumeConfig{volume("clamav_data", "/var/lib/clamav"), config("clamav", "/etc/clamav")}
	b.add("clamav", c.Container, service(spec, script("sh", clamavCheck)))
}

func (b *builder) rspamd() {
	c := b.site.Containers.Rspamd.Container
	spec := none
	spec.User, spec.ReadOnly = "11333:11333", true
	spec.Tmpfs = types.StringList{"/tmp", "/run:uid=11333,gid=11333"}
	spec.Environment = env("TZ", b.zone())
	spec.Volumes = []types.ServiceVolumeConfig{
		data("rspamd_data", "/var/lib/rspamd"),
		config("rspamd/local.d", "/etc/rspamd/local.d"),
		config("rspamd/override.d", "/etc/rspamd/override.d"),
	}
	if b.signs() {
		spec.Volumes = append(spec.Volumes, config("rspamd/dkim", "/etc/rspamd/dkim"))
	}
	spec.StopGracePeriod = grace(30 * time.Second)
	b.add("rspamd", c, service(spec, script("bash", said+rspamdCheck), "redis", "clamav"))
}

// signs says whether there is a DKIM key at all: without one there is no folder to mount.
func (b *builder) signs() bool {
	return slices.ContainsFunc(b.site.Domains, func(d model.Domain) bool {
		_, ok := d.Signing()
		return ok && d.State == model.Active
	})
}

func (b *builder) dovecot() {
	d := b.site.Containers.Dovecot
	spec, check := dovecot24(), script("sh", saidPlain+dovecotCheck)
	if d.Version23() {
		spec, check = dovecot23(), script("bash", said+dovecotCheck)
	}
	spec.ReadOnly = true
	spec.Environment = env("TZ", b.zone())
	spec.Tmpfs = append(spec.Tmpfs, "/tmp", "/var/lib/dovecot:uid=1000,gid=1000", "/tmp/sieve-bin:uid=1000,gid=1000,mode=0700")
	spec.Volumes = []types.ServiceVolumeConfig{
		data("mail_data", b.site.MailRoot()),
		config("dovecot", "/etc/dovecot"),
		b.certificate(),
		bind(b.site.Host.Root+"/bin/mailplan-learn", "/usr/local/bin/mailplan-learn", true),
	}
	spec.Sysctls = types.Mapping{"net.ipv4.ip_unprivileged_port_start": "0"}
	spec.StopGracePeriod = grace(30 * time.Second)
	svc := service(spec, check, "mariadb")
	if !b.tailnetContainer() {
		svc.Ports = append(publish(d.Address, d.IMAPS, 993), publish(d.Address, d.POP3S, 995)...)
	}
	b.add("dovecot", d.Container, svc)
}

func dovecot23() types.ContainerSpec {
	spec := with("CHOWN", "SETUID", "SETGID", "SYS_CHROOT", "DAC_OVERRIDE", "KILL")
	spec.Tmpfs = types.StringList{"/run"}
	return spec
}

func dovecot24() types.ContainerSpec {
	spec := with("SYS_CHROOT")
	spec.User = "1000:1000"
	spec.Tmpfs = types.StringList{"/run/dovecot:uid=1000,gid=1000,mode=0755"}
	return spec
}

// certificate is the folder with the key and certificate of the mail names.
func (b *builder) certificate() types.ServiceVolumeConfig {
	return bind(b.site.CertificateFolder(), "/etc/mailplan/tls", true)
}

func (b *builder) postfix() {
	p := b.site.Containers.Postfix
	spec := with("CHOWN", "DAC_OVERRIDE", "FOWNER", "SETGID", "SETUID", "KILL")
	spec.Hostname = b.site.Name + "-postfix"
	if len(b.site.Host.TLS.Names) > 0 {
		spec.Hostname = b.site.Host.TLS.Names[0]
	}
	spec.Environment = env("ALLOW_EMPTY_SENDER_DOMAINS", "true", "DKIM_BACKEND", "opendkim", "TZ", b.zone())
	spec.Tmpfs = types.StringList{"/tmp", "/etc/postfix:exec,mode=0755", "/etc/opendkim/keys"}
	if strings.HasPrefix(strings.TrimPrefix(p.Tag(), "v"), "6") {
		spec.Tmpfs = append(spec.Tmpfs, "/var/run", "/var/lib/postfix", "/etc/rspamd", "/var/lib/rspamd")
	}
	spec.Volumes = []types.ServiceVolumeConfig{
		volume("postfix_spool", "/var/spool/postfix"),
		config("postfix", "/etc/mailplan/postfix"),
		config("postfix/10-mailplan.sh", "/docker-init.d/10-mailplan.sh"),
		b.certificate(),
	}
	spec.Sysctls = types.Mapping{"net.ipv4.ip_unprivileged_port_start": "0"}
	spec.StopGracePeriod = grace(30 * time.Second)
	svc := service(spec, script("bash", postfixCheck), "mariadb", "dovecot", "rspamd")
	if !b.tailnetContainer() {
		svc.Ports = append(publish(p.Address, p.Submission, 587), publish(p.Address, p.Submissions, 465)...)
	}
	b.add("postfix", p.Container, svc)
}

func (b *builder) roundcube() {
	r := b.site.Containers.Roundcube
	spec, port := with("CHOWN", "SETUID", "SETGID", "DAC_OVERRIDE"), 80
	if b.roundcubeUser() != 0 {
		spec, port = none, 8000
		spec.User = "33:33"
	}
	spec.Environment = env(
		"ROUNDCUBEMAIL_DB_TYPE", "mysql", "ROUNDCUBEMAIL_DB_HOST", "mariadb", "ROUNDCUBEMAIL_DB_PORT", "3306",
		"ROUNDCUBEMAIL_DB_USER", "roundcube", "ROUNDCUBEMAIL_DB_NAME", "roundcubemail",
		"ROUNDCUBEMAIL_DEFAULT_HOST", "ssl://dovecot", "ROUNDCUBEMAIL_DEFAULT_PORT", "993",
		"ROUNDCUBEMAIL_SMTP_SERVER", "ssl://postfix", "ROUNDCUBEMAIL_SMTP_PORT", "465",
		"ROUNDCUBEMAIL_PLUGINS", strings.Join(r.Plugins, ","),
		"ROUNDCUBEMAIL_UPLOAD_MAX_FILESIZE", fmt.Sprintf("%dM", r.MaxAttachmentMiB), "TZ", b.zone())
	spec.Tmpfs = types.StringList{"/tmp"}
	spec.Volumes = []types.ServiceVolumeConfig{config("roundcube", "/var/roundcube/config")}
	b.add("roundcube", r.Container, service(spec, b.webmail(port), "mariadb", "dovecot", "postfix"))
}

// webmail asks for the sign-in page by its name; without the database it is an error.
func (b *builder) webmail(port int) *types.HealthCheckConfig {
	return command("curl", "-fsS", "-m", "8", "-o", "/dev/null", "-H", "Host: "+b.site.Edge.Tunnel.Hostnames.Webmail,
		fmt.Sprintf("http://127.0.0.1:%d/", port))
}

// roundcubeUser is who runs the image: root, or the web server's user in the nonroot flavour.
func (b *builder) roundcubeUser() int {
	if strings.Contains(b.site.Containers.Roundcube.Tag(), "nonroot") {
		return 33
	}
	return 0
}

// mailpland adds the two services that run it.
func (b *builder) mailpland() {
	const settings = "/etc/mailpland/mailpland.json"
	for _, m := range []struct {
		name, verb string
		container  model.Container
		after      []string
		data       []types.ServiceVolumeConfig
	}{
		{"mailserver-api", "serve", b.site.Containers.API, []string{"rspamd", "dovecot", "postfix"},
			[]types.ServiceVolumeConfig{data("mailpland_data", "/var/lib/mailpland")}},
		{"usermgmt", "console", b.site.Containers.Usermgmt, []string{"mariadb"},
			[]types.ServiceVolumeConfig{readOnly(data("reports", "/var/lib/mailpland"))}},
	} {
		spec := none
		spec.User, spec.ReadOnly = "65532:65532", true
		spec.Command = types.ShellCommand{m.verb, "--config", settings}
		spec.Tmpfs = types.StringList{"/tmp"}
		spec.Environment = env("GOMEMLIMIT", fmt.Sprintf("%dMiB", int(m.container.Memory)*9/10), "TZ", b.zone(),
			"GOMAXPROCS", fmt.Sprint(max(1, math.Ceil(m.container.CPUs))))
		b.reason("services/"+m.name+"/environment", "As many processors as it may use, rounded up: Go itself takes two at least, which hand the work back and forth.")
		spec.Volumes = append([]types.ServiceVolumeConfig{config("runtime", "/etc/mailpland")}, m.data...)
		spec.StopGracePeriod = grace(150 * time.Second)
		svc := service(spec, command("/mailpland", "health", "--ready", "--config", settings), m.after...)
		svc.Build = &types.BuildConfig{Context: "./bin", Dockerfile: "../" + m.name + "/Dockerfile"}
		if metrics := b.site.Monitoring.Metrics; m.name == "mailserver-api" && metrics.Address != "" {
			svc.Ports = publish(metrics.Address, metrics.Port, metrics.Port)
		}
		b.add(m.name, m.container, svc)
	}
}

func (b *builder) nginx() {
	c := b.site.Containers.Nginx
	spec := with("CHOWN", "SETUID", "SETGID", "DAC_OVERRIDE")
	spec.ReadOnly = true
	spec.Environment = env("TZ", b.zone())
	spec.Tmpfs = types.StringList{"/tmp", "/run", "/var/cache/nginx"}
	spec.Volumes = []types.ServiceVolumeConfig{
		config("nginx/nginx.conf", "/etc/nginx/nginx.conf"), config("nginx/conf.d", "/etc/nginx/conf.d"),
	}
	spec.StopGracePeriod = grace(30 * time.Second)
	b.add("nginx", c, service(spec, b.webmail(80), "roundcube"))
}

func (b *builder) cloudflared() {
	c := b.site.Containers.Cloudflared
	spec := none
	spec.User, spec.ReadOnly = "65532:65532", true
	spec.Command = types.ShellCommand{"tunnel", "--metrics", "127.0.0.1:20241", "run"}
	spec.Environment = env("TUNNEL_TOKEN_FILE", "/run/secrets/"+b.site.Edge.Tunnel.Token.Secret, "TZ", b.zone())
	spec.StopGracePeriod = grace(35 * time.Second)
	svc := service(spec, command("cloudflared", "tunnel", "--metrics", "127.0.0.1:20241", "ready"), "nginx", "mailserver-api")
	b.add("cloudflared", c, svc)
	if n := b.site.Edge.Tunnel.Connectors; n > 1 {
		svc = b.out.Services["cloudflared"]
		svc.Deploy.Replicas = &n
		for name := range svc.Networks {
			svc.Networks[name] = nil // two containers cannot have one address
		}
		b.out.Services["cloudflared"] = svc
	}
}

func (b *builder) tailscale() {
	c := b.site.Containers.Tailscale
	spec := none
	spec.ReadOnly = true
	spec.Hostname, _, _ = strings.Cut(b.site.Tailnet.Hostname, ".")
	spec.Environment = env("TS_AUTHKEY", "file:/run/secrets/TAILSCALE_AUTHKEY", "TS_AUTH_ONCE", "true",
		"TS_STATE_DIR", "/var/lib/tailscale", "TS_USERSPACE", "true", "TS_HOSTNAME", spec.Hostname,
		"TS_EXTRA_ARGS", "--advertise-tags="+strings.Join(b.site.Tailnet.Tags, ","),
		"TS_SERVE_CONFIG", "/config/serve.json", "TS_ENABLE_HEALTH_CHECK", "true", "TS_LOCAL_ADDR_PORT", "127.0.0.1:9002")
	spec.Tmpfs = types.StringList{"/tmp", "/var/run"}
	spec.Volumes = []types.ServiceVolumeConfig{volume("tailscale_state", "/var/lib/tailscale"), config("tailscale", "/config")}
	b.add("tailscale", c, service(spec, command("wget", "-q", "-O", "/dev/null", "http://127.0.0.1:9002/healthz"), "dovecot", "postfix"))
}
