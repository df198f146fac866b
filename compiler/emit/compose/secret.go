package compose

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"

	"github.com/mailplan/mailplan/compiler/model"
)

// mount is one secret as a file in a container. Compose mounts such files as they are on the host, so
// the file's owner must be whoever reads it.
type mount struct {
	secret string
	target string // below /run/secrets
	uid    int
}

// mailpland is the user of mailpland's containers.
const mailpland = 65532

// secrets decides which service sees which secret as a file. Those that stand in a service's own
// configuration are not among them.
func (b *builder) secrets() {
	b.give("mariadb", 999, model.SecretMariaDBRoot, model.SecretRoundcubeDB, model.SecretAccountsDB,
		model.SecretDovecotDB, model.SecretPostfixDB, model.SecretPasswordDB)
	b.give("redis", 999, model.SecretRedisPassword)
	for _, n := range b.site.Accepted(model.SecretRspamdPassword) { // where mailplan-learn looks
		b.mounts["dovecot"] = append(b.mounts["dovecot"],
			mount{n, "rspamd-controller" + strings.TrimPrefix(n, model.SecretRspamdPassword), 1000})
	}
	b.mounts["roundcube"] = []mount{
		{model.SecretRoundcubeDB, "roundcube_db_password", b.roundcubeUser()},
		{model.SecretRoundcubeDES, "roundcube_des_key", b.roundcubeUser()},
	}
	b.give("mailserver-api", mailpland, b.site.Edge.Ingest.Token.Secret, model.SecretSRS)
	if b.site.Edge.Ingest.Signed {
		b.give("mailserver-api", mailpland, b.site.Edge.Ingest.SigningKey.Secret)
	}
	b.give("usermgmt", mailpland, model.SecretAccountsDB, model.SecretConsoleSession)
	b.give("cloudflared", 65532, b.site.Edge.Tunnel.Token.Secret)
	if b.tailnetContainer() {
		b.give("tailscale", 0, model.SecretTailscaleAuth)
	}
	for _, name := range []string{model.SecretBackupSigning, model.SecretBackupDrill} { // in one file each, whatever else is good
		b.mounts[executor] = append(b.mounts[executor], mount{name, name, 0})
	}
	if off := b.site.Backup.Offsite; off != nil {
		b.give(executor, 0, off.S3.AccessKeyID.Secret, off.S3.SecretAccessKey.Secret)
	}
	if tls := b.site.Host.TLS; tls.ACME() {
		b.give(executor, 0, tls.Token.Secret)
	}
}

// executor stands for mailpland on the host, which makes the backups and keeps the certificate: its secrets are in no container.
const executor = "host"

func (b *builder) give(service string, uid int, names ...string) {
	for _, name := range names {
		for _, n := range b.site.Accepted(name) {
			b.mounts[service] = append(b.mounts[service], mount{n, n, uid})
		}
	}
}

// readers calls f for every service that reads secrets as files, in start order, and for the host.
func (b *builder) readers(f func(service string, m mount)) {
	each := func(service string) {
		for _, m := range b.mounts[service] {
			f(service, m)
		}
	}
	b.site.Each(func(service string, _ model.Container) { each(service) })
	each(executor)
}

// whole are the services that see all of their secrets by one folder. A file that is mounted by itself stays the one that
// it was when the container began; in a folder a new value, or a second one, is seen at once, so that these can rotate
// while the service runs.
var whole = []string{"mariadb", "redis", "dovecot", "roundcube"}

// mountSecrets gives a service its files.
func (b *builder) mountSecrets(service string, svc *types.ServiceConfig) {
	if slices.Contains(whole, service) {
		svc.Volumes = append(svc.Volumes, bind("./secrets/"+service, "/run/secrets", true))
		return
	}
	for _, m := range b.mounts[service] {
		key, path := b.place(service, m)
		b.out.Secrets[key] = types.SecretConfig{File: "./" + path}
		svc.Secrets = append(svc.Secrets, types.ServiceSecretConfig{Source: key, Target: "/run/secrets/" + m.target})
	}
}

var (
	unfit    = regexp.MustCompile(`[^A-Za-z0-9._-]`)
	variable = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
)

