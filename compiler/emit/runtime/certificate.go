package runtime

import (
	"github.com/mailplan/mailplan/compiler/model"
	"github.com/mailplan/mailplan/runtime/config"
)

const reloadScript = "scripts/reload-certificate"

// certificateFiles are the configuration and the unit of the process on the host that keeps the certificate.
func certificateFiles(s *model.Site) ([]model.File, error) {
	return process(s, "certificate", "host.tls", certificateUnit, s.Monitoring.Metrics.CertificatePort, &config.Config{Certificate: certificate(s)})
}

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

// certificateUnit is root, because the key belongs to the user of Dovecot's container, and because it has the engine run
// a command in both containers.
const certificateUnit = `
[Unit]
Description=mailplan certificate of the mail names
Wants=network-online.target
After=network-online.target docker.service
StartLimitIntervalSec=0

[Service]
ExecStart=@ROOT@/bin/mailpland certificate --config @ROOT@/config/runtime/certificate.json
Restart=always
RestartSec=30
CapabilityBoundingSet=CAP_CHOWN CAP_DAC_OVERRIDE CAP_FOWNER
NoNewPrivileges=yes
ProtectSystem=full
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectClock=yes
ProtectHostname=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
SystemCallArchitectures=native

[Install]
WantedBy=multi-user.target
`

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
