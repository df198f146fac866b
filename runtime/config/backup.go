package config

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Backup is the data side: what is copied, where to, for whom, when, and how its restores are proved.
type Backup struct {
	Instance       string         `json:"instance"`              // the site's name, written into every snapshot
	State          string         `json:"state"`                 // folder for the executor's own state; on the fast disk
	Local          BackupLocal    `json:"local"`                 // copies on a disk of their own
	Offsite        *BackupOffsite `json:"offsite,omitempty"`     // copies nobody can delete
	Recipients     []string       `json:"recipients"`            // age public keys that can open a backup
	SigningKeyFile string         `json:"signingKeyFile"`        // Ed25519 seed, 32 bytes in base64; made when missing
	TrustedKeys    []string       `json:"trustedKeys,omitempty"` // Ed25519 public keys in base64, believed besides that of signingKeyFile; default: all that this host signed with
	Classes        []BackupClass  `json:"classes"`               // everything a snapshot must hold
	Schedule       BackupSchedule `json:"schedule,omitzero"`     // when serve runs them
	Restore        BackupRestore  `json:"restore,omitzero"`      // what looks at restored files
	Drill          BackupDrill    `json:"drill,omitzero"`        // restores for proof
}

// BackupLocal is the folder with daily/ and weekly/.
type BackupLocal struct {
	Path       string `json:"path"`
	KeepDaily  int    `json:"keepDaily,omitempty"`  // default 7
	KeepWeekly int    `json:"keepWeekly,omitempty"` // default 4
}

// BackupOffsite is a bucket with Object Lock, of AWS or of a compatible service.
type BackupOffsite struct {
	Bucket              string `json:"bucket"`
	Region              string `json:"region,omitempty"`              // default us-east-1
	Endpoint            string `json:"endpoint,omitempty"`            // of a compatible service, such as https://s3.example.net
	Prefix              string `json:"prefix,omitempty"`              // before all keys
	Mode                string `json:"mode,omitempty"`                // COMPLIANCE (default) or GOVERNANCE
	LockDays            int    `json:"lockDays,omitempty"`            // after the end of the ISO week in which an object was needed; default 30
	AccessKeyIDFile     string `json:"accessKeyIDFile"`               // file with the access key id
	SecretAccessKeyFile string `json:"secretAccessKeyFile"`           // file with the secret access key
	OwnerIDFile         string `json:"ownerIDFile,omitempty"`         // file with the 12-digit account the bucket must belong to
	NoDefaultChecksums  bool   `json:"noDefaultChecksums,omitempty"`  // for services that refuse the SDK's trailing CRC32
	ConcurrentTransfers int    `json:"concurrentTransfers,omitempty"` // packs sent at once; default 2
}

// BackupClass is one kind of data, one source.
type BackupClass struct {
	Name     string          `json:"name"`               // mailboxes, database, config, tls, dkim, bayes, ledger, sieve, …
	Kind     string          `json:"kind"`               // maildir, tree, mariadb, git, ledger or redis
	Path     string          `json:"path,omitempty"`     // the folder or file, or the Git repository; not for mariadb
	Exclude  []string        `json:"exclude,omitempty"`  // patterns of base names to leave out
	Database *BackupDatabase `json:"database,omitempty"` // for mariadb
	Ledger   *BackupLedger   `json:"ledger,omitempty"`   // for ledger
	Redis    *BackupRedis    `json:"redis,omitempty"`    // for redis, whose Path is the server's data folder
}

// BackupRedis is the running server that writes its snapshot into the class's folder.
type BackupRedis struct {
	Address      string `json:"address"` // HOST:PORT
	PasswordFile string `json:"passwordFile,omitempty"`
}

// BackupLedger is the running daemon that gives out copies of its ledger.
type BackupLedger struct {
	URL       string `json:"url"`       // http://HOST:PORT/ledger of its health listener
	TokenFile string `json:"tokenFile"` // one of its bearer tokens
}

// BackupDatabase is the MariaDB server and what of it is dumped.
type BackupDatabase struct {
	Socket       string   `json:"socket,omitempty"` // path of the server's socket, or
	Address      string   `json:"address,omitempty"`
	User         string   `json:"user"`
	PasswordFile string   `json:"passwordFile,omitempty"`
	Databases    []string `json:"databases"`          // each becomes a file
	Accounts     bool     `json:"accounts,omitempty"` // the server's accounts as SQL too; needs rights on mysql.*
	DumpProgram  string   `json:"dumpProgram,omitempty"`
	Client       string   `json:"client,omitempty"`
}

