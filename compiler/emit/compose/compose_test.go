package compose_test

import (
	"context"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"

	"github.com/mailplan/mailplan/compiler/emit/compose"
	"github.com/mailplan/mailplan/compiler/emit/emittest"
	"github.com/mailplan/mailplan/compiler/model"
	"github.com/mailplan/mailplan/test/daemon"
)

// load emits a site's project and reads it back as Compose does.
func load(t *testing.T, s *model.Site) *types.Project {
	t.Helper()
	text := emittest.Text(t, emittest.Emit(t, compose.Files, s), "docker-compose.yml")
	p, err := loader.LoadWithContext(context.Background(), types.ConfigDetails{
		WorkingDir: "/project", ConfigFiles: []types.ConfigFile{{Filename: "docker-compose.yml", Content: []byte(text)}},
	})
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return p
}

// full is a site with everything that a compose file can have.
func full() *model.Site {
	s := emittest.Site()
	s.Tailnet.Mode = "container"
	s.Containers.Tailscale = model.Container{Image: "tailscale/tailscale:v1.102.3", CPUs: 0.5, Memory: 256}
	s.Containers.Dovecot.Image = "dovecot/dovecot:2.3.21"
	s.Containers.Rspamd.Digest = "sha256:" + strings.Repeat("ab", 32)
	s.Containers.MariaDB.Environment = map[string]string{"GREETING": "a$b"}
	s.Containers.MariaDB.Health = model.Health{Interval: "1m", Retries: 5}
	s.Edge.Tunnel.Connectors = 2
	s.Containers.Own = []model.OwnContainer{
		{Container: model.Container{Image: "ghcr.io/blog/blog:2", CPUs: 0.5, Memory: 256}, Name: "blog", Hostname: "blog.example.com", Port: 80,
			Volumes: []model.VolumeMount{{Source: "data", Target: "/data"}}, HealthCommand: []string{"wget", "-q", "localhost"}},
		{Container: model.Container{Image: "feed:1", CPUs: 0.5, Memory: 256}, Name: "feed", DependsOn: []string{"blog", "mariadb"},
			Publish: []model.Publish{{Address: "127.0.0.1", Port: 8081}}, Volumes: []model.VolumeMount{{Source: "/srv/feed", Target: "/feed", ReadOnly: true}}},
	}
	return s
}

func TestAccepted(t *testing.T) {
	for name, s := range map[string]*model.Site{"usual": emittest.Site(), "full": full()} {
		t.Run(name, func(t *testing.T) {
			dir := emittest.Layout(t, emittest.Emit(t, compose.Files, s), ".", nil)
			if out, err := daemon.Compose(t, dir); err != nil {
				text, _ := os.ReadFile(dir + "/docker-compose.yml")
				t.Errorf("%v\n%s\n%s", err, out, text)
			}
		})
	}
}

// TestListeners holds that nothing is open to the world: every port has an address, no 25, no web port.
func TestListeners(t *testing.T) {
	for name, s := range map[string]*model.Site{"usual": emittest.Site(), "full": full()} {
		var got []string
		for _, svc := range load(t, s).Services {
			for _, port := range svc.Ports {
				got = append(got, svc.Name+" "+port.HostIP+":"+port.Published)
			}
		}
		slices.Sort(got)
		want := []string{"dovecot 100.64.0.10:993", "dovecot 100.64.0.10:995", "postfix 100.64.0.10:465", "postfix 100.64.0.10:587"}
		if name == "full" {
			want = []string{"feed 127.0.0.1:8081"}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: published %v, want %v", name, got, want)
		}
	}
}

