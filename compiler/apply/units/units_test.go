package units_test

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mailplan/mailplan/compiler/apply/host"
	"github.com/mailplan/mailplan/compiler/apply/units"
	"github.com/mailplan/mailplan/compiler/emit/compose"
	"github.com/mailplan/mailplan/compiler/emit/emittest"
	emitted "github.com/mailplan/mailplan/compiler/emit/runtime"
	"github.com/mailplan/mailplan/compiler/model"
	"github.com/mailplan/mailplan/compiler/plan"
)

// systemctl stands for systemd: what is enabled and running are files, whose times are those of the starts.
const systemctl = `#!/bin/sh
echo "$*" >>"$STATE/log"
for last in "$@"; do :; done
case $1 in
daemon-reload | try-restart) ;;
enable) touch "$STATE/enabled.$last" ;;
restart) [ ! -e "$STATE/broken.$last" ] && touch "$STATE/active.$last" ;;
is-enabled) [ -e "$STATE/enabled.$last" ] ;;
is-active) [ -e "$STATE/active.$last" ] ;;
show) echo "@$(stat -c %Y "$STATE/active.$last")" ;;
*) exit 9 ;;
esac
`

// machine is a host whose systemd is the stand-in.
type machine struct {
	t     *testing.T
	state string
	etc   string
	none  bool // it has no systemd at all
	site  *model.Site
	plane *units.Plane

	secrets map[string]string // what their values begin with
}

func newMachine(t *testing.T) *machine {
	t.Helper()
	dir := t.TempDir()
	m := &machine{t: t, state: filepath.Join(dir, "state"), etc: filepath.Join(dir, "etc"), site: emittest.Site(), secrets: map[string]string{}}
	m.site.Host.Root = filepath.Join(dir, "srv")
	for _, d := range []string{m.state, m.etc, filepath.Join(dir, "bin")} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "bin", "systemctl"), []byte(systemctl), 0o755); err != nil {
		t.Fatal(err)
	}
	env := append(os.Environ(), "STATE="+m.state, "MAILPLAN_ETC="+m.etc, "PATH="+filepath.Join(dir, "bin")+":"+os.Getenv("PATH"))
	run := func(ctx context.Context, _ io.Reader, argv ...string) ([]byte, error) {
		if argv[0] == "test" {
			argv = []string{"test", "-d", m.state}
			if m.none {
				argv = []string{"false"}
			}
		}
		cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
		cmd.Env = env
		return cmd.Output()
	}
	h := &host.Host{Files: host.Local{Owners: host.RealOwners{}}, Root: m.site.Host.Root,
		Secrets: func(name string) (string, error) { return m.secrets[name] + "value of " + name, nil }}
	m.plane = &units.Plane{Run: run, Host: h}
	return m
}

// lay writes the tree as the host plane would.
func (m *machine) lay() {
	m.t.Helper()
	files, err := emitted.Files(m.site)
	if err != nil {
		m.t.Fatal(err)
	}
	project, err := compose.Files(m.site)
	if err != nil {
		m.t.Fatal(err)
	}
	for _, f := range project { // those of the host's own processes belong to root
		if strings.Contains(f.Path, "/secrets/") && f.UID == 0 {
			files = append(files, f)
		}
	}
	if m.plane.Tree, err = model.NewTree(files); err != nil {
		m.t.Fatal(err)
	}
}

func (m *machine) write() {
	m.t.Helper()
	for _, f := range m.plane.Tree.Files {
		to := filepath.Join(m.site.Host.Root, strings.TrimPrefix(f.Path, model.ProjectDir))
		content := f.Fill(func(name string) string {
			value, _ := m.plane.Host.Secrets(name)
			return value
		})
		if old, err := os.ReadFile(to); err == nil && string(old) == string(content) {
			continue
		}
		if err := m.plane.Host.Files.WriteFile(to, content, host.Info{Mode: f.Mode, UID: -1}); err != nil {
			m.t.Fatal(err)
		}
	}
}

// converge plans, writes the files, applies, and returns the plan in short.
func (m *machine) converge() ([]string, error) {
	m.t.Helper()
	m.lay()
	changes := m.changes()
	m.write()
	var short []string
	for _, c := range changes {
		short = append(short, string(c.Verb)+" "+c.ID)
	}
	if len(changes) == 0 {
		return nil, nil
	}
	return short, m.plane.Apply(m.t.Context(), changes)
}

