// Package dovecot turns a site into Dovecot's whole configuration folder, in the language of 2.3 or of 2.4
// as the image needs: IMAP and POP3 over TLS, LMTP (RFC 2033) for the ingest, SASL for Postfix, ManageSieve
// (RFC 5804), accounts and quota from MariaDB, Sieve (RFC 5228) that sorts spam and teaches Rspamd. It must
// not know a user of the site: those are rows.
package dovecot

import (
	"embed"
	"errors"

	"github.com/mailplan/mailplan/compiler/model"
)

// vmail owns the mail in both series of images, and runs all of Dovecot 2.4.
const vmail = 1000

//go:embed files
var files embed.FS

// view is what the templates see. Addresses are those of containers.
type view struct {
	model.Dovecot
	Hostname       string // greets LMTP clients and stands in Message-IDs
	Postmaster     string
	MailRoot       string // where the mail volume is mounted
	SASL, LMTP     string // Dovecot's own address where Postfix is, and where the ingest is
	Webmail        string // Roundcube's address
	Ingest         string // mailserver-api's address where LMTP is
	Probes         bool
	Proxy          string // the tailnet container's address; empty without one
	ForwardPort    int
	AuthWorkers    int
	MaxConnections int
	ExpungeJunk    int // days
	ExpungeTrash   int
	Password       string
}

// Files emits config/dovecot.
func Files(s *model.Site) ([]model.File, error) {
	v, err := newView(s)
	if err != nil {
		return nil, err
	}
	r := renderer{site: s, view: v}
	if v.Version23() {
		r.render("dovecot-2.3.conf", "dovecot.conf", 0o644, 0)
		r.render("sql-2.3.conf", "dovecot-sql.conf.ext", 0o400, 0) // read before Dovecot gives up root
		r.render("sql-app-2.3.conf", "dovecot-sql-app.conf.ext", 0o400, 0)
		r.render("sql-used-2.3.conf", "dovecot-sql-used.conf.ext", 0o400, 0)
	} else {
		r.render("dovecot-2.4.conf", "dovecot.conf", 0o644, 0)
		r.render("sql-2.4.conf", "sql.conf", 0o400, vmail)
	}
	for _, script := range []string{"before", "vacation", "learn-ham", "learn-spam"} {
		r.render("sieve/"+script+".sieve", "sieve/"+script+".sieve", 0o644, 0)
	}
	if v.Probes {
		r.render("probe", "probe", 0o644, 0)
	}
	return r.out, r.err
}

func newView(s *model.Site) (view, error) {
	c := s.Containers.Dovecot
	v := view{
		Dovecot:        c,
		Hostname:       hostname(s),
		Postmaster:     "postmaster@" + domain(s),
		MailRoot:       s.MailRoot(),
		ForwardPort:    model.ForwardPort,
		AuthWorkers:    max(2, int(c.Memory)/4/64),
		MaxConnections: c.MaxConnectionsPerUser,
		ExpungeJunk:    c.ExpungeJunkDays,
		ExpungeTrash:   c.ExpungeTrashDays,
		Probes:         s.Monitoring.ProbeMinutes > 0,
		Password:       model.SecretMark(model.SecretDovecotDB),
	}
	err := errors.Join(
		address(s, &v.SASL, "dovecot", "auth"),
		address(s, &v.LMTP, "dovecot", "lmtp"),
		address(s, &v.Ingest, "mailserver-api", "lmtp"),
		address(s, &v.Webmail, "roundcube", "mail"),
	)
	if s.Tailnet != nil && s.Tailnet.Mode == "container" {
		err = errors.Join(err, address(s, &v.Proxy, "tailscale", "mail"))
	}
	return v, err
}

func address(s *model.Site, text *string, service, network string) error {
	a, err := s.ServiceAddress(service, network)
	*text = a.String()
	return err
}

func hostname(s *model.Site) string {
	if len(s.Host.TLS.Names) > 0 {
		return s.Host.TLS.Names[0]
	}
	return "localhost"
}

// domain is the first that is in use, to name the postmaster.
func domain(s *model.Site) string {
	for _, d := range s.Domains {
		if d.State == model.Active {
			return d.Name
		}
	}
	return hostname(s)
}
