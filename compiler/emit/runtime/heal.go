package runtime

import (
	"net"
	"slices"

	"github.com/mailplan/mailplan/compiler/model"
	"github.com/mailplan/mailplan/runtime/config"
)

// healer is the configuration and the unit of the process on the host that restarts unhealthy services.
func healer(s *model.Site) ([]model.File, error) {
	clamd, err := s.ServiceAddress("clamav", "av")
	if err != nil {
		return nil, err
	}
	disks := []string{s.Host.Root, s.Host.Storage.Fast, s.Host.Storage.Bulk, s.Backup.Local.Path}
	slices.Sort(disks)
	return process(s, "heal", "monitoring", healerUnit, s.Monitoring.Metrics.HealPort, &config.Config{
		Heal: &config.Heal{Project: s.Name, Socket: "/run/docker.sock", RestartsPerHour: s.Monitoring.RestartsPerHour,
			Disks: slices.Compact(disks), Queue: "postfix", Signatures: net.JoinHostPort(clamd.String(), "3310")},
	})
}

// healerUnit gives the process a user of its own that can reach the Docker socket, and nothing else: whoever has that socket
// can become root, so it reads no secret, no mail, and takes nothing from outside but questions for its metrics.
const healerUnit = `
[Unit]
Description=mailplan restarts unhealthy services
After=docker.service
# It starts again whatever happens; without it nobody restarts a service that hangs.
StartLimitIntervalSec=0

[Service]
ExecStart=@ROOT@/bin/mailpland heal --config @ROOT@/config/runtime/heal.json
Restart=always
RestartSec=5
DynamicUser=yes
SupplementaryGroups=docker
CapabilityBoundingSet=
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectClock=yes
ProtectHostname=yes
ProtectProc=invisible
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
SystemCallFilter=@system-service
SystemCallArchitectures=native
MemoryMax=128M
# When memory runs out, whoever restarts the others goes last.
OOMScoreAdjust=-900

[Install]
WantedBy=multi-user.target
`
