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
)

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
	// idle are folders of which a running service reads nothing, or each time anew.
	idle []string
}

// manners by service. Postfix' start lays its configuration out anew, MariaDB, Redis and ClamAV read theirs once.
var manners = map[string]manner{
	"dovecot": {check: []string{"doveconf", "-n"}, reload: exec("doveadm", "reload"), within: []string{"dovecot"}},
	"rspamd":  {check: []string{"rspamadm", "configtest"}, reload: signal("HUP"), within: []string{"rspamd"}},
	"nginx":   {check: []string{"nginx", "-t", "-q"}, reload: signal("HUP"), within: []string{"nginx/conf.d"}},
	"mailserver-api": {check: []string{"/mailpland", "serve", "--check", "--config", "/etc/mailpland/mailpland.json"},
		reload: signal("HUP"), within: []string{"runtime/routes.json"}},
	"mariadb": {settle: exec("bash", "-euc", migrate), settles: []string{"mariadb/initdb", "../secrets"},
		idle: []string{"mariadb/initdb"}},
	"roundcube": {idle: []string{"roundcube"}}, // PHP looks at its files at every request
}

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
		case s.single[f]:
			return restart
		case below(f, m.idle):
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
