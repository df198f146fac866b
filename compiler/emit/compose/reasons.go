package compose

// explain says why of what surprises.
func (b *builder) explain() {
	for path, text := range map[string]string{
		"services": "Docker does nothing about an unhealthy container: mailpland on the host restarts it, unless what it needs is ill\n" +
			"itself (config/systemd/mailpland-heal.service). Nothing in here has the Docker socket.\n" +
			"Containers log to the journal, which forgets by age (config/journald); Docker's own files cannot.\n" +
			"Addresses are fixed because some services trust others by address; extra_hosts names the one network\n" +
			"in which a peer listens, where two have several in common.",
		"services/mariadb/user":     "The image would start as root only to come down to this user.",
		"services/mariadb/volumes":  "Scripts of docker-entrypoint-initdb.d run on an empty data folder only; mailplan runs them again itself.",
		"services/clamav/user":      "Unprivileged from the start: the folder of signatures must belong to this user already.",
		"services/rspamd/volumes":   "Keys and settings are read-only; only its own state is written.",
		"services/dovecot/tmpfs":    "Compiled sieve scripts lie apart from the read-only sources.",
		"services/dovecot/sysctls":  "Ports below 1024 without a capability; Docker's default since 20.10, said in case it is changed.",
		"services/postfix/sysctls":  "Ports below 1024 without a capability; Docker's default since 20.10, said in case it is changed.",
		"services/postfix/cap_add":  "Without FOWNER and KILL the queue's folders cannot be made; the image's start writes to its root, so it is not read-only.",
		"services/postfix/tmpfs":    "An /etc/postfix that outlives the container keeps an old relay password first in its map; this one is new at every start.",
		"services/nginx/volumes":    "No port is published: the tunnel comes from inside.",
		"services/cloudflared/user": "The image's own user; it has no shell, so the check is cloudflared itself.",
	} {
		b.reason(path, text)
	}
	if b.site.Containers.Dovecot.Version23() {
		b.reason("services/dovecot/cap_add", "Debian's Dovecot starts as root and gives every process its own user; this is what that takes.")
	} else {
		b.reason("services/dovecot/cap_add", "The image's login programs carry this capability as a file attribute and cannot be run when it is out of\n"+
			"bounds. No process gets it: no-new-privileges holds, and the configuration has no chroot.")
	}
	b.explainNetworks()
	if svc := b.out.Services["dovecot"]; len(svc.Ports) > 0 {
		b.reason("services/dovecot/ports", "Bound to one address each: Docker's own rules come before the host's firewall. The address must exist before\n"+
			"Docker starts; for a tailnet's, let docker.service start after tailscaled.service.")
	}
	if b.site.Edge.Tunnel.Connectors > 1 {
		b.reason("services/cloudflared/networks", "Several connectors share no fixed address.")
	}
	if b.tailnetContainer() {
		b.reason("services/tailscale/environment", "Userspace mode needs no device and no capability; clients' addresses reach the mail servers by the PROXY protocol.")
	}
}

func (b *builder) explainNetworks() {
	b.reason("networks", "Who shares no network cannot talk. Dynamic addresses come from the upper half of each subnet, fixed ones from the lower.")
	b.reason("networks/clients/driver_opts", "Published ports work, but nobody in here gets a way out.")
}
