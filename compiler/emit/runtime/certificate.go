package runtime

import (
	"github.com/mailplan/mailplan/compiler/model"
	"github.com/mailplan/mailplan/runtime/config"
)

const reloadScript = "scripts/reload-certificate"

// certificate is kept by the executor on the host, which alone reaches both servers.
func certificate(s *model.Site) *config.Certificate {
	c := &config.Certificate{
		Names:    s.Host.TLS.Names,
		Folder:   s.CertificateFolder(),
		State:    s.Host.Storage.Fast + "/certificate-state", // no container sees the account's key
		WarnDays: s.Monitoring.CertificateWarnDays,
		Reload:   s.Host.Root + "/" + reloadScript,
	}
	for _, d := range s.Directories() {
		if d.Path == c.Folder {
			c.UID, c.GID = d.UID, d.GID
		}
	}
	if s.Host.TLS.ACME() {
		c.ACME = &config.ACME{Directory: s.Host.TLS.Directory, Email: s.Host.TLS.Email, Mark: "mailplan-acme " + s.Name,
			Zones: s.ProvingZones(), TokenFile: secretFile(s, s.Host.TLS.Token.Secret)}
	}
	return c
}

// reloadProgram leaves sessions alone: both servers go on with those they have and give new ones the new certificate.
const reloadProgram = `# Has Dovecot and Postfix read the certificate again. Sessions go on; a service that does not run reads it when it starts.
set -u
compose() { docker compose --project-directory @ROOT@ "$@"; }
again() {
	service=$1
	shift
	running=$(compose ps --quiet --status running "$service") || return 1
	[ -z "$running" ] || compose exec -T "$service" "$@"
}
failed=0
again dovecot doveadm reload || failed=1
again postfix postfix reload || failed=1
exit $failed
`
