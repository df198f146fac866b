// Package schedule says when a backup or a drill is due. It reckons with calendar days in the site's
// time zone, so a night with a daylight-saving change has one run like every other, and whatever was
// missed while the host was off is due at once, once. It starts nothing itself.
package schedule

import (
	"fmt"
	"strings"
	"time"

	"github.com/mailplan/mailplan/runtime/config"
)

// Schedule is a declared schedule.
type Schedule struct {
	hour, minute int
	weekly       time.Weekday
	zone         *time.Location
	deadline     time.Duration
	drillEvery   time.Duration
	jitter       time.Duration
}

// New reads the declared schedule. instance spreads the runs of many sites over five minutes.
func New(c config.BackupSchedule, drill config.BackupDrill, instance string) (Schedule, error) {
	at, err := time.Parse("15:04", c.Daily)
	if err != nil {
		return Schedule{}, fmt.Errorf("schedule.daily: %w", err)
	}
	zone, err := time.LoadLocation(c.TimeZone)
	if err != nil {
		return Schedule{}, fmt.Errorf("schedule.timeZone: %w", err)
	}
	s := Schedule{hour: at.Hour(), minute: at.Minute(), zone: zone, weekly: -1,
		deadline: time.Duration(c.DeadlineHours) * time.Hour, drillEvery: time.Duration(drill.EveryDays) * 24 * time.Hour}
	for day := time.Sunday; day <= time.Saturday; day++ {
		if strings.EqualFold(day.String(), c.Weekly) {
			s.weekly = day
		}
	}
	if s.weekly < 0 {
		return Schedule{}, fmt.Errorf("schedule.weekly: %q is not a day", c.Weekly)
	}
	for _, b := range []byte(instance) {
		s.jitter = (s.jitter*31 + time.Duration(b)*time.Second) % (5 * time.Minute)
	}
	return s, nil
}

// slot returns the newest time at or before now at which a run was scheduled, counting only days that
// want chooses.
func (s Schedule) slot(now time.Time, want func(time.Weekday) bool) time.Time {
	local := now.In(s.zone)
	for back := 0; ; back++ {
		// Date turns an hour that the day does not have into the next one it has.
		at := time.Date(local.Year(), local.Month(), local.Day()-back, s.hour, s.minute, 0, 0, s.zone).Add(s.jitter)
		if !at.After(now) && want(at.In(s.zone).Weekday()) {
			return at
		}
	}
}

func everyDay(time.Weekday) bool { return true }

// BackupDue reports whether a run is due, when the last success was started at last; zero is never.
func (s Schedule) BackupDue(now, last time.Time) bool { return last.Before(s.slot(now, everyDay)) }

// FullDue reports whether the run that is due should read every byte, when the last such run was
// started at last.
func (s Schedule) FullDue(now, last time.Time) bool {
	return last.Before(s.slot(now, func(d time.Weekday) bool { return d == s.weekly }))
}

// DrillDue reports whether a drill is due, when the last was finished at last. It waits for the first
// backup to have had a night.
func (s Schedule) DrillDue(now, last time.Time) bool {
	return s.drillEvery > 0 && now.Sub(last) >= s.drillEvery
}

// Overdue reports whether the alarm is to be raised: no success within the deadline.
func (s Schedule) Overdue(now, last time.Time) bool { return now.Sub(last) > s.deadline }
