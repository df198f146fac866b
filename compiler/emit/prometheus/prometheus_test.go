package prometheus_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/mailplan/mailplan/compiler/emit/emittest"
	"github.com/mailplan/mailplan/compiler/emit/prometheus"
	"github.com/mailplan/mailplan/compiler/model"
	"github.com/mailplan/mailplan/test/need"
)

// rules are the groups of the emitted file.
type rules struct {
	Groups []struct {
		Rules []struct {
			Alert       string
			Labels      struct{ Severity string }
			Annotations struct{ Summary, Action string }
		}
	}
}

// lay writes both files into a folder of their own.
func lay(t *testing.T, s *model.Site) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for _, f := range emittest.Emit(t, prometheus.Files, s) {
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(f.Path)), f.Content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func promtool(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command(need.Program(t, "promtool"), args...).CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// TestFire runs testdata/rules_test.yml, which must have every alert fire, over the emitted rules.
func TestFire(t *testing.T) {
	site := emittest.Site()
	site.Edge.Spool.Enabled = true
	dir := lay(t, site)
	tests, err := os.ReadFile("testdata/rules_test.yml")
	if err != nil {
		t.Fatal(err)
	}
	for _, alert := range alerts(t, dir) {
		if !strings.Contains(string(tests), `alertname="`+alert+`",alertstate="firing"`) {
			t.Errorf("no test has %s fire", alert)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "rules_test.yml"), tests, 0o644); err != nil {
		t.Fatal(err)
	}
	promtool(t, "test", "rules", filepath.Join(dir, "rules_test.yml"))
}

// TestAccepted has Prometheus check the files of several sites.
func TestAccepted(t *testing.T) {
	small := emittest.Site()
	small.Backup.Offsite, small.Monitoring.ProbeMinutes, small.Monitoring.Metrics.Address = nil, 0, "100.64.0.10"
	for name, s := range map[string]*model.Site{"usual": emittest.Site(), "small": small} {
		t.Run(name, func(t *testing.T) {
			dir := lay(t, s)
			promtool(t, "check", "rules", filepath.Join(dir, "mailplan.rules.yml"))
			alerts(t, dir)
			jobs, err := os.ReadFile(filepath.Join(dir, "mailplan.scrape.yml"))
			if err != nil {
				t.Fatal(err)
			}
			// As part of the configuration: Debian's Prometheus is older than scrape_config_files.
			config := "rule_files: [mailplan.rules.yml]\n" + string(jobs)
			if err := os.WriteFile(filepath.Join(dir, "prometheus.yml"), []byte(config), 0o644); err != nil {
				t.Fatal(err)
			}
			promtool(t, "check", "config", filepath.Join(dir, "prometheus.yml"))
		})
	}
}

// alerts are the names of all, each with a severity, a summary and what to do.
func alerts(t *testing.T, dir string) (names []string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "mailplan.rules.yml"))
	if err != nil {
		t.Fatal(err)
	}
	var r rules
	if err := yaml.Unmarshal(text, &r); err != nil {
		t.Fatal(err)
	}
	for _, g := range r.Groups {
		for _, a := range g.Rules {
			if a.Labels.Severity == "" || a.Annotations.Summary == "" || a.Annotations.Action == "" {
				t.Errorf("%s does not say how bad it is, what it is, or what to do", a.Alert)
			}
			names = append(names, a.Alert)
		}
	}
	return names
}
