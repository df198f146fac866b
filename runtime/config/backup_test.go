package config

import (
	"strings"
	"testing"
)

const goodBackup = `{"backup": {
	"instance": "home", "state": "/srv/mailserver/backup", "signingKeyFile": "/srv/mailserver/backup/signing.key",
	"local": {"path": "/mnt/backup/mailserver"}, "recipients": ["age1xyz"],
	"classes": [
		{"name": "mailboxes", "kind": "maildir", "path": "/srv/mail"},
		{"name": "database", "kind": "mariadb", "database": {"socket": "/run/mysqld/mysqld.sock", "user": "backup", "databases": ["mail"]}}],
	"offsite": {"bucket": "home-mail", "accessKeyIDFile": "/run/secrets/id", "secretAccessKeyFile": "/run/secrets/key"}}}`

func TestBackupDefaults(t *testing.T) {
	c, err := Parse([]byte(goodBackup))
	if err != nil {
		t.Fatal(err)
	}
	b := c.Backup
	if b.Local.KeepDaily != 7 || b.Local.KeepWeekly != 4 || b.Schedule.Daily != "03:00" || b.Schedule.DeadlineHours != 26 ||
		b.Offsite.Mode != "COMPLIANCE" || b.Offsite.LockDays != 30 || b.Classes[1].Database.DumpProgram != "mariadb-dump" {
		t.Errorf("got %+v", b)
	}
}

func TestBackupMistakesAreAllNamed(t *testing.T) {
	for name, c := range map[string]struct{ from, to, says string }{
		"no recipient":        {`["age1xyz"]`, `[]`, "backup.recipients"},
		"ssh key":             {`age1xyz`, `ssh-ed25519 AAAA`, "not an age public key"},
		"relative path":       {`"/srv/mail"`, `"srv/mail"`, "backup.classes.mailboxes.path"},
		"unknown kind":        {`"kind": "maildir"`, `"kind": "mbox"`, "mbox"},
		"class twice":         {`"name": "database"`, `"name": "mailboxes"`, "declared twice"},
		"database as a path":  {`["mail"]`, `["../mail"]`, "cannot be a file's name"},
		"socket and address":  {`"user": "backup"`, `"user": "backup", "address": "db:3306"`, "exactly one of socket and address"},
		"time of day":         {`"classes"`, `"schedule": {"daily": "25:00"}, "classes"`, "25:00"},
		"time zone":           {`"classes"`, `"schedule": {"timeZone": "Mars/Olympus"}, "classes"`, "Mars/Olympus"},
		"week day":            {`"classes"`, `"schedule": {"weekly": "someday"}, "classes"`, "someday"},
		"lock mode":           {`"bucket"`, `"mode": "NONE", "bucket"`, "NONE"},
		"unknown setting":     {`"instance"`, `"retention": 9, "instance"`, "backup.retention"},
		"no way to database":  {`"socket": "/run/mysqld/mysqld.sock", `, ``, "exactly one of socket and address"},
		"database left out":   {`"kind": "maildir", "path": "/srv/mail"`, `"kind": "mariadb"`, "how to reach the server"},
		"negative keepWeekly": {`"path": "/mnt/backup/mailserver"`, `"path": "/mnt/b", "keepWeekly": -1`, "keepWeekly"},
	} {
		text := strings.Replace(goodBackup, c.from, c.to, 1)
		if text == goodBackup {
			t.Fatalf("%s: the test changes nothing", name)
		}
		if _, err := Parse([]byte(text)); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: got %v, want %q in it", name, err, c.says)
		}
	}
}
