package model

import (
	"slices"
	"strings"
)

// Secret is one entry of the inventory: a value that somebody must provide, and who uses it.
type Secret struct {
	Name       string
	Purpose    string
	Generated  bool     // mailplan can make it; else an outside party issues it
	MadeBy     string   // plane that makes it and can read it again, so that nobody has to provide it; empty for none
	RotateDays int      // days until the next rotation is due
	UsedBy     []string // services and planes
	Path       string   // the site path that needs it
}

// OfUser says whether it is the password of a user: there are as many as users, and whoever gets one must know it.
func (s Secret) OfUser() bool {
	return strings.HasPrefix(s.Path, "domains.") && slices.Contains(s.UsedBy, "accounts")
}

// Names of secrets that no field of the site names.
const (
	SecretMariaDBRoot     = "MYSQL_ROOT_PASSWORD"
	SecretRoundcubeDB     = "MYSQL_PASSWORD"
	SecretAccountsDB      = "USERMGMT_DB_PASSWORD"
	SecretDovecotDB       = "DOVECOT_DB_PASSWORD"
	SecretPostfixDB       = "POSTFIX_DB_PASSWORD"
	SecretPasswordDB      = "ROUNDCUBE_PASSWORD_DB_PASSWORD"
	SecretRoundcubeDES    = "ROUNDCUBE_DES_KEY"
	SecretRspamdPassword  = "RSPAMD_CONTROLLER_PASSWORD"
	SecretRedisPassword   = "REDIS_PASSWORD"
	SecretSRS             = "SRS_KEY"
	SecretConsoleSession  = "CONSOLE_SESSION_KEY"
	SecretFingerprints    = "ACCOUNTS_FINGERPRINT_KEY"
	SecretBackupSigning   = "BACKUP_SIGNING_KEY"
	SecretBackupDrill     = "BACKUP_DRILL_IDENTITY"
	SecretTailscaleAuth   = "TAILSCALE_AUTHKEY"
	rotatePassword        = 90
	rotateAPIKey          = 365
	rotateSigningMaterial = 365
)

// Inventory lists every secret the site needs, sorted by name.
func (s *Site) Inventory() []Secret {
	list := slices.Concat(s.stackSecrets(), s.hostSecrets(), s.edgeSecrets(), s.backupSecrets(), s.domainSecrets())
	smarthost := Secret{Name: s.Relay.Password.Secret, Purpose: "signs in at the smarthost", RotateDays: rotateAPIKey,
		UsedBy: []string{"postfix"}, Path: "relay.password"}
	if s.Relay.Provider == "sendgrid" {
		smarthost.UsedBy = append(smarthost.UsedBy, "relay") // its API takes the same key
	}
	if s.Monitoring.Alerts.Email != "" {
		smarthost.UsedBy = append(smarthost.UsedBy, "host") // Alertmanager sends its mail through it
	}
	list = append(list, smarthost)
	list = append(list, s.alsoSecrets(list)...)
	for i := range list {
		if rule, ok := s.Secrets.Names[list[i].Name]; ok && rule.RotateDays > 0 {
			list[i].RotateDays = rule.RotateDays
		}
	}
	slices.SortStableFunc(list, func(a, b Secret) int { return strings.Compare(a.Name, b.Name) })
	return mergeSecrets(list)
}

// mergeSecrets joins the users of a secret that several places name.
func mergeSecrets(sorted []Secret) []Secret {
	var out []Secret
	for _, s := range sorted {
		if n := len(out); n > 0 && out[n-1].Name == s.Name {
			out[n-1].UsedBy = append(out[n-1].UsedBy, s.UsedBy...)
			continue
		}
		out = append(out, s)
	}
	return out
}

func (s *Site) stackSecrets() []Secret {
	made := func(name, purpose, path string, usedBy ...string) Secret {
		return Secret{Name: name, Purpose: purpose, Generated: true, RotateDays: rotatePassword, UsedBy: usedBy, Path: path}
	}
	list := []Secret{
		made(SecretMariaDBRoot, "root of the database, for set-up and backups only", "containers.mariadb", "mariadb"),
		made(SecretRoundcubeDB, "Roundcube's own tables", "containers.roundcube", "mariadb", "roundcube"),
		made(SecretAccountsDB, "writes domains, users and aliases", "containers.usermgmt", "mariadb", "usermgmt"),
		made(SecretDovecotDB, "reads accounts for sign-in", "containers.dovecot", "mariadb", "dovecot"),
		made(SecretPostfixDB, "reads who may send as whom", "containers.postfix", "mariadb", "postfix"),
		made(SecretPasswordDB, "lets webmail users change their password, that column only", "containers.roundcube", "mariadb", "roundcube"),
		made(SecretRoundcubeDES, "encrypts webmail sessions", "containers.roundcube", "roundcube"),
		made(SecretRspamdPassword, "teaches Rspamd and opens its controller", "containers.rspamd", "rspamd", "dovecot"),
		made(SecretRedisPassword, "Rspamd's store", "containers.redis", "redis", "rspamd"),
		made(SecretSRS, "signs rewritten senders of forwarded mail", "domains", "mailserver-api"),
		made(SecretConsoleSession, "signs console sessions", "containers.usermgmt", "usermgmt"),
		{Name: SecretFingerprints, Purpose: "tells passwords that Git sets apart without telling them", Generated: true,
			RotateDays: rotateSigningMaterial, UsedBy: []string{"accounts"}, Path: "domains"},
	}
	if s.Tailnet != nil {
		list = append(list, Secret{Name: s.Tailnet.OAuth.Secret, Purpose: "writes the tailnet policy", RotateDays: rotateAPIKey,
			UsedBy: []string{"tailnet"}, Path: "tailnet.oauth"})
		if s.Tailnet.Mode == "container" {
			list = append(list, Secret{Name: SecretTailscaleAuth, Purpose: "joins the tailnet at the first start", RotateDays: rotatePassword,
				UsedBy: []string{"tailscale"}, Path: "tailnet.mode"})
		}
	}
	return list
}

