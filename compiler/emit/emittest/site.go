// Package emittest is what the tests of the emitters share: a small complete site, and a way to lay
// emitted files out as apply would, with made-up secrets. It knows no emitter.
package emittest

import "github.com/mailplan/mailplan/compiler/model"

// Site is a complete site with two users, an alias, one signing domain, an off-site backup and a
// tailnet. Each call returns a new one.
func Site() *model.Site {
	s := &model.Site{
		Name: "home",
		Host: model.Host{
			Connect: "local", Root: "/srv/mailserver", Timezone: "Asia/Tokyo",
			Storage: model.Storage{Fast: "/mnt/ssd/mailserver", Bulk: "/mnt/hdd/mailserver"},
			TLS: model.TLS{Source: "acme-dns01", Names: []string{"imap.example.com", "smtp.example.com"},
				Directory: "https://acme-v02.api.letsencrypt.org/directory", Token: secret("CLOUDFLARE_DNS_TOKEN")},
		},
		Tailnet: &model.Tailnet{
			Address: "100.64.0.10", Hostname: "mail.tail1234.ts.net", Name: "-", Tags: []string{"tag:mail"},
			Clients: []string{"autogroup:member"}, Admins: []string{"autogroup:admin"}, Mode: "host",
			KeyWarnDays: 14, OAuth: secret("TAILSCALE_OAUTH_SECRET"),
		},
		Relay: model.Relay{
			Provider: "sendgrid", Host: "smtp.sendgrid.net", Port: 587, Username: "apikey", TLS: "verify",
			Password: secret("SENDGRID_API_KEY"), MaxMessageMiB: 30, RatePerUserPerHour: 200, ForwardFrom: "rewrite",
		},
		Edge:    edge(),
		Domains: []model.Domain{domain()},
		Backup:  backup(),
		Secrets: model.Secrets{File: "secrets.sops.yaml", WarnDays: 14, Overdue: "warn"},
	}
	containers(&s.Containers)
	monitoring(&s.Monitoring)
	return s
}

func secret(name string) model.SecretRef { return model.SecretRef{Secret: name} }

func edge() model.Edge {
	return model.Edge{
		AccountID: "0123456789abcdef0123456789abcdef", Token: secret("CLOUDFLARE_API_TOKEN"), Plan: "free",
		Tunnel: model.Tunnel{Name: "home", Token: secret("TUNNEL_TOKEN"), Connectors: 1,
			Hostnames: model.TunnelHostnames{Webmail: "mail.example.com", Ingest: "mail-api.example.com"}},
		Ingest: model.Ingest{
			Token: secret("MAILSERVER_API_TOKEN"), Signed: true, SigningKey: secret("INGEST_SIGNING_KEY"),
			MaxMessageMiB: 25, Concurrency: 16, Port: 8000,
			Verdict: model.Verdict{Spam: "reject", ProbableSpam: "junk", SoftReject: "tempfail", Virus: "reject",
				ScanFailure: "tempfail", ScannerDown: "tempfail"},
		},
		Worker: model.Worker{Name: "home-mail", CompatibilityDate: "2026-04-01", TimeoutSeconds: 40, DigestKey: secret("RECIPIENT_DIGEST_KEY")},
		Spool:  model.Spool{RetentionDays: 14, MaxRetries: 100, Bucket: "home-spool", Queue: "home-spool"},
		Access: model.Access{Console: true, SessionHours: 24},
		WAF:    model.WAF{Managed: true, LoginPerMinute: 20},
	}
}

func domain() model.Domain {
	key := secret("dkim/example.com/mail2026")
	return model.Domain{
		Name: "example.com", Unicode: "example.com", State: model.Active, Zone: "example.com", QuotaMB: 2048,
		Users: []model.User{
			{Localpart: "alice", Domain: "example.com", Name: "Alice", Password: model.Password{Secret: "users/alice"},
				QuotaMB: 4096, State: model.Active, Role: "admin", SendAs: []string{"ceo@partner.example"}},
			{Localpart: "bob", Domain: "example.com", QuotaMB: 2048, State: model.Active, Role: "user"},
		},
		Aliases:    []model.Alias{{Localpart: "sales", Domain: "example.com", Targets: []string{"alice@example.com", "crm@partner.example"}}},
		CatchAll:   "alice@example.com",
		Subaddress: true,
		Selectors:  []model.Selector{{Name: "mail2026", State: model.Active, Algorithm: "rsa", Bits: 2048, Key: &key}},
		DMARC:      model.DMARC{Policy: "quarantine", Percent: 100, Alignment: "relaxed"},
		MTASTS:     model.MTASTS{Mode: "enforce", MaxAgeSeconds: 86400},
		Autoconfig: true,
	}
}

