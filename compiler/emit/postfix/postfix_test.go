package postfix_test

import (
	"strings"
	"testing"

	"github.com/mailplan/mailplan/compiler/emit/emittest"
	"github.com/mailplan/mailplan/compiler/emit/postfix"
	"github.com/mailplan/mailplan/compiler/model"
	"github.com/mailplan/mailplan/test/daemon"
)

func TestAccepted(t *testing.T) {
	variants := map[string]func(*model.Site){
		"usual": func(*model.Site) {},
		"implicit TLS to the relay": func(s *model.Site) {
			s.Relay = model.Relay{Host: "smtp.example.net", Port: 465, Username: "u", TLS: "encrypt", Password: s.Relay.Password}
			s.Tailnet.Mode = "container"
			s.Containers.Postfix.MaxMessageMiB = 150
		},
	}
	for name, change := range variants {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := emittest.Site()
			change(s)
			dir := emittest.Layout(t, emittest.Emit(t, postfix.Files, s), "config/postfix", nil)
			shown, err := daemon.Postfix(t, dir)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(shown, "milter_default_action = tempfail") {
				t.Errorf("Postfix does not run with our main.cf:\n%s", shown)
			}
		})
	}
}

func TestLines(t *testing.T) {
	files := emittest.Emit(t, postfix.Files, emittest.Site())
	emittest.Holds(t, files, "config/postfix/main.cf",
		"relayhost = [smtp.sendgrid.net]:587", "smtp_tls_security_level = secure", "mynetworks = 127.0.0.0/8",
		"smtpd_relay_restrictions = permit_sasl_authenticated, reject", "message_size_limit = 26214400",
		"maximal_queue_lifetime = 5d", "smtpd_recipient_limit = 100", "milter_default_action = tempfail")
	emittest.Holds(t, files, "config/postfix/sasl_passwd", "[smtp.sendgrid.net]:587 apikey:${secret:SENDGRID_API_KEY}")
	emittest.Holds(t, files, "config/postfix/mysql-sender-login.cf", "password = ${secret:POSTFIX_DB_PASSWORD}")
	emittest.Holds(t, files, "config/postfix/master.cf", "10.203.3.15:10025", "mynetworks=10.203.3.17/32", "mynetworks=10.203.2.14/32")
	for _, line := range strings.Split(emittest.Text(t, files, "config/postfix/master.cf"), "\n") {
		if fields := strings.Fields(line); len(fields) > 1 && fields[1] == "inet" && (fields[0] == "25" || fields[0] == "smtp") {
			t.Errorf("port 25 listens: %s", line)
		}
	}
}

func TestRefused(t *testing.T) {
	s := emittest.Site()
	s.Relay.TLS = "maybe"
	if _, err := postfix.Files(s); err == nil || !strings.Contains(err.Error(), "relay.tls") {
		t.Errorf("got %v", err)
	}
}
