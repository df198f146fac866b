package schedule_test

import (
	"testing"
	"time"

	"github.com/mailplan/mailplan/runtime/backup/schedule"
	"github.com/mailplan/mailplan/runtime/config"
)

func newSchedule(t *testing.T, daily, zone string) schedule.Schedule {
	t.Helper()
	s, err := schedule.New(config.BackupSchedule{Daily: daily, Weekly: "sunday", TimeZone: zone, DeadlineHours: 26}, config.BackupDrill{EveryDays: 30}, "")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// runs simulates a clock, minute by minute, and returns when backups were made, in the zone's time.
func runs(t *testing.T, s schedule.Schedule, from, to time.Time) (all []time.Time, full int) {
	t.Helper()
	last, lastFull := from, from
	for now := from; now.Before(to); now = now.Add(time.Minute) {
		if !s.BackupDue(now, last) {
			continue
		}
		if s.FullDue(now, lastFull) {
			full++
			lastFull = now
		}
		last = now
		all = append(all, now)
	}
	return all, full
}

func TestEveryCalendarDayHasOneRun(t *testing.T) {
	for name, c := range map[string]struct{ daily, zone, from, to string }{
		"spring night without that hour": {"02:30", "Europe/Berlin", "2026-03-27", "2026-03-31"},
		"autumn night with it twice":     {"02:30", "Europe/Berlin", "2026-10-23", "2026-10-27"},
		"midnight which does not exist":  {"00:00", "America/Santiago", "2026-09-04", "2026-09-08"},
		"New Year":                       {"03:00", "Asia/Tokyo", "2026-12-30", "2027-01-03"},
	} {
		zone, err := time.LoadLocation(c.zone)
		if err != nil {
			t.Fatal(err)
		}
		from, _ := time.ParseInLocation(time.DateOnly, c.from, zone)
		to, _ := time.ParseInLocation(time.DateOnly, c.to, zone)
		from = from.Add(-12 * time.Hour)
		got, _ := runs(t, newSchedule(t, c.daily, c.zone), from, to.Add(-12*time.Hour))
		days := map[string]int{}
		for _, at := range got {
			days[at.In(zone).Format(time.DateOnly)]++
		}
		for day := from.Add(12 * time.Hour); day.Before(to.Add(-12 * time.Hour)); day = day.AddDate(0, 0, 1) {
			if n := days[day.In(zone).Format(time.DateOnly)]; n != 1 {
				t.Errorf("%s: %d runs on %s: %v", name, n, day.Format(time.DateOnly), got)
			}
		}
	}
}

func TestMissedRunsAreMadeUpForOnce(t *testing.T) {
	s := newSchedule(t, "03:00", "UTC")
	last := time.Date(2026, 11, 10, 3, 0, 0, 0, time.UTC)
	on := time.Date(2026, 11, 21, 17, 12, 0, 0, time.UTC) // the host comes back after eleven days
	if !s.BackupDue(on, last) {
		t.Fatal("not due after eleven days")
	}
	if s.BackupDue(on.Add(time.Hour), on) {
		t.Error("due again at once")
	}
	if !s.BackupDue(time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC), on) {
		t.Error("not due the next morning")
	}
}

func TestOneRunAWeekReadsEverything(t *testing.T) {
	from := time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)
	all, full := runs(t, newSchedule(t, "03:00", "UTC"), from, from.AddDate(0, 0, 42))
	if len(all) != 42 || full != 6 {
		t.Errorf("%d runs, %d of them full, in six weeks", len(all), full)
	}
}

func TestAlarmAfterTheDeadline(t *testing.T) {
	s := newSchedule(t, "03:00", "UTC")
	last := time.Date(2026, 11, 20, 3, 0, 0, 0, time.UTC)
	if s.Overdue(last.Add(26*time.Hour), last) || !s.Overdue(last.Add(26*time.Hour+time.Second), last) || !s.Overdue(last, time.Time{}) {
		t.Error("the alarm is not raised exactly after the deadline")
	}
}
