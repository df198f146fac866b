package recovery_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
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
	broken string // verb that fails
	asked  []string
}

func (m *machine) run(_ context.Context, stdin io.Reader, argv ...string) ([]byte, error) {
	if argv[0] == "sh" {
		return []byte(m.found), nil
	}
	if argv[0] == "docker" {
		return nil, nil
	}
	said := argv[1]
	if said == "restore" {
		key, err := io.ReadAll(stdin)
		if err != nil || string(key) != "the key" || strings.Contains(strings.Join(argv, " "), "the key") {
			m.t.Errorf("the identity came as %q, %v, in %v", key, err, argv)
		}
	}
	m.asked = append(m.asked, journals.ReplaceAllString(strings.Join(slices.Concat(argv[1:2], argv[max(5, slices.Index(argv, "--from")):]), " "), "JOURNAL"))
	if m.broken == said && !slices.Contains(argv, "--dry-run") {
		return nil, errors.New("the line is cut")
	}
	if said == "scan" {
		return []byte(`{"places": ["/mailboxes"], "infected": ["/mailboxes/worm"]}`), nil
	}
	unscanned := ""
	if slices.Contains(argv, "--no-scan") {
		unscanned = `"/mailboxes"`
	}
	return []byte(`{"snapshot": "2026-11-21", "sequence": 42, "files": 6, "bytes": 60, "unscanned": [` + unscanned + `]}`), nil
}

// journals are of one recovery each, so their names end in its time.
var journals = regexp.MustCompile(`/\S+/restored-\d+\.json`)

func (m *machine) recover(scan recovery.Scan) (*recovery.Report, error) {
	m.t.Helper()
	owners, err := host.OpenRecordedOwners(filepath.Join(m.prefix, "owners.json"))
	if err != nil {
		m.t.Fatal(err)
	}
	site := emittest.Site()
	r := recovery.Recovery{Site: site, Identity: []byte("the key"), Scan: scan, Say: func(string) {}, Progress: func(int, int, plan.Change) {},
		Target: &converge.Target{Host: &host.Host{Files: host.Local{Prefix: m.prefix, Owners: owners}, Root: site.Host.Root},
			Journal: apply.Open(filepath.Join(m.prefix, "journal")), Run: m.run}}
	return r.Run(m.t.Context())
}

const (
	place = "--from s3://home-mail-backup"
	all   = place + "@00000042-2026-11-21 --component database,mailboxes,tls,bayes,ledger,sieve --wait --journal JOURNAL"
	scan  = "scan --component database,mailboxes,tls,bayes,ledger,sieve --date 2026-11-21"
)

// TestGoesOn holds that a recovery that was cut off repeats nothing of what it did, reads the same backup to its end, and
// is over when it is over.
func TestGoesOn(t *testing.T) {
	m := &machine{t: t, prefix: t.TempDir()}
	for _, broken := range []string{"restore", "scan"} {
		m.broken = broken
		if _, err := m.recover(recovery.ScanAfter); err == nil || !strings.Contains(err.Error(), "the line is cut") {
			t.Fatalf("got %v", err)
		}
	}
	m.broken = ""
	report, err := m.recover(recovery.ScanAfter)
	if err != nil {
		t.Fatal(err)
	}
	again := "restore " + all + " --no-scan"
	if diff := cmp.Diff([]string{"restore " + place + " --dry-run", again, again, scan, scan}, m.asked); diff != "" {
		t.Errorf("asked of the host (-want +got): %s", diff)
	}
	if report.Data.Files != 6 || report.Data.Bytes != 60 || report.Open.IsZero() || report.Finished.Before(report.Open) || len(report.Scan.Infected) != 1 {
		t.Errorf("reported %+v", report)
	}
	if _, err := m.recover(recovery.ScanAfter); !errors.Is(err, recovery.ErrNotEmpty) {
		t.Errorf("a second time: %v", err)
	}
}

// TestScanFirst holds that nothing comes back unscanned where that was asked for once, and that no scan is made where none
// is wanted.
func TestScanFirst(t *testing.T) {
	m := &machine{t: t, prefix: t.TempDir(), broken: "restore"}
	if _, err := m.recover(recovery.ScanFirst); err == nil {
		t.Fatal("it was not cut off")
	}
	m.broken = ""
	if _, err := m.recover(recovery.ScanAfter); err != nil {
		t.Fatal(err)
	}
	never := &machine{t: t, prefix: t.TempDir()}
	if _, err := never.recover(recovery.ScanNever); err != nil {
		t.Fatal(err)
	}
	want := []string{"restore " + place + " --dry-run", "restore " + all, "restore " + all}
	if diff := cmp.Diff(want, m.asked); diff != "" {
		t.Errorf("scanned first, asked of the host (-want +got): %s", diff)
	}
	if diff := cmp.Diff([]string{want[0], want[1] + " --no-scan"}, never.asked); diff != "" {
		t.Errorf("not scanned, asked of the host (-want +got): %s", diff)
	}
}

// TestNotEmpty holds that nothing is recovered over what lives.
func TestNotEmpty(t *testing.T) {
	m := &machine{t: t, prefix: t.TempDir(), found: "/mnt/hdd/mailserver/mailboxes/example.com/alice/Maildir/cur/1\n"}
	if _, err := m.recover(recovery.ScanAfter); !errors.Is(err, recovery.ErrNotEmpty) || !strings.Contains(err.Error(), "Maildir/cur/1") {
		t.Errorf("with mail: %v", err)
	}
	m.found = ""
	file := filepath.Join(m.prefix, emittest.Site().Host.Root, "docker-compose.yml")
	if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, []byte("services: {}"), 0o600)); err != nil {
		t.Fatal(err)
	}
	if _, err := m.recover(recovery.ScanAfter); !errors.Is(err, recovery.ErrNotEmpty) || !strings.Contains(err.Error(), "a system lies in") {
		t.Errorf("with a project: %v", err)
	}
	if len(m.asked) > 0 {
		t.Errorf("asked %v", m.asked)
	}
}
