package check

import (
	"fmt"
	"slices"
)

func backupRules() []Rule {
	return []Rule{
		{ID: "backup-plain", Severity: Error, Holes: "S-10 C-078", Title: "off-site copies are encrypted for somebody",
			Why: "mail would lie in the bucket for its provider and every thief of a key to read", find: backupPlain},
		{ID: "backup-escrow", Severity: Warning, Holes: "S-10 C-057", Title: "backups can be read with a key that is not on the host",
			Why: "with the host its key is lost, and with it every backup", find: backupEscrow},
		{ID: "backup-offsite", Severity: Warning, Holes: "C-046", Title: "there is a copy elsewhere",
			Why: "fire, theft and ransomware take the host and its backup disk together", find: backupOffsite},
		{ID: "backup-classes", Severity: Warning, Holes: "C-050", Title: "backups hold every class of data",
			Why: "what is left out is found missing at the restore", find: backupClasses},
		{ID: "lock-mode", Severity: Warning, Holes: "C-004", Title: "the lock binds everyone",
			Why: "under GOVERNANCE whoever has the owner's key can delete the copies", find: lockMode},
		{ID: "lock-expiry", Severity: Error, Holes: "S-12", Title: "the lifecycle ends at least 8 days after the lock",
			Why: "an expiry within the lock hides copies that one still needs", find: lockExpiry},
		{ID: "lock-weekly", Severity: Warning, Holes: "C-053", Title: "the lock covers the weekly copies",
			Why: "the older weekly copies could be deleted while one counts on them", find: lockWeekly},
		{ID: "lock-long", Severity: Warning, Holes: "S-12", Title: "the lock is no longer than a year",
			Why: "nobody, not even the provider, can shorten it: what is stored is paid for to the end", find: lockLong},
		{ID: "retention-gap", Severity: Warning, Holes: "C-052", Title: "daily copies reach to the weekly ones",
			Why: "between them are days to which nothing goes back", find: retentionGap},
		{ID: "drill-age", Severity: Error, Title: "drills come before their receipt is too old",
			Why: "risky steps would be refused for most of the time", find: drillAge},
		{ID: "backup-deadline", Severity: Warning, Holes: "C-064", Title: "the alarm comes after a missed run and not before",
			Why: "an alarm below 24 hours rings every day, one above 48 misses a lost night", find: backupDeadline},
		{ID: "state-unlocked", Severity: Error, Holes: "S-14 C-107", Title: "the Terraform state is locked",
			Why: "two applies at once destroy it", find: stateUnlocked},
		{ID: "state-dynamodb", Severity: Warning, Holes: "S-14 C-107", Title: "the Terraform state is locked by its own file",
			Why: "Terraform has given the DynamoDB lock up", find: stateDynamoDB},
	}
}

func backupPlain(c *checker) {
	if c.site.Backup.Offsite != nil && len(c.site.Backup.Recipients) == 0 {
		c.report("backup.recipients", "off-site copies have no recipient").
			hint("age-keygen makes a key; its public half goes here, the private one into a safe")
	}
}

func backupEscrow(c *checker) {
	switch len(c.site.Backup.Recipients) {
	case 0:
		c.report("backup.recipients", "no backups are made: nobody could read them").
			hint("age-keygen makes a key; its public half goes here, the private one into a safe")
	case 1:
		c.report("backup.recipients", "backups have 1 of 2 recipients: the host's key and one kept elsewhere")
	}
}

func backupOffsite(c *checker) {
	if c.site.Backup.Offsite == nil {
		c.report("backup", "no off-site copy is declared")
	}
}

func backupClasses(c *checker) {
	for _, class := range []string{"mailboxes", "database", "config", "tls", "dkim", "bayes", "ledger", "sieve"} {
		if !slices.Contains(c.site.Backup.Classes, class) {
			c.report("backup.classes", "backups leave %s out", class)
		}
	}
}

func lockMode(c *checker) {
	if o := c.site.Backup.Offsite; o != nil && o.S3.Lock.Mode != "COMPLIANCE" {
		c.report("backup.offsite.s3.lock.mode", "the lock of %s is %s", o.S3.Bucket, o.S3.Lock.Mode).
			fix("backup.offsite.s3.lock.mode", `"COMPLIANCE"`)
	}
}

func lockExpiry(c *checker) {
	// An object of a week stays locked until the week's last one may go.
	if o := c.site.Backup.Offsite; o != nil && o.S3.ExpireDays < o.S3.Lock.Days+8 {
		c.report("backup.offsite.s3.expireDays", "copies expire after %d days and are locked for %d and up to a week more", o.S3.ExpireDays, o.S3.Lock.Days).
			or("backup.offsite.s3.lock.days").
			fix("backup.offsite.s3.expireDays", fmt.Sprint(o.S3.Lock.Days+10))
	}
}

func lockWeekly(c *checker) {
	o := c.site.Backup.Offsite
	if need := 7 * c.site.Backup.Local.KeepWeekly; o != nil && o.S3.Lock.Days < need {
		c.report("backup.offsite.s3.lock.days", "copies are locked for %d days, %d weekly ones need %d",
			o.S3.Lock.Days, c.site.Backup.Local.KeepWeekly, need).or("backup.local.keepWeekly")
	}
}

func lockLong(c *checker) {
	if o := c.site.Backup.Offsite; o != nil && o.S3.Lock.Days > 366 {
		c.report("backup.offsite.s3.lock.days", "copies are locked for %d days", o.S3.Lock.Days)
	}
}

func retentionGap(c *checker) {
	if l := c.site.Backup.Local; l.KeepWeekly > 0 && l.KeepDaily < 7 {
		c.report("backup.local.keepDaily", "%d daily copies do not reach back to the newest weekly one", l.KeepDaily).
			fix("backup.local.keepDaily", "7")
	}
}

func drillAge(c *checker) {
	if d := c.site.Backup.Drill; d.MaxAgeDays < d.EveryDays {
		c.report("backup.drill.maxAgeDays", "a receipt is good for %d days, a drill comes every %d", d.MaxAgeDays, d.EveryDays).or("backup.drill.everyDays")
	}
}

func backupDeadline(c *checker) {
	if h := c.site.Backup.DeadlineHours; h < 25 || h > 48 {
		c.report("backup.deadlineHours", "the alarm comes after %d hours, a run every 24", h).fix("backup.deadlineHours", "26")
	}
}

func stateUnlocked(c *checker) {
	if o := c.site.Backup.Offsite; o != nil && !o.Terraform.State.Lockfile && o.Terraform.State.DynamoDBTable == "" {
		c.report("backup.offsite.terraform.state.lockfile", "the state has no lock").
			fix("backup.offsite.terraform.state.lockfile", "true")
	}
}

func stateDynamoDB(c *checker) {
	if o := c.site.Backup.Offsite; o != nil && !o.Terraform.State.Lockfile && o.Terraform.State.DynamoDBTable != "" {
		c.report("backup.offsite.terraform.state.lockfile", "the state is locked by the table %s alone", o.Terraform.State.DynamoDBTable).
			hint("both may be on during the change").
			fix("backup.offsite.terraform.state.lockfile", "true")
	}
}
