package operations

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mailplan/mailplan/compiler/model"
)

// view is what the guide sees.
type view struct {
	*model.Site
	Services      []service
	CPUs          float64
	Memory        model.Memory
	Ports         []port
	WebNames      []webName
	Networks      []model.Network
	Folders       []model.Directory
	Secrets       []secret
	UserSecrets   int
	Domains       []domain
	AWS           bool // the off-site bucket is Terraform's
	IMAP, SMTP    string
	KeepOffsite   int // days for which a copy is there
	FirstUser     string
	TailscaleHost bool
}

// service is one row of the table of services.
type service struct {
	Name, Image, Role, Check string
	CPUs                     float64
	Memory                   model.Memory
	Interval, Grace          string
}

// about says what a service does and how it is asked whether it is well.
var about = map[string][2]string{
	"mariadb":        {"accounts, aliases, webmail's tables", "a connection, and InnoDB up"},
	"redis":          {"what Rspamd has learned", "PING with the password"},
	"clamav":         {"looks for malware", "it finds the harmless test file"},
	"rspamd":         {"judges inbound mail, signs outbound", "GET /ping of scans and controller, and the milter's greeting"},
	"dovecot":        {"mailboxes: IMAP, POP3, LMTP, sieve", "LMTP knows from the database that a user does not exist, and IMAP greets"},
	"postfix":        {"takes submissions, hands them to the relay", "STARTTLS and AUTH on 587, and a new process when one is asked for"},
	"roundcube":      {"webmail", "its sign-in page"},
	"mailserver-api": {"takes inbound mail from the Worker", "GET /ready: ledger, Rspamd and Dovecot"},
	"usermgmt":       {"console", "GET /ready: the database"},
	"nginx":          {"the door for web names", "webmail's sign-in page"},
	"cloudflared":    {"the tunnel's near end", "its connection to the edge"},
	"tailscale":      {"the tailnet's way in", "GET /healthz"},
}

// port is one that listens on an address of the host.
type port struct {
	Address  string
	Port     int
	What, To string
}

// webName is one name behind the tunnel.
type webName struct{ Name, What, To string }

// secret is one row of the inventory.
type secret struct {
	model.Secret
	Users string
	Due   string
}

// domain is one row of the table of domains.
type domain struct {
	Name, Unicode, State, CatchAll, Selector, DMARC string
	Users, Aliases                                  int
}

func newView(s *model.Site) (view, error) {
	networks, err := s.Networks()
	if err != nil {
		return view{}, err
	}
	v := view{Site: s, Networks: networks, Folders: s.Directories(), IMAP: s.ClientName("imap."), SMTP: s.ClientName("smtp."),
		TailscaleHost: s.Tailnet != nil && s.Tailnet.Mode == "host"}
	s.Each(v.service)
	v.present()
	v.ports()
	v.webNames()
	v.secrets()
	v.domains()
	if off := s.Backup.Offsite; off != nil {
		v.AWS = off.S3.Endpoint == ""
	}
	return v, nil
}

func (v *view) service(name string, c model.Container) {
	row := service{Name: name, Image: c.Reference(), CPUs: c.CPUs, Memory: c.Memory,
		Role: about[name][0], Check: about[name][1], Interval: "30s", Grace: "40s"}
	switch name {
	case "clamav":
		row.Interval, row.Grace = "1m", "6m"
	case "rspamd":
		row.Grace = "1m"
	}
	if row.Role == "" {
		row.Role, row.Check = "the site's own", "what the site declares"
	}
	row.Interval = cmp.Or(c.Health.Interval, row.Interval)
	row.Grace = cmp.Or(c.Health.StartPeriod, row.Grace)
	v.Services = append(v.Services, row)
	v.CPUs += c.CPUs
	v.Memory += c.Memory
}