func (m *machine) changes() []plan.Change {
	m.t.Helper()
	desired, err := m.plane.Desired(m.t.Context())
	if err != nil {
		m.t.Fatal(err)
	}
	live, err := m.plane.Live(m.t.Context())
	if err != nil {
		m.t.Fatal(err)
	}
	changes, conflicts := plan.Diff(live, desired)
	if len(conflicts) > 0 {
		m.t.Fatal(conflicts)
	}
	return changes
}

func (m *machine) want(what string, want ...string) {
	m.t.Helper()
	got, err := m.converge()
	if err != nil {
		m.t.Errorf("%s: %v", what, err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		m.t.Errorf("%s (-want +got):\n%s", what, diff)
	}
	if again, err := m.converge(); err != nil || again != nil {
		m.t.Errorf("%s, once more: %v %v", what, again, err)
	}
}

func TestConverge(t *testing.T) {
	m := newMachine(t)
	m.lay()
	var all []string
	for _, f := range m.plane.Tree.Files {
		if strings.Contains(f.Path, "/config/systemd/") || strings.Contains(f.Path, "/config/journald/") {
			all = append(all, "create "+path.Base(f.Path))
		}
	}
	if len(all) < 3 {
		t.Fatalf("only %v", all)
	}
	m.want("a new host", all...)
	for file, of := range map[string]string{"system/mailpland-heal.service": "OOMScoreAdjust=", "journald@mailpland-backup.conf": "MaxRetentionSec=714h"} {
		if text, err := os.ReadFile(filepath.Join(m.etc, file)); err != nil || !strings.Contains(string(text), of) {
			t.Errorf("%s: %v %s", file, err, text)
		}
	}

	m.site.Monitoring.RestartsPerHour = 1
	m.want("a setting of one of them", "update mailpland-heal.service")

	if err := os.Remove(filepath.Join(m.state, "active.mailpland-backup.service")); err != nil {
		t.Fatal(err)
	}
	m.want("somebody stopped one", "update mailpland-backup.service")

	m.site.Monitoring.Logs.BackupDays, m.site.Monitoring.Logs.SyncDays, m.site.Monitoring.Logs.ScanDays = 60, 7, 7
	m.want("logs are kept longer", "update mailpland-backup.conf")
}

// TestNamedFiles changes what the configuration of a unit names, as a rotation does: that unit starts anew, by the same apply
// or by the one after an apply that was cut off before, and no other one does.
func TestNamedFiles(t *testing.T) {
	m := newMachine(t)
	if _, err := m.converge(); err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{model.SecretBackupDrill, model.SecretBackupSigning, m.site.Backup.Offsite.S3.SecretAccessKey.Secret} {
		m.earlier()
		m.secrets[secret] = "new "
		m.want(secret, "update mailpland-backup.service")

		m.earlier()
		m.secrets[secret] = "newer "
		m.lay()
		m.write() // and then the apply was cut off
		m.want(secret+", after a cut", "update mailpland-backup.service")
	}
	m.earlier()
	m.site.Secrets.Names = map[string]model.SecretRule{model.SecretBackupDrill: {Also: model.SecretBackupDrill + ".previous"}}
	m.want("the last identity stays beside the new one", "update mailpland-backup.service")
}

// earlier lets all that was written and started be an hour ago.
func (m *machine) earlier() {
	m.t.Helper()
	at := time.Now().Add(-time.Hour)
	for _, dir := range []string{m.state, m.site.Host.Root, m.etc} {
		if err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
			return errors.Join(err, os.Chtimes(path, at, at))
		}); err != nil {
			m.t.Fatal(err)
		}
	}
}

func TestBroken(t *testing.T) {
	m := newMachine(t)
	if err := os.WriteFile(filepath.Join(m.state, "broken.mailpland-heal.service"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := m.converge(); err == nil {
		t.Error("a unit that does not start counts as done")
	}
	m.none = true
	if changes := m.changes(); len(changes) > 0 {
		t.Errorf("a host without systemd: %v", changes)
	}
}
