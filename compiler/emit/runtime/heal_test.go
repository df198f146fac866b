package runtime_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mailplan/mailplan/compiler/emit/emittest"
	emitted "github.com/mailplan/mailplan/compiler/emit/runtime"
	"github.com/mailplan/mailplan/test/need"
)

func TestHealer(t *testing.T) {
	s := emittest.Site()
	s.Monitoring.RestartsPerHour = 2
	s.Backup.Local.Path = s.Host.Storage.Bulk
	got := parse(t, emittest.Emit(t, emitted.Files, s), "config/runtime/heal.json")
	h := got.Heal
	if h.Project != s.Name || h.RestartsPerHour != 2 || h.Queue != "postfix" || !strings.HasSuffix(h.Signatures, ":3310") {
		t.Errorf("heal: %+v", h)
	}
	if diff := cmp.Diff([]string{s.Host.Storage.Bulk, s.Host.Storage.Fast, s.Host.Root}, h.Disks); diff != "" {
		t.Errorf("disks:\n%s", diff)
	}
	if got.Health.Listen != "127.0.0.1:9092" {
		t.Errorf("metrics at %s", got.Health.Listen)
	}
	s.Monitoring.Metrics.Address = "100.64.0.10"
	if l := parse(t, emittest.Emit(t, emitted.Files, s), "config/runtime/heal.json").Health.Listen; l != "100.64.0.10:9092" {
		t.Errorf("metrics at %s, declared at 100.64.0.10", l)
	}
}

// TestUnits has systemd judge the units: unknown settings and programs that are not there are complaints.
func TestUnits(t *testing.T) {
	analyze, dir := need.Program(t, "systemd-analyze"), t.TempDir()
	s := emittest.Site()
	s.Host.Root = dir
	program := filepath.Join(dir, "bin", "mailpland")
	if err := os.MkdirAll(filepath.Dir(program), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(program, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	files := emittest.Emit(t, emitted.Files, s)
	for _, name := range []string{"mailpland-heal.service", "mailpland-backup.service"} {
		unit := filepath.Join(dir, name)
		if err := os.WriteFile(unit, []byte(emittest.Text(t, files, "config/systemd/"+name)), 0o644); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(analyze, "verify", "--man=no", unit)
		out, err := cmd.CombinedOutput()
		if err != nil || strings.Contains(string(out), name) {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
	emittest.Holds(t, files, "config/systemd/mailpland-heal.service", "DynamicUser=yes\n", "SupplementaryGroups=docker\n", "CapabilityBoundingSet=\n")
}