func (s *Site) hostSecrets() []Secret {
	if !s.Host.TLS.ACME() {
		return nil
	}
	return []Secret{{Name: s.Host.TLS.Token.Secret, Purpose: "proves the certificate's names in DNS", RotateDays: rotateAPIKey,
		UsedBy: []string{"host"}, Path: "host.tls.token"}}
}

func (s *Site) edgeSecrets() []Secret {
	list := []Secret{
		{Name: s.Edge.Token.Secret, Purpose: "Cloudflare API", RotateDays: rotateAPIKey, UsedBy: []string{"edge"}, Path: "edge.token"},
		{Name: s.Edge.Tunnel.Token.Secret, Purpose: "lets cloudflared connect", MadeBy: "edge", RotateDays: rotateAPIKey, UsedBy: []string{"cloudflared"}, Path: "edge.tunnel.token"},
		{Name: s.Edge.Ingest.Token.Secret, Purpose: "the Worker's bearer token", Generated: true, RotateDays: rotatePassword, UsedBy: []string{"mailserver-api", "edge"}, Path: "edge.ingest.token"},
		{Name: s.Edge.Worker.DigestKey.Secret, Purpose: "keys the Worker's recipient digests", Generated: true, RotateDays: rotateSigningMaterial, UsedBy: []string{"edge"}, Path: "edge.worker.digestKey"},
	}
	if s.Edge.Ingest.Signed {
		list = append(list, Secret{Name: s.Edge.Ingest.SigningKey.Secret, Purpose: "signs the Worker's requests", Generated: true,
			RotateDays: rotatePassword, UsedBy: []string{"mailserver-api", "edge"}, Path: "edge.ingest.signingKey"})
	}
	return list
}

func (s *Site) backupSecrets() []Secret {
	list := []Secret{
		{Name: SecretBackupSigning, Purpose: "signs backup manifests", Generated: true, RotateDays: rotateSigningMaterial,
			UsedBy: []string{"host"}, Path: "backup"},
		{Name: SecretBackupDrill, Purpose: "age identity with which drills open backups", Generated: true, RotateDays: rotateSigningMaterial,
			UsedBy: []string{"host"}, Path: "backup.drill"},
	}
	if s.Backup.Offsite != nil {
		s3 := s.Backup.Offsite.S3
		for _, ref := range []struct{ name, field string }{{s3.AccessKeyID.Secret, "accessKeyID"}, {s3.SecretAccessKey.Secret, "secretAccessKey"}} {
			list = append(list, Secret{Name: ref.name, Purpose: "writes off-site copies", RotateDays: rotatePassword,
				UsedBy: []string{"host"}, Path: "backup.offsite.s3." + ref.field})
		}
	}
	if s.Monitoring.Alerts.Webhook != nil {
		hook := Secret{Name: s.Monitoring.Alerts.Webhook.Secret, Purpose: "URL that Alertmanager calls with alerts", RotateDays: rotateAPIKey,
			UsedBy: []string{"host"}, Path: "monitoring.alerts.webhook"}
		if s.Edge.Spool.Enabled {
			hook.Purpose, hook.UsedBy = hook.Purpose+", and the Worker with dead letters", append(hook.UsedBy, "edge")
		}
		list = append(list, hook)
	}
	return list
}

func (s *Site) domainSecrets() []Secret {
	var list []Secret
	for _, d := range s.Domains {
		for _, sel := range d.Selectors {
			if sel.State == Revoked {
				continue
			}
			list = append(list, Secret{Name: sel.Key.Secret, Purpose: "DKIM key " + sel.Name + " of " + d.Name, Generated: true,
				RotateDays: rotateSigningMaterial, UsedBy: []string{"rspamd"}, Path: d.Path() + ".dkim.selectors." + Label(sel.Name)})
		}
		for _, u := range d.Users {
			if !u.Password.Self() && u.SignsIn() {
				list = append(list, Secret{Name: u.Password.Secret, Purpose: "password of " + u.Address(), Generated: true,
					RotateDays: rotateSigningMaterial, UsedBy: []string{"accounts"}, Path: u.Path(d) + ".password"})
			}
		}
	}
	return list
}
