package daemon

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// program is how to check one image's configuration.
type program struct {
	image string // what its reference begins with
	root  func(testing.TB) *Root
	check func(*Root) (string, error)
}

// programs are those of the images that Debian has too; the longer prefix comes first.
var programs = []program{
	{"boky/postfix", postfixRoot, checkPostfix},
	{"dovecot/dovecot:2.3", dovecot23Root, checkDovecot},
	{"dovecot/dovecot", dovecot24Root, checkDovecot},
	{"nginx", nginxRoot, checkNginx},
	{"rspamd/rspamd", rspamdRoot, checkRspamd},
	{"clamav/clamav", NewTrixieRoot, checkClamAV},
	{"redis", NewTrixieRoot, checkRedis},
	{"roundcube/roundcubemail", NewTrixieRoot, checkPHP},
}

// Project checks a whole emitted project, dir being the folder of its docker-compose.yml: what each
// service sees of it by its mounts and environment is accepted by the service's real program, the
// schema is loaded by MariaDB, and the sources parse. Every part is a subtest.
func Project(t *testing.T, dir string) {
	project := stageProject(t, dir)
	var p resolved
	if !t.Run("compose", func(t *testing.T) { p = resolveProject(t, project) }) {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(p.Services)) {
		for _, program := range programs {
			if !strings.HasPrefix(p.Services[name].Image, program.image) {
				continue
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				r := program.root(t)
				p.enter(r, name)
				_, err := program.check(r)
				report(t, err)
			})
			break
		}
	}
	t.Run("mariadb", func(t *testing.T) {
		t.Parallel()
		report(t, Schema(t, filepath.Join(project, "config/mariadb/initdb")))
	})
	if _, err := os.Stat(filepath.Join(project, "terraform")); err == nil { // only sites with an off-site copy have it
		t.Run("terraform", func(t *testing.T) { report(t, Terraform(t, filepath.Join(project, "terraform"))) })
	}
	t.Run("worker", func(t *testing.T) { report(t, JavaScript(t, filepath.Join(project, "edge"))) })
}

// Schema loads the .sql files of dir, in the order of their names, into an empty MariaDB, twice: what
// is additive changes nothing the second time.
func Schema(t testing.TB, dir string) error {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.sql"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no .sql file in %s (%v)", dir, err)
	}
	db := StartMariaDB(t)
	for _, path := range slices.Concat(files, files) {
		sql, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if err := db.Load(string(sql)); err != nil {
			return err
		}
	}
	return nil
}

func report(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}
