package dovecot_test

import (
	"strings"
	"testing"

	"github.com/mailplan/mailplan/compiler/emit/dovecot"
	"github.com/mailplan/mailplan/compiler/emit/emittest"
	"github.com/mailplan/mailplan/compiler/model"
	"github.com/mailplan/mailplan/test/daemon"
)

func site(image string) *model.Site {
	s := emittest.Site()
	s.Containers.Dovecot.Image = image
	return s
}

var series = []struct {
	image string
	check func(testing.TB, string, ...daemon.File) (string, error)
}{
	{"dovecot/dovecot:2.3.21", daemon.Dovecot23},
	{"dovecot/dovecot:2.4.5", daemon.Dovecot24},
}

// TestAccepted starts the real servers with variants of the site.
func TestAccepted(t *testing.T) {
	variants := map[string]func(*model.Site){
		"plain":   func(*model.Site) {},
		"no pop3": func(s *model.Site) { s.Containers.Dovecot.POP3S = 0; s.Containers.Dovecot.ExpungeJunkDays = 0 },
		"tailnet container": func(s *model.Site) {
			s.Tailnet.Mode = "container"
			s.Host.Subnet = "172.30.224.0/19"
		},
	}
	for _, one := range series {
		for name, change := range variants {
			t.Run(one.image+" "+name, func(t *testing.T) {
				t.Parallel()
				s := site(one.image)
				change(s)
				dir := emittest.Layout(t, emittest.Emit(t, dovecot.Files, s), "config/dovecot", nil)
				tls := daemon.TLS(t, "/etc/mailplan/tls/fullchain.pem", "/etc/mailplan/tls/privkey.pem")
				shown, err := one.check(t, dir, tls...)
				if err != nil {
					t.Fatal(err)
				}
				if pop3 := strings.Contains(shown, "port = 995"); pop3 != (s.Containers.Dovecot.POP3S != 0) {
					t.Errorf("POP3S listens: %v", pop3)
				}
				for _, wrong := range []string{"static", "port = 143", "port = 110", "causes = COPY APPEND"} {
					if strings.Contains(shown, wrong) {
						t.Errorf("shown settings hold %q", wrong)
					}
				}
			})
		}
	}
}

func TestLanguages(t *testing.T) {
	files := emittest.Emit(t, dovecot.Files, site("dovecot/dovecot:2.4.5"))
	emittest.Holds(t, files, "config/dovecot/dovecot.conf", "dovecot_config_version = 2.4.1", "/srv/vmail/",
		"listen = 10.203.6.14 127.0.0.1", "login_trusted_networks = 10.203.8.16/32", "postmaster@example.com")
	emittest.Holds(t, files, "config/dovecot/sql.conf", "password = ${secret:DOVECOT_DB_PASSWORD}")
	first, _, _ := strings.Cut(strings.ReplaceAll(emittest.Text(t, files, "config/dovecot/dovecot.conf"), "#", ""), "dovecot_config_version")
	if strings.Contains(first, " = ") || strings.Contains(first, "{") {
		t.Errorf("a setting stands before the version: %q", first)
	}

	files = emittest.Emit(t, dovecot.Files, site("dovecot/dovecot:2.3.21"))
	emittest.Holds(t, files, "config/dovecot/dovecot.conf", "/srv/mail/", "address = 10.203.2.14")
	emittest.Holds(t, files, "config/dovecot/dovecot-sql.conf.ext", "password=${secret:DOVECOT_DB_PASSWORD}")
}

func TestSubnetRefused(t *testing.T) {
	s := site("dovecot/dovecot:2.4.5")
	s.Host.Subnet = "10.0.0.0/24"
	if _, err := dovecot.Files(s); err == nil || !strings.Contains(err.Error(), "host.subnet 10.0.0.0/24") {
		t.Errorf("got %v", err)
	}
}
