package recovery_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mailplan/mailplan/compiler/apply"
	"github.com/mailplan/mailplan/compiler/apply/host"
	"github.com/mailplan/mailplan/compiler/converge"
	"github.com/mailplan/mailplan/compiler/emit/emittest"
	"github.com/mailplan/mailplan/compiler/plan"
	"github.com/mailplan/mailplan/compiler/recovery"
)

// machine is a host whose programs say what they are asked.
type machine struct {
	t      *testing.T
	prefix string
	found  string // what a look for data finds
	broken string // component whose restore fails
	asked  []string
}

func (m *machine) run(_ context.Context, stdin io.Reader, argv ...string) ([]byte, error) {
	if argv[0] == "sh" {
		return []byte(m.found), nil
	}
	if argv[0] == "docker" {
		return nil, nil
	}
	key, err := io.ReadAll(stdin)
	if err != nil || string(key) != "the key" || strings.Contains(strings.Join(argv, " "), "the key") {
		m.t.Errorf("the identity came as %q, %v, in %v", key, err, argv)
	}
	i := slices.Index(argv, "--from")
	said := strings.Join(argv[i:], " ")
	m.asked = append(m.asked, said)
	if m.broken != "" && strings.Contains(said, m.broken) {
		return nil, errors.New("the line is cut")
	}
	return fmt.Appendf(nil, `{"snapshot": "2026-11-21", "sequence": 42, "files": 1, "bytes": 10, "notes": ["the same"]}`), nil
}

func (m *machine) recover() (*recovery.Report, error) {
	m.t.Helper()
	owners, err := host.OpenRecordedOwners(filepath.Join(m.prefix, "owners.json"))
	if err != nil {
		m.t.Fatal(err)
	}
	site := emittest.Site()
	r := recovery.Recovery{Site: site, Identity: []byte("the key"), Say: func(string) {}, Progress: func(int, int, plan.Change) {},
		Target: &converge.Target{Host: &host.Host{Files: host.Local{Prefix: m.prefix, Owners: owners}, Root: site.Host.Root},
			Journal: apply.Open(filepath.Join(m.prefix, "journal")), Run: m.run}}
	return r.Run(m.t.Context())
}

// TestGoesOn holds that a recovery that was cut off repeats nothing of what it did, reads the same backup to its end, and
// is over when it is over.
func TestGoesOn(t *testing.T) {
	m := &machine{t: t, prefix: t.TempDir(), broken: "bayes"}
	if _, err := m.recover(); err == nil || !strings.Contains(err.Error(), "the line is cut") {
		t.Fatalf("got %v", err)
	}
	m.broken = ""
	report, err := m.recover()
	if err != nil {
		t.Fatal(err)
	}
	const place = "--from s3://home-mail-backup"
	want := []string{place + " --dry-run"}
	for _, class := range []string{"database", "mailboxes", "tls", "bayes", "bayes", "ledger", "sieve"} {
		want = append(want, place+"@00000042-2026-11-21 --component "+class+" --wait")
	}
	if diff := cmp.Diff(want, m.asked); diff != "" {
		t.Errorf("asked of the host (-want +got): %s", diff)
	}
	if report.Data.Files != 6 || report.Data.Bytes != 60 || report.Finished.IsZero() || len(report.Data.Notes) != 1 {
		t.Errorf("reported %+v", report)
	}
	if _, err := m.recover(); !errors.Is(err, recovery.ErrNotEmpty) {
		t.Errorf("a second time: %v", err)
	}
}

// TestNotEmpty holds that nothing is recovered over what lives.
func TestNotEmpty(t *testing.T) {
	m := &machine{t: t, prefix: t.TempDir(), found: "/mnt/hdd/mailserver/mailboxes/example.com/alice/Maildir/cur/1\n"}
	if _, err := m.recover(); !errors.Is(err, recovery.ErrNotEmpty) || !strings.Contains(err.Error(), "Maildir/cur/1") {
		t.Errorf("with mail: %v", err)
	}
	m.found = ""
	file := filepath.Join(m.prefix, emittest.Site().Host.Root, "docker-compose.yml")
	if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, []byte("services: {}"), 0o600)); err != nil {
		t.Fatal(err)
	}
	if _, err := m.recover(); !errors.Is(err, recovery.ErrNotEmpty) || !strings.Contains(err.Error(), "a system lies in") {
		t.Errorf("with a project: %v", err)
	}
	if len(m.asked) > 0 {
		t.Errorf("asked %v", m.asked)
	}
}