// BackupSchedule says when serve makes backups. All times are in TimeZone.
type BackupSchedule struct {
	Daily         string `json:"daily,omitempty"`         // HH:MM; default 03:00
	Weekly        string `json:"weekly,omitempty"`        // the day whose run reads every byte again; default sunday
	TimeZone      string `json:"timeZone,omitempty"`      // IANA name; default UTC. Folders are named by its dates
	DeadlineHours int    `json:"deadlineHours,omitempty"` // without a success the alarm is raised; default 26
}

// BackupRestore names the programs which look at a staged restore. Empty: not asked.
type BackupRestore struct {
	ClamScan string `json:"clamScan,omitempty"` // clamdscan or clamscan
	Rkhunter string `json:"rkhunter,omitempty"` // looks at the running host, not at the staged files
}

// BackupDrill proves that restores work.
type BackupDrill struct {
	EveryDays    int    `json:"everyDays,omitempty"`    // default 30
	MaxAgeDays   int    `json:"maxAgeDays,omitempty"`   // a green receipt is good for so long; default 45
	Scratch      string `json:"scratch,omitempty"`      // folder the drill may fill and empty, which nobody can pass through to (0711); default state/drill
	IdentityFile string `json:"identityFile,omitempty"` // age identity of the drill; backups are encrypted to it besides the recipients
	MariaDBD     string `json:"mariadbd,omitempty"`     // default mariadbd
	InstallDB    string `json:"installDB,omitempty"`    // default mariadb-install-db
	Client       string `json:"client,omitempty"`       // default mariadb; it must go where its option file says, never to the live server
	IMAP         string `json:"imap,omitempty"`         // Dovecot's imap program; default /usr/lib/dovecot/imap
	Dovecot      string `json:"dovecot,omitempty"`      // series of that Dovecot, 2.3 (default) or 2.4
	MinimumRows  int64  `json:"minimumRows,omitempty"`  // a restored database with fewer rows is red; default 1
}

