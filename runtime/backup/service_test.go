package backup_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/mailplan/mailplan/runtime/backup"
	"github.com/mailplan/mailplan/runtime/backup/backuptest"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// scheduled is a site whose service keeps its own time.
func scheduled(t *testing.T) (*backuptest.Site, *backup.Executor, *backup.Service) {
	t.Helper()
	s := backuptest.NewSite(t)
	s.Config.Schedule.Daily, s.Config.Schedule.Weekly, s.Config.Schedule.DeadlineHours = "03:00", "sunday", 26
	x := s.Executor(t)
	service, err := backup.NewService(x)
	if err != nil {
		t.Fatal(err)
	}
	return s, x, service
}

func TestServiceMakesOneBackupADayAndAFullOneAWeek(t *testing.T) {
	s, x, service := scheduled(t)
	s.Clock = time.Date(2026, 12, 27, 12, 0, 0, 0, time.UTC)
	for end := s.Clock.AddDate(0, 0, 10); s.Clock.Before(end); s.Clock = s.Clock.Add(20 * time.Minute) {
		service.Step(t.Context())
	}
	links, err := x.Store().Chain()
	if err != nil {
		t.Fatal(err)
	}
	full := 0
	for _, l := range links {
		if l.Head.Rehashed {
			full++
		}
	}
	if len(links) != 11 || full != 2 { // one at once, since there was none, then one each morning
		t.Errorf("%d runs, %d of them full, in ten days", len(links), full)
	}
	if _, err := x.Verify(t.Context(), nil, nil); err != nil {
		t.Error(err)
	}
}

func TestServiceRestsAfterAFailureAndRaisesTheAlarm(t *testing.T) {
	s, x, service := scheduled(t)
	service.Step(t.Context())
	good := s.Config.Classes[1].Path
	if err := renameAway(good); err != nil {
		t.Fatal(err)
	}
	s.Clock = s.Clock.AddDate(0, 0, 1)
	for range 4 { // half an hour apart at least
		service.Step(t.Context())
		s.Clock = s.Clock.Add(10 * time.Minute)
	}
	record, err := x.Record()
	if err != nil {
		t.Fatal(err)
	}
	if tries := record.LastRun.Head.Sequence - 1; tries != 2 {
		t.Errorf("%d tries in 40 minutes, want 2", tries)
	}
	want := "# HELP mailpland_backup_last_run_ok Whether the last run succeeded.\n# TYPE mailpland_backup_last_run_ok gauge\nmailpland_backup_last_run_ok 0\n" +
		"# HELP mailpland_backup_overdue Whether there was no success within the deadline.\n# TYPE mailpland_backup_overdue gauge\nmailpland_backup_overdue "
	registry := prometheus.NewRegistry()
	registry.MustRegister(x.Metrics())
	for hours, overdue := range map[int]string{0: "0\n", 26: "1\n"} {
		s.Clock = time.Date(2026, 11, 22, 4+hours, 0, 0, 0, time.UTC)
		if err := testutil.GatherAndCompare(registry, strings.NewReader(want+overdue), "mailpland_backup_last_run_ok", "mailpland_backup_overdue"); err != nil {
			t.Error(err)
		}
	}
}

// TestServiceHoldsDrills: at once after the first backup, a red one again a day later, a green one after everyDays.
func TestServiceHoldsDrills(t *testing.T) {
	s := backuptest.NewSite(t)
	s.Config.Schedule.Daily, s.Config.Schedule.Weekly, s.Config.Schedule.DeadlineHours = "03:00", "sunday", 26
	s.Config.Classes = s.Config.Classes[1:] // no mail, which would need Dovecot; and tls, which has no key: red
	s.Config.Drill.IdentityFile, s.Config.Drill.EveryDays = s.Path("identity"), 30
	held := func(hours int) (n int) {
		t.Helper()
		service, err := backup.NewService(s.Executor(t))
		if err != nil {
			t.Fatal(err)
		}
		for range hours {
			service.Step(t.Context())
			s.Clock = s.Clock.Add(time.Hour)
		}
		receipts, err := os.ReadDir(s.Path("state/drills"))
		if err != nil {
			t.Fatal(err)
		}
		return len(receipts)
	}
	if n := held(25); n != 2 {
		t.Errorf("%d red drills in 25 hours, want 2", n)
	}
	s.Config.Classes = s.Config.Classes[:1]
	if n := held(72); n != 3 {
		t.Errorf("%d drills, want one more, green", n)
	}
}

func renameAway(path string) error { return os.Rename(path, path+".away") }
