package check

import (
	"strings"
	"time"

	// The zones of the binary, not of the machine: a check gives the same answer everywhere.
	_ "time/tzdata"
)

func storageRules() []Rule {
	return []Rule{
		{ID: "storage-backup", Severity: Error, Holes: "S-09 C-044 C-046", Title: "backups are not on the disk of the data",
			Why: "one dead disk loses both", find: storageBackup},
		{ID: "storage-nested", Severity: Error, Title: "data folders do not lie in one another",
			Why: "a backup would back itself up, and a restore would overwrite it", find: storageNested},
		{ID: "timezone-unknown", Severity: Error, Title: "the time zone exists",
			Why: "backup times would be read in another zone", find: timezoneUnknown},
		{ID: "backup-dst", Severity: Warning, Holes: "C-051", Title: "the daily backup is not in the hour that summer time skips",
			Why: "on one night a year that time does not exist, on another it comes twice", find: backupDST},
	}
}

// device is the disk below a path: the declared name, else the mount point by convention
// (/mnt/NAME, /media/NAME), else the root disk.
func (c *checker) device(path string) string {
	best, name := "", ""
	for mount, d := range c.site.Host.Storage.Devices {
		if under(path, mount) && len(mount) > len(best) {
			best, name = mount, d
		}
	}
	if best != "" {
		return name
	}
	parts := strings.Split(path, "/") // "", first, second, …
	if len(parts) > 2 && (parts[1] == "mnt" || parts[1] == "media") {
		return "/" + parts[1] + "/" + parts[2]
	}
	return "/"
}

func under(path, folder string) bool { return path == folder || strings.HasPrefix(path, folder+"/") }

func storageBackup(c *checker) {
	backup := c.device(c.site.Backup.Local.Path)
	data := []struct{ what, path string }{{"mailboxes", c.site.Host.Storage.Bulk}, {"the database", c.site.Host.Storage.Fast}}
	for _, d := range data {
		if c.device(d.path) == backup {
			c.report("backup.local.path", "backups and %s are both on the disk %s", d.what, backup).or("host.storage").
				hint("another disk, or host.storage.devices if %s is mounted elsewhere", d.path)
		}
	}
}

func storageNested(c *checker) {
	h, backup := c.site.Host, c.site.Backup.Local.Path
	for _, d := range []struct{ path, name string }{{h.Storage.Bulk + "/mailboxes", "the mailboxes"}, {h.Storage.Fast + "/mariadb", "the database"}, {h.Root, "host.root"}} {
		if under(backup, d.path) || under(d.path, backup) {
			c.report("backup.local.path", "%s and %s (%s) lie in one another", backup, d.name, d.path).or("host.storage")
		}
	}
}

func timezoneUnknown(c *checker) {
	if _, err := time.LoadLocation(c.site.Host.Timezone); err != nil {
		c.report("host.timezone", "there is no time zone %s", c.site.Host.Timezone).hint("such as Europe/Berlin, Asia/Tokyo, UTC")
	}
}

// backupDST looks for a day of a sample year on which the time of day doesn't exist or comes twice.
func backupDST(c *checker) {
	zone, err := time.LoadLocation(c.site.Host.Timezone)
	at, err2 := time.Parse("15:04", c.site.Backup.Daily.At)
	if err != nil || err2 != nil {
		return
	}
	for day := range 365 {
		t := time.Date(2026, 1, 1+day, at.Hour(), at.Minute(), 0, 0, zone)
		skipped := t.Hour() != at.Hour()
		again := t.Add(time.Hour).Hour() == at.Hour() || t.Add(-time.Hour).Hour() == at.Hour()
		if skipped || again {
			c.report("backup.daily.at", "in %s the time %s is skipped or comes twice when clocks change", c.site.Host.Timezone, c.site.Backup.Daily.At).
				hint("a time after 04:00 or before midnight")
			return
		}
	}
}
