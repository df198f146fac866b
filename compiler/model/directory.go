package model

import "io/fs"

// Directory is a folder of the host that the stack keeps data in. It must exist, with this owner, before
// the containers start: Docker would make it for root.
type Directory struct {
	Volume  string // of the compose project; empty where the folder is mounted by its path
	Path    string
	Service string // who keeps it
	UID     int
	GID     int
	Mode    fs.FileMode
	Purpose string
}

// mailplandUID is the user of mailpland's containers; nobody else has it.
const mailplandUID = 65532

// Directories are the folders of the site's data, by volume.
func (s *Site) Directories() []Directory {
	fast, bulk := s.Host.Storage.Fast, s.Host.Storage.Bulk
	list := []Directory{
		{"db_data", fast + "/mariadb", "mariadb", 999, 999, 0o700, "the database"},
		{"redis_data", fast + "/redis", "redis", 999, 1000, 0o700, "Bayes tokens, rates and history"},
		{"clamav_data", fast + "/clamav", "clamav", 100, 101, 0o755, "signatures"},
		{"rspamd_data", fast + "/rspamd", "rspamd", 11333, 11333, 0o700, "Rspamd's own state"},
		{"mail_data", bulk + "/mailboxes", "dovecot", 1000, 1000, 0o700, "the mailboxes"},
		{"postfix_spool", fast + "/postfix", "postfix", 0, 0, 0o755, "the queue"},
		{"mailpland_data", fast + "/mailpland", "mailserver-api", mailplandUID, mailplandUID, 0o700, "the ingest's ledger and spill"},
		s.ReportsDirectory(),
		{"", s.CertificateFolder(), "dovecot", 1000, 1000, 0o700, "certificate and key of the mail names"},
	}
	if s.Tailnet != nil && s.Tailnet.Mode == "container" {
		list = append(list, Directory{"tailscale_state", fast + "/tailscale", "tailscale", 0, 0, 0o700, "the node's identity in the tailnet"})
	}
	return list
}

// ReportsDirectory holds what the host says about itself, for the console to read.
func (s *Site) ReportsDirectory() Directory {
	return Directory{"reports", s.Host.Storage.Fast + "/reports", "usermgmt", 0, mailplandUID, 0o750, "what the host says, for the console"}
}

// HostDirectories are all folders that must be on the host: those of the data and that of the backups.
func (s *Site) HostDirectories() []Directory {
	return append(s.Directories(), Directory{Path: s.Backup.Local.Path, Service: "backup", Mode: 0o700, Purpose: "backups"})
}
