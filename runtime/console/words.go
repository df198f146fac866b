package console

import (
	"fmt"
	"time"
)

// Of is the view with a part of its page.
func (v view) Of(part any) view {
	v.Page = part
	return v
}

// Time is a moment in the server's own time zone.
func (v view) Time(t time.Time) string { return t.Local().Format("2006-01-02 15:04") }

// Ago is how long ago a moment was, in the reader's language.
func (v view) Ago(t time.Time) (string, error) {
	if d := time.Since(t); d >= time.Minute {
		span, err := v.Span(d.Seconds())
		if err != nil {
			return "", err
		}
		return v.T("time.ago", span)
	}
	return v.T("time.now")
}

// Span is a time in seconds, in the unit that fits it.
func (v view) Span(seconds float64) (string, error) {
	for _, unit := range []struct {
		key     string
		seconds float64
	}{{"time.days", 2 * 86400}, {"time.hours", 2 * 3600}, {"time.minutes", 120}} {
		if seconds >= unit.seconds {
			return v.T(unit.key, int(2*seconds/unit.seconds))
		}
	}
	return v.T("time.seconds", int(seconds))
}

// Size is a number of bytes with the unit that fits it.
func (v view) Size(bytes int64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	n, i := float64(bytes), 0
	for n >= 1024 && i < len(units)-1 {
		n, i = n/1024, i+1
	}
	if i == 0 || n >= 100 {
		return fmt.Sprintf("%.0f %s", n, units[i])
	}
	return fmt.Sprintf("%.1f %s", n, units[i])
}

// Percent is how full a mailbox of so many mebibytes is.
func (v view) Percent(bytes int64, quotaMB int) int {
	if quotaMB == 0 {
		return 0
	}
	return int(100 * float64(bytes) / (float64(quotaMB) * (1 << 20)))
}