// TestZones holds who can talk to whom.
func TestZones(t *testing.T) {
	p := load(t, emittest.Site())
	share := func(a, b string) bool {
		for n := range p.Services[a].Networks {
			if _, ok := p.Services[b].Networks[n]; ok {
				return true
			}
		}
		return false
	}
	apart := [][2]string{{"nginx", "mariadb"}, {"roundcube", "redis"}, {"cloudflared", "dovecot"}, {"nginx", "postfix"},
		{"clamav", "dovecot"}, {"redis", "mailserver-api"}, {"usermgmt", "rspamd"}, {"mailserver-api", "mariadb"}}
	for _, pair := range apart {
		if share(pair[0], pair[1]) {
			t.Errorf("%s reaches %s", pair[0], pair[1])
		}
	}
	for _, pair := range [][2]string{{"mailserver-api", "dovecot"}, {"postfix", "dovecot"}, {"nginx", "roundcube"}, {"rspamd", "clamav"}} {
		if !share(pair[0], pair[1]) {
			t.Errorf("%s does not reach %s", pair[0], pair[1])
		}
	}
	out := []string{"mailserver_network"}
	for name, svc := range p.Services {
		var open []string
		for n := range svc.Networks {
			if net := p.Networks[n]; !net.Internal && net.DriverOpts["com.docker.network.bridge.enable_ip_masquerade"] == "" {
				open = append(open, n)
			}
		}
		if len(open) > 0 && !slices.Equal(open, out) {
			t.Errorf("%s leaves by %v", name, open)
		}
		if inside := slices.Contains([]string{"mariadb", "redis", "dovecot", "roundcube", "nginx", "usermgmt"}, name); inside && len(open) > 0 {
			t.Errorf("%s has a way out", name)
		}
	}
}

// TestPrivileges holds what every service of ours gives up.
func TestPrivileges(t *testing.T) {
	for _, s := range []*model.Site{emittest.Site(), full()} {
		for name, svc := range load(t, s).Services {
			if !slices.Contains(svc.SecurityOpt, "no-new-privileges:true") || svc.Privileged {
				t.Errorf("%s may gain privileges", name)
			}
			if name == "blog" || name == "feed" {
				continue
			}
			if !slices.Equal(svc.CapDrop, []string{"ALL"}) {
				t.Errorf("%s keeps capabilities: dropped %v", name, svc.CapDrop)
			}
			if writable := name == "postfix" || name == "roundcube"; svc.ReadOnly == writable {
				t.Errorf("%s has a read-only root: %v", name, svc.ReadOnly)
			}
			if svc.HealthCheck == nil || svc.Deploy.Resources.Limits.MemoryBytes == 0 || svc.Restart == "" {
				t.Errorf("%s lacks a health check, a limit or a restart policy", name)
			}
			for _, v := range svc.Volumes {
				if strings.Contains(v.Source, "docker.sock") || v.Source == "/project" {
					t.Errorf("%s mounts %s", name, v.Source)
				}
			}
		}
	}
}

// TestVolumes holds that nothing declared as VOLUME by an image is left to an anonymous volume.
func TestVolumes(t *testing.T) {
	declared := map[string][]string{
		"postfix": {"/var/spool/postfix", "/etc/postfix", "/etc/opendkim/keys"}, "mariadb": {"/var/lib/mysql"},
		"redis": {"/data"}, "rspamd": {"/var/lib/rspamd"},
	}
	for _, s := range []*model.Site{emittest.Site(), full()} {
		declared["dovecot"] = []string{"/srv/vmail"}
		if s.Containers.Dovecot.Version23() {
			declared["dovecot"] = []string{"/etc/dovecot", "/srv/mail"}
		}
		p := load(t, s)
		for name, places := range declared {
			for _, place := range places {
				mounted := slices.ContainsFunc(p.Services[name].Volumes, func(v types.ServiceVolumeConfig) bool { return v.Target == place }) ||
					slices.ContainsFunc(p.Services[name].Tmpfs, func(t string) bool { return t == place || strings.HasPrefix(t, place+":") })
				if !mounted {
					t.Errorf("nothing is mounted on %s of %s", place, name)
				}
			}
		}
		if d := p.Volumes["db_data"].DriverOpts; d["device"] != "/mnt/ssd/mailserver/mariadb" || d["type"] != "none" || d["o"] != "bind" {
			t.Errorf("db_data is %v", d)
		}
		if d := p.Volumes["mail_data"].DriverOpts; d["device"] != "/mnt/hdd/mailserver/mailboxes" {
			t.Errorf("mail_data is %v", d)
		}
	}
}