// place is where a service's copy of a secret lies: secrets/NAME for the first reader, and below the
// service's name for one of another user, because one file has one owner, or for one with a folder of its own.
func (b *builder) place(service string, m mount) (key, path string) {
	if slices.Contains(whole, service) {
		return "", "secrets/" + service + "/" + m.target
	}
	name := m.secret
	if first := b.firstReader(m.secret); first != m.uid {
		name = service + "/" + m.secret
	}
	return unfit.ReplaceAllString(name, "-"), "secrets/" + name
}

// firstReader is the user of the first service in start order that reads the secret.
func (b *builder) firstReader(secret string) int {
	uid := -1
	b.readers(func(service string, m mount) {
		if uid < 0 && m.secret == secret && !slices.Contains(whole, service) {
			uid = m.uid
		}
	})
	return uid
}

// secretFiles are the files of all those mounts, one per user, sorted by path.
func (b *builder) secretFiles() []model.File {
	byPath := map[string]model.File{}
	b.readers(func(service string, m mount) {
		_, path := b.place(service, m)
		f := byPath[path]
		f.Path, f.Mode, f.UID, f.GID = model.ProjectDir+"/"+path, 0o400, m.uid, m.uid
		f.Content, f.From = b.content(m.secret), "secrets.names."+model.Label(m.secret)
		f.Reads = append(f.Reads, service)
		byPath[path] = f
	})
	out := make([]model.File, 0, len(byPath))
	for _, f := range byPath {
		out = append(out, f)
	}
	slices.SortFunc(out, func(a, b model.File) int { return strings.Compare(a.Path, b.Path) })
	return out
}

// content is what a file of a secret holds: its value, and of the identity that opens backups the last one too, a line each,
// as long as there are backups that were made for it.
func (b *builder) content(secret string) []byte {
	names := []string{secret}
	if secret == model.SecretBackupDrill {
		names = b.site.Accepted(secret)
	}
	var marks []string
	for _, n := range names {
		marks = append(marks, model.SecretMark(n))
	}
	return []byte(strings.Join(marks, "\n"))
}

// environment is .env with the five names of the original design, for those who type commands on the host.
// No container gets them: they see files.
func environment(s *model.Site) model.File {
	var text strings.Builder
	text.WriteString(head(s) + "# For commands typed on this host; no container reads this file.\n")
	for _, v := range [][2]string{
		{"MYSQL_ROOT_PASSWORD", model.SecretMariaDBRoot},
		{"MYSQL_PASSWORD", model.SecretRoundcubeDB},
		{"USERMGMT_DB_PASSWORD", model.SecretAccountsDB},
		{"SENDGRID_API_KEY", s.Relay.Password.Secret},
		{"MAILSERVER_API_TOKEN", s.Edge.Ingest.Token.Secret},
	} {
		fmt.Fprintf(&text, "%s='%s'\n", v[0], model.SecretMark(v[1]))
	}
	return model.File{Path: model.ProjectDir + "/.env", Mode: 0o600, Content: []byte(text.String()), From: "secrets"}
}

// environmentExample lists the inventory for a reader, without a value. Passwords of users are not among
// them: there are as many as users, and the accounts file names them.
func environmentExample(s *model.Site) model.File {
	var text strings.Builder
	text.WriteString(head(s) + "# Every secret of the site but its users' passwords. Values belong into " + s.Secrets.File + ", which mailplan decrypts when it\n" +
		"# applies; none of them is read from here.\n")
	for _, secret := range s.Inventory() {
		if secret.OfUser() {
			continue
		}
		source := "issued outside"
		switch {
		case secret.Generated:
			source = "made by mailplan"
		case secret.MadeBy != "":
			source = "read from the " + secret.MadeBy + " by apply"
		}
		line := secret.Name + "="
		if !variable.MatchString(secret.Name) {
			line = "#" + line // a name that no variable can have
		}
		fmt.Fprintf(&text, "\n# %s (%s; rotated every %d days; for %s)\n%s\n", secret.Purpose, source, secret.RotateDays,
			strings.Join(secret.UsedBy, ", "), line)
	}
	return model.File{Path: model.ProjectDir + "/.env.example", Mode: 0o644, Content: []byte(text.String()), From: "secrets"}
}
