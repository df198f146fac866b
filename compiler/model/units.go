package model

import "fmt"

// UnitsProgram is the program of the project, below its folder, that brings the host's systemd to the project's units.
const UnitsProgram = "scripts/host-units"

// JournalSettings has a journal of systemd (journald.conf(5)) keep what is said for so many days and no longer, as long as
// it takes no more than megabytes on the disk. The journal forgets whole files, by the age of their first line, when it begins
// a new one: that is every six hours, and a file is let go six hours before its time.
func JournalSettings(days, megabytes int) string {
	return fmt.Sprintf(`[Journal]
Storage=persistent
# %d days: files of six hours, each gone when the next one would be too late.
MaxRetentionSec=%dh
MaxFileSec=6h
SystemMaxUse=%dM
`, days, days*24-6, megabytes)
}