func TestStartOrder(t *testing.T) {
	p := load(t, emittest.Site())
	for name, after := range map[string][]string{
		"postfix": {"mariadb", "dovecot", "rspamd"}, "rspamd": {"redis", "clamav"}, "mailserver-api": {"rspamd", "dovecot", "postfix"},
		"cloudflared": {"nginx", "mailserver-api"},
	} {
		for _, dep := range after {
			if p.Services[name].DependsOn[dep].Condition != "service_healthy" {
				t.Errorf("%s does not wait for a healthy %s", name, dep)
			}
		}
	}
}

func TestHealthTimes(t *testing.T) {
	p := load(t, full())
	got := func(name string) string {
		h := p.Services[name].HealthCheck
		return strings.Join([]string{h.Interval.String(), h.Timeout.String(), h.StartPeriod.String()}, " ")
	}
	for name, want := range map[string]string{"dovecot": "30s 10s 40s", "clamav": "1m0s 10s 6m0s", "mariadb": "1m0s 10s 40s"} {
		if got(name) != want {
			t.Errorf("%s is asked with %s, want %s", name, got(name), want)
		}
	}
	if n := *p.Services["mariadb"].HealthCheck.Retries; n != 5 {
		t.Errorf("mariadb is asked %d times", n)
	}
	if v := p.Services["mariadb"].Environment["GREETING"]; *v != "a$b" {
		t.Errorf("a dollar sign became %q", *v)
	}
}

// TestSecrets holds that a file of a secret belongs to who reads it, and that no value is in the project.
func TestSecrets(t *testing.T) {
	s := full()
	s.Secrets.Names = map[string]model.SecretRule{model.SecretRedisPassword: {Also: "REDIS_PASSWORD.next"},
		model.SecretRspamdPassword: {Also: "RSPAMD_CONTROLLER_PASSWORD.previous"}}
	files := emittest.Emit(t, compose.Files, s)
	p := load(t, s)
	owner := map[string]int{}
	for _, f := range files {
		owner[strings.TrimPrefix(f.Path, model.ProjectDir+"/")] = f.UID
	}
	uids := map[string]int{"mariadb": 999, "redis": 999, "dovecot": 1000, "roundcube": 0, "mailserver-api": 65532, "usermgmt": 65532, "cloudflared": 65532, "tailscale": 0}
	for name, svc := range p.Services {
		for _, ref := range svc.Secrets {
			path := strings.TrimPrefix(p.Secrets[ref.Source].File, "/project/")
			if uid, ok := owner[path]; !ok || uid != uids[name] {
				t.Errorf("%s reads %s, which belongs to %d (there: %v)", name, path, uid, ok)
			}
		}
	}
	emittest.Holds(t, files, ".env", "MYSQL_ROOT_PASSWORD='${secret:MYSQL_ROOT_PASSWORD}'", "MYSQL_PASSWORD=", "USERMGMT_DB_PASSWORD=",
		"SENDGRID_API_KEY=", "MAILSERVER_API_TOKEN=")
	for path, uid := range map[string]int{"secrets/BACKUP_SIGNING_KEY": 0, "secrets/AWS_SECRET_ACCESS_KEY": 0, "secrets/USERMGMT_DB_PASSWORD": 65532,
		"secrets/mariadb/USERMGMT_DB_PASSWORD": 999, "secrets/mariadb/REDIS_PASSWORD.next": -1, "secrets/redis/REDIS_PASSWORD.next": 999,
		"secrets/redis/REDIS_PASSWORD": 999, "secrets/dovecot/rspamd-controller": 1000, "secrets/dovecot/rspamd-controller.previous": 1000} {
		if got, ok := owner[path]; ok != (uid >= 0) || ok && got != uid {
			t.Errorf("%s belongs to %d (there: %v)", path, got, ok)
		}
	}
	for _, secret := range s.Inventory() {
		if secret.Name != "users/alice" && !strings.Contains(secret.Name, ".") {
			emittest.Holds(t, files, ".env.example", secret.Name+"=\n")
		}
	}
	emittest.Holds(t, files, ".gitignore", ".env\n.env.*\n!.env.example\n*.key\n*.pem\nsecrets/\nterraform.tfvars\n")
}