var backupClassName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,31}$`)

func (b *Backup) problems(at string) (found Problems) {
	b.defaults()
	required(&found, at+".instance", b.Instance)
	absolute(&found, at+".state", b.State)
	absolute(&found, at+".local.path", b.Local.Path)
	absolute(&found, at+".signingKeyFile", b.SigningKeyFile)
	positive(&found, at+".local.keepDaily", int64(b.Local.KeepDaily))
	positive(&found, at+".schedule.deadlineHours", int64(b.Schedule.DeadlineHours))
	positive(&found, at+".drill.everyDays", int64(b.Drill.EveryDays))
	positive(&found, at+".drill.maxAgeDays", int64(b.Drill.MaxAgeDays))
	if b.Drill.Dovecot != "2.3" && b.Drill.Dovecot != "2.4" {
		found.add(at+".drill.dovecot", "%q is not 2.3 or 2.4", b.Drill.Dovecot)
	}
	if b.Local.KeepWeekly < 0 {
		found.add(at+".local.keepWeekly", "must not be negative")
	}
	if len(b.Recipients) == 0 {
		found.add(at+".recipients", "name at least one age public key; two are wise, one kept away from the host")
	}
	for _, r := range b.Recipients {
		if !strings.HasPrefix(r, "age1") {
			found.add(at+".recipients", "%q is not an age public key (age1…)", r)
		}
	}
	b.Schedule.check(&found, at+".schedule")
	b.Offsite.check(&found, at+".offsite")
	b.checkClasses(&found, at+".classes")
	return found
}

func (b *Backup) defaults() {
	set(&b.Local.KeepDaily, 7)
	set(&b.Local.KeepWeekly, 4)
	set(&b.Schedule.Daily, "03:00")
	set(&b.Schedule.Weekly, "sunday")
	set(&b.Schedule.TimeZone, "UTC")
	set(&b.Schedule.DeadlineHours, 26)
	set(&b.Drill.EveryDays, 30)
	set(&b.Drill.MaxAgeDays, 45)
	set(&b.Drill.MariaDBD, "mariadbd")
	set(&b.Drill.InstallDB, "mariadb-install-db")
	set(&b.Drill.Client, "mariadb")
	set(&b.Drill.IMAP, "/usr/lib/dovecot/imap")
	set(&b.Drill.Dovecot, "2.3")
	set(&b.Drill.MinimumRows, 1)
	set(&b.Drill.Scratch, filepath.Join(b.State, "drill"))
	if o := b.Offsite; o != nil {
		set(&o.Region, "us-east-1")
		set(&o.Mode, "COMPLIANCE")
		set(&o.LockDays, 30)
		set(&o.ConcurrentTransfers, 2)
	}
	for i := range b.Classes {
		if d := b.Classes[i].Database; d != nil {
			set(&d.DumpProgram, "mariadb-dump")
			set(&d.Client, "mariadb")
		}
	}
}

func (b *Backup) checkClasses(found *Problems, at string) {
	if len(b.Classes) == 0 {
		found.add(at, "declare what a backup must hold")
	}
	seen := map[string]bool{}
	for _, c := range b.Classes {
		if !backupClassName.MatchString(c.Name) {
			found.add(at, "%q is not a class name: lower-case letters, digits and dashes", c.Name)
		}
		if seen[c.Name] {
			found.add(at, "class %s is declared twice", c.Name)
		}
		seen[c.Name] = true
		c.check(found, at+"."+c.Name)
	}
}

func (c *BackupClass) check(found *Problems, at string) {
	for _, pattern := range c.Exclude {
		if _, err := filepath.Match(pattern, ""); err != nil {
			found.add(at+".exclude", "%q is not a pattern", pattern)
		}
	}
	switch c.Kind {
	case "maildir", "tree", "git":
		absolute(found, at+".path", c.Path)
	case "mariadb":
		c.Database.check(found, at+".database")
	case "ledger":
		absolute(found, at+".path", c.Path)
		c.Ledger.check(found, at+".ledger")
	case "redis":
		absolute(found, at+".path", c.Path)
		c.Redis.check(found, at+".redis")
	default:
		found.add(at+".kind", "%q is not one of maildir, tree, mariadb, git, ledger, redis", c.Kind)
	}
}

func (l *BackupLedger) check(found *Problems, at string) {
	if l == nil {
		found.add(at, "say which daemon gives out copies of it")
		return
	}
	checkURL(found, at+".url", l.URL)
	absolute(found, at+".tokenFile", l.TokenFile)
}

func (r *BackupRedis) check(found *Problems, at string) {
	if r == nil {
		found.add(at, "say how to reach the server")
		return
	}
	checkDialable(found, at+".address", r.Address)
}

func (d *BackupDatabase) check(found *Problems, at string) {
	if d == nil {
		found.add(at, "say how to reach the server")
		return
	}
	if (d.Socket == "") == (d.Address == "") {
		found.add(at, "give exactly one of socket and address")
	}
	if d.Address != "" {
		checkDialable(found, at+".address", d.Address)
	}
	required(found, at+".user", d.User)
	if len(d.Databases) == 0 {
		found.add(at+".databases", "name the databases to dump")
	}
	for _, name := range d.Databases {
		if name == "" || strings.ContainsAny(name, "/\x00`") || strings.HasPrefix(name, ".") || strings.HasPrefix(name, "-") {
			found.add(at+".databases", "%q cannot be a file's name", name)
		}
	}
}

func (s *BackupSchedule) check(found *Problems, at string) {
	if _, err := time.Parse("15:04", s.Daily); err != nil {
		found.add(at+".daily", "%q is not a time of day such as 03:00", s.Daily)
	}
	if _, err := time.LoadLocation(s.TimeZone); err != nil {
		found.add(at+".timeZone", "%q is not a time zone such as Asia/Tokyo", s.TimeZone)
	}
	days := []string{"sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"}
	if !slices.Contains(days, s.Weekly) {
		found.add(at+".weekly", "%q is not a day such as sunday", s.Weekly)
	}
}

func (o *BackupOffsite) check(found *Problems, at string) {
	if o == nil {
		return
	}
	required(found, at+".bucket", o.Bucket)
	positive(found, at+".lockDays", int64(o.LockDays))
	positive(found, at+".concurrentTransfers", int64(o.ConcurrentTransfers))
	absolute(found, at+".accessKeyIDFile", o.AccessKeyIDFile)
	absolute(found, at+".secretAccessKeyFile", o.SecretAccessKeyFile)
	if o.Mode != "COMPLIANCE" && o.Mode != "GOVERNANCE" {
		found.add(at+".mode", "%q is not COMPLIANCE or GOVERNANCE", o.Mode)
	}
	if o.Endpoint != "" && !strings.HasPrefix(o.Endpoint, "https://") && !strings.HasPrefix(o.Endpoint, "http://") {
		found.add(at+".endpoint", "%q is not a URL", o.Endpoint)
	}
}

// absolute asks for a path from the root: the daemon's working folder means nothing.
func absolute(found *Problems, at, path string) {
	if !filepath.IsAbs(path) {
		found.add(at, "give an absolute path, not %q", path)
	}
}
