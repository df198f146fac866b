//go:build stack

package stack_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mailplan/mailplan/compiler"
	emitted "github.com/mailplan/mailplan/compiler/emit/runtime"
	"github.com/mailplan/mailplan/compiler/model"
	"github.com/mailplan/mailplan/runtime/backup/backuptest"
	"github.com/mailplan/mailplan/runtime/config"
	"github.com/mailplan/mailplan/test/daemon"
	"github.com/mailplan/mailplan/test/need"
	"github.com/mailplan/mailplan/test/stack"
)

// TestDrill holds a drill with the emitted settings and programs: the host has neither MariaDB nor Dovecot of its own,
// the stack's images have them.
func TestDrill(t *testing.T) {
	site, err := compiler.Load("../../site")
	if err != nil {
		t.Fatal(err)
	}
	s := backuptest.NewSite(t)
	s.AddMail(t, 200)
	m := site.Model
	m.Host.Root, m.Host.Storage.Fast = s.Path("root"), s.Path("fast")
	drill := layDrill(t, s, m)
	db := daemon.StartMariaDB(t)
	if err := db.Load("CREATE DATABASE mailserver; USE mailserver; CREATE TABLE users (n INT); INSERT INTO users SELECT seq FROM seq_1_to_500"); err != nil {
		t.Fatal(err)
	}
	s.Config.Classes = append(s.Config.Classes[:2], config.BackupClass{Name: "database", Kind: "mariadb", Database: &config.BackupDatabase{
		Socket: db.Socket, User: "root", Databases: []string{"mailserver"}, DumpProgram: need.Program(t, "mariadb-dump")}})
	s.Config.Drill = drill
	d := stack.StartDocker(t)
	d.Build(m.Containers.MariaDB.Reference(), m.Containers.Dovecot.Reference())
	mailpland := s.Path("mailpland")
	build := exec.Command("go", "build", "-o", mailpland, "../../cmd/mailpland")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	text, err := json.Marshal(config.Config{Backup: &s.Config})
	if err != nil {
		t.Fatal(err)
	}
	s.Write(t, "backup.json", string(text))
	for _, verb := range [][]string{{"backup", "run"}, {"drill"}, {"drill", "--status"}} {
		out, err := d.Run(t.Context(), nil, append(append([]string{mailpland}, verb...), "--config", s.Path("backup.json"))...)
		if err != nil {
			t.Fatalf("%s: %v\n%s", verb, err, out)
		}
		t.Logf("%s", out)
		if verb[0] == "drill" && (!strings.Contains(string(out), "green") || !strings.Contains(string(out), "500 rows") || !strings.Contains(string(out), "ok  mail mailboxes")) {
			t.Errorf("%s: %s", verb, out)
		}
	}
	if left := d.Must("", "container", "ls", "--all", "--quiet"); left != "" {
		t.Errorf("the drill left containers: %s", left)
	}
}

// layDrill puts the emitted programs in place, with the identity, and returns the emitted settings.
func layDrill(t *testing.T, s *backuptest.Site, m *model.Site) config.BackupDrill {
	t.Helper()
	files, err := emitted.Files(m)
	if err != nil {
		t.Fatal(err)
	}
	var c *config.Config
	for _, f := range files {
		name := strings.TrimPrefix(f.Path, model.ProjectDir+"/")
		switch {
		case strings.HasPrefix(name, "scripts/drill/"):
			s.Write(t, filepath.Join("root", name), string(f.Content))
			if err := os.Chmod(s.Path(filepath.Join("root", name)), f.Mode.Perm()); err != nil {
				t.Fatal(err)
			}
		case name == "config/runtime/backup.json":
			if c, err = config.Parse(f.Content); err != nil {
				t.Fatal(err)
			}
		}
	}
	s.Write(t, "root/secrets/"+model.SecretBackupDrill, s.Identity.String())
	return c.Backup.Drill
}