// TestReasons holds that comments survive, in start order of the services.
func TestReasons(t *testing.T) {
	files := emittest.Emit(t, compose.Files, emittest.Site())
	text := emittest.Text(t, files, "docker-compose.yml")
	if !strings.HasPrefix(text, "# generated by mailplan from the site home; do not edit\nname: home\n") {
		t.Errorf("begins with %.80q", text)
	}
	if strings.Index(text, "\n  mariadb:") > strings.Index(text, "\n  dovecot:") {
		t.Error("services are not in start order")
	}
	emittest.Holds(t, files, "docker-compose.yml", "    # The image's login programs carry this capability", "  # LMTP has no sign-in")
	emittest.Holds(t, files, "config/journald/mailserver.conf", "MaxRetentionSec=162h")
	emittest.Holds(t, files, "mailserver-api/Dockerfile", "FROM scratch", "USER 65532")
}

// TestTailnetContainer holds that the tailnet's container hands on the declared mail ports and nothing else.
func TestTailnetContainer(t *testing.T) {
	s := full()
	s.Containers.Postfix.Submission = 0
	text := emittest.Text(t, emittest.Emit(t, compose.Files, s), "config/tailscale/serve.json")
	var got struct {
		TCP map[string]struct {
			TCPForward    string
			ProxyProtocol int
		}
	}
	if err := json.Unmarshal([]byte(text), &got); err != nil {
		t.Fatal(err)
	}
	for port, want := range map[string]string{"993": "10.203.8.14:10993", "995": "10.203.8.14:10995", "465": "10.203.8.15:10465"} {
		if f := got.TCP[port]; f.TCPForward != want || f.ProxyProtocol != 2 {
			t.Errorf("port %s leads to %+v, want %s", port, f, want)
		}
		delete(got.TCP, port)
	}
	if len(got.TCP) > 0 {
		t.Errorf("also handed on: %v", got.TCP)
	}
}

// TestInventoryNamesReaders: whoever gets a secret as a file stands among its users in the inventory, so that a rotation
// restarts no stranger and forgets nobody.
func TestInventoryNamesReaders(t *testing.T) {
	s := emittest.Site()
	users := map[string][]string{}
	for _, secret := range s.Inventory() {
		users[secret.Name] = secret.UsedBy
	}
	read := map[string]bool{}
	for _, f := range emittest.Emit(t, compose.Files, s) {
		if !strings.HasPrefix(f.Path, model.ProjectDir+"/secrets/") {
			continue
		}
		for _, name := range f.Secrets() {
			for _, service := range f.Reads {
				read[name+" "+service] = true
				if !slices.Contains(users[name], service) {
					t.Errorf("%s is mounted into %s, which the inventory does not name among %v", name, service, users[name])
				}
			}
		}
	}
	for _, name := range []string{model.SecretAccountsDB, model.SecretBackupSigning, model.SecretConsoleSession, model.SecretSRS} {
		for _, service := range users[name] {
			if !read[name+" "+service] {
				t.Errorf("%s is said to be used by %s, which does not get it", name, service)
			}
		}
	}
}
