package runtime

import (
	"fmt"
	"maps"
	"slices"

	"github.com/mailplan/mailplan/compiler/model"
	"github.com/mailplan/mailplan/runtime/config"
)

// backup is the executor's part. It runs on the host, which alone sees all of the data; every path is
// the host's. There is none where nobody could read a backup.
func backup(s *model.Site) (*config.Backup, error) {
	b := s.Backup
	if len(b.Recipients) == 0 {
		return nil, nil
	}
	all, err := classes(s)
	if err != nil {
		return nil, err
	}
	out := &config.Backup{
		Instance:       s.Name,
		State:          s.Host.Storage.Fast + "/backup-state",
		Local:          config.BackupLocal{Path: b.Local.Path, KeepDaily: b.Local.KeepDaily, KeepWeekly: b.Local.KeepWeekly},
		Offsite:        offsite(s),
		Recipients:     b.Recipients,
		SigningKeyFile: secretFile(s, model.SecretBackupSigning),
		TrustedKeys:    slices.Sorted(maps.Keys(b.Signers)),
		Schedule: config.BackupSchedule{Daily: b.Daily.At, Weekly: b.Weekly.On, TimeZone: s.Host.Timezone,
			DeadlineHours: b.DeadlineHours},
		Drill: drill(s),
	}
	if b.ScanBeforeRestore {
		out.Restore.ClamScan = s.Host.Root + "/" + scanScript
	}
	for _, class := range all {
		if slices.Contains(b.Classes, class.Name) {
			out.Classes = append(out.Classes, class)
		}
	}
	return out, nil
}

// drill is held on the host as well, with programs of the stack's own images. Backups are encrypted to its identity
// besides the declared recipients, so that nobody has to declare its public key. It lies on the host, whose root can read
// what is backed up anyway.
func drill(s *model.Site) config.BackupDrill {
	program := func(name string) string { return s.Host.Root + "/" + drillScripts + name }
	series := "2.4"
	if s.Containers.Dovecot.Version23() {
		series = "2.3"
	}
	return config.BackupDrill{
		EveryDays:    s.Backup.Drill.EveryDays,
		MaxAgeDays:   s.Backup.Drill.MaxAgeDays,
		Scratch:      drillScratch(s),
		IdentityFile: secretFile(s, model.SecretBackupDrill),
		MariaDBD:     program("mariadbd"),
		InstallDB:    program("mariadb-install-db"),
		Client:       program("mariadb"),
		IMAP:         program("imap"),
		Dovecot:      series,
	}
}

// drillScratch is the folder that a drill fills and empties.
func drillScratch(s *model.Site) string { return s.Host.Storage.Fast + "/backup-drill" }

func offsite(s *model.Site) *config.BackupOffsite {
	if s.Backup.Offsite == nil {
		return nil
	}
	s3 := s.Backup.Offsite.S3
	return &config.BackupOffsite{
		Bucket:              s3.Bucket,
		Region:              s3.Region,
		Endpoint:            s3.Endpoint,
		Prefix:              s3.Prefix,
		Mode:                s3.Lock.Mode,
		LockDays:            s3.Lock.Days,
		AccessKeyIDFile:     secretFile(s, s3.AccessKeyID.Secret),
		SecretAccessKeyFile: secretFile(s, s3.SecretAccessKey.Secret),
	}
}

// secretFile is where compose finds the value, too.
func secretFile(s *model.Site, name string) string { return s.Host.Root + "/secrets/" + name }

// classes are all kinds of data and where the host has them. The dump comes before the mailboxes, so that
// every user in it has a mailbox that is at least as new.
func classes(s *model.Site) ([]config.BackupClass, error) {
	api, err := s.ServiceAddress("mailserver-api", "mailserver_network")
	if err != nil {
		return nil, err
	}
	store, err := s.ServiceAddress("redis", "store")
	if err != nil {
		return nil, err
	}
	// The host reaches its containers by their addresses, published or not.
	ledger := &config.BackupLedger{TokenFile: secretFile(s, s.Edge.Ingest.Token.Secret),
		URL: fmt.Sprintf("http://%s:%d/ledger", api, s.Monitoring.Metrics.Port)}
	root, fast, bulk := s.Host.Root, s.Host.Storage.Fast, s.Host.Storage.Bulk
	tree := func(name, path string, exclude ...string) config.BackupClass {
		return config.BackupClass{Name: name, Kind: "tree", Path: path, Exclude: exclude}
	}
	return []config.BackupClass{
		{Name: "database", Kind: "mariadb", Database: &config.BackupDatabase{
			Socket: "/run/mysqld/mysqld.sock", User: "root", Databases: []string{"mailserver", "roundcubemail"},
			DumpProgram: root + "/" + dumpScript, Client: root + "/" + clientScript}},
		{Name: "mailboxes", Kind: "maildir", Path: bulk + "/mailboxes"},
		tree("sieve", bulk+"/mailboxes", "Maildir"),
		tree("config", root, "bin"),
		tree("tls", s.CertificateFolder()),
		tree("dkim", root+"/config/rspamd/dkim"),
		{Name: "bayes", Kind: "redis", Path: fast + "/redis", Redis: &config.BackupRedis{
			Address: store.String() + ":6379", PasswordFile: secretFile(s, "redis/"+model.SecretRedisPassword)}},
		{Name: "ledger", Kind: "ledger", Path: fast + "/mailpland/ledger.db", Ledger: ledger},
	}, nil
}
