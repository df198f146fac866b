package containers

import (
	"path"
	"strings"

	"github.com/mailplan/mailplan/compiler/model"
)

// how a service takes note of changed files.
type how string

const (
	nothing how = "reads it when it needs it"
	reload  how = "reload"
	restart how = "restart"
	// These make another container.
	recreate how = "recreate"
	rebuild  how = "rebuild"
)

// anew are the ways that end with another container.
var anew = []string{string(recreate), string(rebuild)}

// away are the ways in which a service is away for a while.
var away = []string{string(restart), string(recreate), string(rebuild)}

// manner is what is known of a service beyond its container.
type manner struct {
	// check lets the service itself judge its files as they lie now, in a throw-away container.
	check []string
	// reload makes it read again the files below folders, without a connection lost; nil means that only a
	// restart does.
	reload func(e running) error
	within []string
	// settle follows whenever files below the folders of settles are new to a service that is healthy with them.
	settle  func(e running) error
	settles []string
	// shapes are folders of which files change the shape of the service's data.
	shapes []string
	// data says that another container may change the service's data in a way that the one before does not know.
	data bool
	// carries says that inbound mail needs the service.
	carries bool
	// idle are folders of which a running service reads nothing, or each time anew.
	idle []string
}

// manners by service. Postfix' start lays its configuration out anew, MariaDB, Redis and ClamAV read theirs once.
var manners = map[string]manner{
	"dovecot": {check: []string{"doveconf", "-n"}, reload: exec("doveadm", "reload"), within: []string{"dovecot"},
		idle: []string{"../secrets/dovecot"}, carries: true}, // the learner's secret, read each time
	"rspamd": {check: []string{"rspamadm", "configtest"}, reload: signal("HUP"), within: []string{"rspamd"}, carries: true},
	"nginx":  {check: []string{"nginx", "-t", "-q"}, reload: signal("HUP"), within: []string{"nginx/conf.d"}},
	"mailserver-api": {check: []string{"/mailpland", "serve", "--check", "--config", "/etc/mailpland/mailpland.json"},
		reload: signal("HUP"), within: []string{"runtime/routes.json"}, carries: true},
	"usermgmt": {check: []string{"/mailpland", "console", "--check", "--config", "/etc/mailpland/mailpland.json"}},
	"postfix": {check: []string{"bash", "-euc", checkPostfix}, reload: exec("bash", "-euc", reloadPostfix),
		within: []string{"postfix/mysql-sender-login.cf", "postfix/sasl_passwd"}}, // the passwords; some settings take a start
	"redis": {check: []string{"sh", "-c", checkRedis}, reload: exec("sh", "-euc", reloadRedis),
		within: []string{"redis/users.acl"}, idle: []string{"../secrets/redis"}, carries: true},
	"clamav": {check: []string{"sh", "-euc", checkClamAV}, carries: true},
	"mariadb": {check: []string{"sh", "-c", "exec mariadbd --verbose --help >/dev/null"},
		settle: exec("bash", "-euc", migrate), settles: []string{"mariadb/initdb", "../secrets"},
		idle: []string{"mariadb/initdb", "../secrets/mariadb"}, shapes: []string{"mariadb/initdb"}, data: true, carries: true},
	// PHP looks at its files at every request; the image's start alone looks at those secrets.
	"roundcube": {check: []string{"sh", "-c", checkPHP}, idle: []string{"roundcube", "../secrets/roundcube"}},
	"tailscale": {idle: []string{"../secrets/TAILSCALE_AUTHKEY"}}, // for the first start only
}

// checkPostfix lays the configuration out as the start does, beside a queue of its own, and has Postfix look at it. Its
// verdict goes to the system log, its reasons are postconf's.
const checkPostfix = `bash /docker-init.d/10-mailplan.sh
postconf -n >/dev/null
postconf -M >/dev/null
mkdir -p /tmp/spool
postconf -e queue_directory=/tmp/spool
postfix check || { echo "postfix check refuses the configuration" >&2; exit 1; }`

// reloadPostfix lays the files out again and has the running Postfix take them; what is under way goes on.
const reloadPostfix = `bash /docker-init.d/10-mailplan.sh
postfix reload`

// reloadRedis has Redis take its users' rules anew. The password in use is good before and after.
const reloadRedis = `answer=$(REDISCLI_AUTH="$(cat /run/secrets/REDIS_PASSWORD)" redis-cli ACL LOAD)
[ "$answer" = OK ] || { echo "$answer" >&2; exit 1; }`

// checkRedis starts a server with the configuration, empty and on a socket only: Redis has no check of its own.
const checkRedis = `redis-server /usr/local/etc/redis/redis.conf --port 0 --unixsocket /tmp/check.sock --dir /tmp --appendonly no --logfile "" >/tmp/log 2>&1 &
for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
	if redis-cli -s /tmp/check.sock ping 2>&1 | grep -qE 'PONG|NOAUTH'; then kill $!; exit 0; fi
	kill -0 $! 2>/dev/null || break
	sleep 0.25
done
cat /tmp/log >&2
exit 1`

// checkClamAV reads both files and stops.
const checkClamAV = `clamd --config-file=/etc/clamav/clamd.conf --version >/dev/null
freshclam --config-file=/etc/clamav/freshclam.conf --version >/dev/null`

// checkPHP says where PHP does not understand a file; Roundcube reads it at the next request.
const checkPHP = `for f in /var/roundcube/config/*.php; do php -l "$f" >/tmp/said 2>&1 || { cat /tmp/said >&2; exit 1; }; done`

// migrate brings a database that has data to the schema and the accounts that MariaDB's image lays down in an empty one
// only. Both files can be run any number of times; root comes by the socket.
const migrate = `cd /docker-entrypoint-initdb.d
MYSQL_PWD=$(cat /run/secrets/MYSQL_ROOT_PASSWORD) mariadb --protocol=socket --user=root --default-character-set=utf8mb4 <10-schema.sql
bash 20-users.sh`

func exec(argv ...string) func(running) error {
	return func(r running) error {
		_, err := r.engine.Exec(r.ctx, r.service, nil, argv...)
		return err
	}
}

func signal(name string) func(running) error {
	return func(r running) error { return r.engine.Signal(r.ctx, r.service, name) }
}

// how picks the gentlest way in which a service takes note of all of these files.
func (p project) how(service string, files []string) how {
	m, s := manners[service], p.services[service]
	gentlest := nothing
	for _, f := range files {
		switch {
		case below(f, m.idle):
		case s.single[f]:
			return restart
		case m.reload != nil && below(f, m.within):
			gentlest = reload
		default:
			return restart
		}
	}
	return gentlest
}

func below(file string, folders []string) bool {
	for _, d := range folders {
		folder := path.Join(model.ProjectDir, "config", d)
		if file == folder || strings.HasPrefix(file, folder+"/") {
			return true
		}
	}
	return false
}