func (v *view) ports() {
	add := func(address string, n int, what, to string) {
		if n != 0 && address != "" {
			v.Ports = append(v.Ports, port{address, n, what, to})
		}
	}
	dovecot, postfix := v.Containers.Dovecot, v.Containers.Postfix
	mail := func(address string) string { return address }
	if v.Tailnet != nil && v.Tailnet.Mode == "container" {
		mail = func(string) string { return v.Tailnet.Address }
	}
	add(mail(postfix.Address), postfix.Submissions, "submissions, TLS from the start", "postfix")
	add(mail(postfix.Address), postfix.Submission, "submission, STARTTLS", "postfix")
	add(mail(dovecot.Address), dovecot.IMAPS, "IMAP, TLS from the start", "dovecot")
	add(mail(dovecot.Address), dovecot.POP3S, "POP3, TLS from the start", "dovecot")
	add(v.Monitoring.Metrics.Address, v.Monitoring.Metrics.Port, "metrics", "mailserver-api")
	add(v.ExecutorAddress(), v.Monitoring.Metrics.BackupPort, "metrics of backups", "mailpland on the host")
	add(v.ExecutorAddress(), v.Monitoring.Metrics.HealPort, "metrics of services and disks", "mailpland on the host")
	add(v.ExecutorAddress(), v.Monitoring.Metrics.CertificatePort, "metrics of the certificate", "mailpland on the host")
	for _, own := range v.Containers.Own {
		for _, p := range own.Publish {
			add(p.Address, p.Port, "the site's own", own.Name)
		}
	}
}

func (v *view) webNames() {
	add := func(name, what, to string) {
		if name != "" {
			v.WebNames = append(v.WebNames, webName{name, what, to})
		}
	}
	h := v.Edge.Tunnel.Hostnames
	add(h.Webmail, "webmail", "nginx, then roundcube")
	add(h.Ingest, "inbound mail from the Worker", "mailserver-api")
	add(h.Console, "console", "usermgmt")
	for _, own := range v.Containers.Own {
		add(own.Hostname, "the site's own", own.Name)
	}
}

func (v *view) secrets() {
	for _, s := range v.Inventory() {
		if s.OfUser() {
			v.UserSecrets++
			continue
		}
		v.Secrets = append(v.Secrets, secret{Secret: s, Users: strings.Join(s.UsedBy, ", "), Due: due(s, v.Site.Secrets.Names[s.Name].Rotated)})
	}
}

// due is the day of the next rotation, where the site says when the last one was.
func due(s model.Secret, rotated string) string {
	last, err := time.Parse(time.DateOnly, rotated)
	if err != nil {
		return "not recorded"
	}
	return last.AddDate(0, 0, s.RotateDays).Format(time.DateOnly)
}

func (v *view) domains() {
	for _, d := range v.Site.Domains {
		row := domain{Name: d.Name, State: string(d.State), Users: len(d.Users), Aliases: len(d.Aliases),
			CatchAll: cmp.Or(d.CatchAll, "refused"), Selector: "none: unsigned", DMARC: d.DMARC.Policy}
		if d.Unicode != d.Name {
			row.Unicode = d.Unicode
		}
		if sel, ok := d.Signing(); ok {
			row.Selector = sel.Name
		}
		v.Domains = append(v.Domains, row)
		if v.FirstUser == "" && d.State == model.Active && len(d.Users) > 0 {
			v.FirstUser = d.Users[0].Address()
		}
	}
	v.FirstUser = cmp.Or(v.FirstUser, "user@domain")
}

// BackupLogDays is how long the executor's journal is kept: what it does all goes into one.
func (v view) BackupLogDays() int {
	l := v.Monitoring.Logs
	return max(l.BackupDays, l.SyncDays, l.ScanDays)
}

// present leaves out services that the site does not run.
func (v *view) present() {
	for i, n := range v.Networks {
		v.Networks[i].Members = slices.DeleteFunc(n.Members, func(m string) bool {
			return !slices.ContainsFunc(v.Services, func(s service) bool { return s.Name == m })
		})
	}
}

// Days writes a number of days.
func (v view) Days(n int) string {
	if n == 1 {
		return "1 day"
	}
	return fmt.Sprintf("%d days", n)
}