func containers(c *model.Containers) {
	c.MariaDB = model.Container{Image: "mariadb:10.11", CPUs: 1, Memory: 1024}
	c.Redis = model.Container{Image: "redis:8.2-alpine", CPUs: 0.5, Memory: 256}
	c.Dovecot = model.Dovecot{Container: model.Container{Image: "dovecot/dovecot:2.4.5", CPUs: 1, Memory: 1024},
		Address: "100.64.0.10", IMAPS: 993, POP3S: 995, MaxConnectionsPerUser: 30, ExpungeJunkDays: 30, ExpungeTrashDays: 30}
	c.Postfix = model.Postfix{Container: model.Container{Image: "boky/postfix:v5.1.0", CPUs: 1, Memory: 512},
		Address: "100.64.0.10", Submission: 587, Submissions: 465, MaxMessageMiB: 25, MaxRecipients: 100, QueueDays: 5}
	c.Rspamd = model.Rspamd{Container: model.Container{Image: "rspamd/rspamd:4.1", CPUs: 1, Memory: 1024},
		BayesExpireDays: 100, MaxMessageMiB: 25}
	c.Rspamd.Scores.AddHeader, c.Rspamd.Scores.Reject = 6, 15
	concurrent := false
	c.ClamAV = model.ClamAV{Container: model.Container{Image: "clamav/clamav:1.4_base", CPUs: 1, Memory: 2048},
		ChecksPerDay: 12, ConcurrentReload: &concurrent, MaxMessageMiB: 40}
	c.Roundcube = model.Roundcube{Container: model.Container{Image: "roundcube/roundcubemail:1.6.x-apache", CPUs: 0.5, Memory: 512},
		Language: "en_US", Plugins: []string{"archive", "zipdownload", "managesieve", "password", "markasjunk"},
		SessionMinutes: 30, MaxAttachmentMiB: 18}
	c.API = model.Container{Image: "mailserver-api:1", CPUs: 0.5, Memory: 256}
	c.Usermgmt = model.Container{Image: "usermgmt:1", CPUs: 0.5, Memory: 512}
	c.Nginx = model.Container{Image: "nginx:1.30-alpine", CPUs: 0.5, Memory: 256}
	c.Cloudflared = model.Container{Image: "cloudflare/cloudflared:2026.8.2", CPUs: 0.5, Memory: 128}
}

func backup() model.Backup {
	b := model.Backup{
		Recipients: []string{
			"age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p",
			"age1lggyhqrw2nlhcxprm67z43rta597azn8gknawjehu9d9dl0jq3yqqvfafg",
		},
		Classes:       []string{"mailboxes", "database", "config", "tls", "dkim", "bayes", "ledger", "sieve"},
		DeadlineHours: 26, ScanBeforeRestore: true,
	}
	b.Daily.At, b.Weekly.On = "03:00", "sunday"
	b.Local.Path, b.Local.KeepDaily, b.Local.KeepWeekly = "/mnt/backup/mailserver", 7, 4
	b.Drill.EveryDays, b.Drill.MaxAgeDays = 30, 45
	off := &model.Offsite{S3: model.S3{Bucket: "home-mail-backup", Region: "ap-northeast-1", ExpireDays: 35,
		AccessKeyID: secret("AWS_ACCESS_KEY_ID"), SecretAccessKey: secret("AWS_SECRET_ACCESS_KEY")}}
	off.S3.Lock.Mode, off.S3.Lock.Days = "COMPLIANCE", 30
	off.Terraform = model.Terraform{Environment: "production", MonthlyCostUSD: 10, AlertEmail: "alerts@partner.example",
		Tags: map[string]string{"Project": "mailserver-backup", "Owner": "admin"}}
	state := &off.Terraform.State
	state.Bucket, state.Key, state.Region, state.Lockfile = "terraform-state-bucket", "mailserver/s3-backup/terraform.tfstate", "ap-northeast-1", true
	b.Offsite = off
	return b
}

func monitoring(m *model.Monitoring) {
	m.Logs.ContainerDays, m.Logs.BackupDays, m.Logs.SyncDays, m.Logs.ScanDays = 7, 30, 30, 30
	m.Metrics.Port = 9090
	m.Metrics.BackupPort, m.Metrics.HealPort, m.Metrics.CertificatePort = 9091, 9092, 9093
	m.Alerts.Email = "alerts@partner.example"
	m.RestartsPerHour = 4
	m.ProbeMinutes, m.CertificateWarnDays = 15, 21
}
