package nginx_test

import (
	"encoding/xml"
	"strings"
	"testing"

	"github.com/mailplan/mailplan/compiler/emit/emittest"
	"github.com/mailplan/mailplan/compiler/emit/nginx"
	"github.com/mailplan/mailplan/test/daemon"
)

func TestFiles(t *testing.T) {
	s := emittest.Site()
	files := emittest.Emit(t, nginx.Files, s)
	emittest.Holds(t, files, "config/nginx/nginx.conf", "set_real_ip_from 10.203.7.20/32;", "rate=20r/m;")
	emittest.Holds(t, files, "config/nginx/conf.d/webmail.conf", "server_name mail.example.com;", "client_max_body_size 20m;")
	emittest.Holds(t, files, "config/nginx/conf.d/discovery.conf", "autoconfig.example.com", "<hostname>imap.example.com</hostname>")

	s.Edge.Tunnel.Connectors = 2
	s.Containers.Roundcube.Image = "roundcube/roundcubemail:1.6.x-apache-nonroot"
	files = emittest.Emit(t, nginx.Files, s)
	emittest.Holds(t, files, "config/nginx/nginx.conf", "set_real_ip_from 10.203.7.0/24;")
	emittest.Holds(t, files, "config/nginx/conf.d/webmail.conf", "set $roundcube http://roundcube:8000;")
}

// TestNothingToTell: clients elsewhere learn nothing of ports that they cannot reach.
func TestNothingToTell(t *testing.T) {
	s := emittest.Site()
	s.Containers.Dovecot.Address = "127.0.0.1"
	s.Domains[0].MTASTS.Mode = "none"
	for _, f := range emittest.Emit(t, nginx.Files, s) {
		if strings.Contains(f.Path, "discovery") || strings.Contains(f.Path, "mta-sts") {
			t.Errorf("%s has no use", f.Path)
		}
	}
}

// serving asks a running nginx for paths of hosts and returns each answer, in order.
const serving = `
cp -a /etc/nginx.site/. /etc/nginx/
sed -i /resolver/d /etc/nginx/nginx.conf # nobody answers here
nginx >/dev/null 2>&1
for i in $(seq 50); do curl -sf 127.0.0.1/healthz >/dev/null && break; sleep 0.1; done
get() { curl -s -o /tmp/body -w '%{http_code} ' -H "Host: $1" $3 "127.0.0.1$2"; cat /tmp/body; printf '\0'; }
`

func TestServes(t *testing.T) {
	t.Parallel()
	s := emittest.Site()
	other := s.Domains[0]
	other.Name, other.Unicode, other.MTASTS.Mode = "example.net", "example.net", "testing"
	s.Domains = append(s.Domains, other)
	dir := emittest.Layout(t, emittest.Emit(t, nginx.Files, s), "config/nginx", nil)
	if _, err := daemon.Nginx(t, dir); err != nil {
		t.Fatalf("refused: %v", err)
	}
	tests := []struct {
		host, path, more string
		want             string
	}{
		{"mta-sts.example.com", "/.well-known/mta-sts.txt", "", "200 " + s.Domains[0].MTASTS.PolicyText()},
		{"mta-sts.example.net", "/.well-known/mta-sts.txt", "", "200 " + other.MTASTS.PolicyText()},
		{"mail.example.com", "/config/config.inc.php", "", "404"},
		{"mail.example.com", "/.git/config", "", "404"},
		{"mail.example.com", "/", "", "502"}, // no Roundcube here
		{"elsewhere.example", "/", "", "404"},
	}
	script := serving
	for _, tt := range tests {
		script += "get '" + tt.host + "' '" + tt.path + "' '" + tt.more + "'\n"
	}
	script += "get autoconfig.example.net /mail/config-v1.1.xml ''\n"
	script += "get autodiscover.example.com /Autodiscover/Autodiscover.xml '-d question'\n"
	script += "for i in $(seq 15); do get mail.example.com '/?_task=login' '-d a=b' >/dev/null; done\nget mail.example.com '/?_task=login' '-d a=b'\n"
	r := daemon.NewTrixieRoot(t)
	r.User("nginx", 101)
	r.Mount(dir, "/etc/nginx.site")
	result := r.Script(script)
	answers := strings.Split(strings.TrimSuffix(result.Stdout, "\x00"), "\x00")
	if len(answers) != len(tests)+3 {
		t.Fatalf("%d answers: %q\n%s %v", len(answers), answers, result.Stderr, result.Err)
	}
	for i, tt := range tests {
		if !strings.HasPrefix(answers[i], tt.want) {
			t.Errorf("%s%s: %q, want %q", tt.host, tt.path, answers[i], tt.want)
		}
	}
	clientConfig(t, answers[len(tests)])
	autodiscover(t, answers[len(tests)+1])
	if last := answers[len(tests)+2]; !strings.HasPrefix(last, "429") {
		t.Errorf("the 16th sign-in of a minute: %q, want 429", last)
	}
}

func clientConfig(t *testing.T, answer string) {
	t.Helper()
	var got struct {
		Domain   string `xml:"emailProvider>domain"`
		Incoming []struct {
			Type     string `xml:"type,attr"`
			Hostname string `xml:"hostname"`
			Port     int    `xml:"port"`
		} `xml:"emailProvider>incomingServer"`
		Outgoing []struct {
			Port int `xml:"port"`
		} `xml:"emailProvider>outgoingServer"`
	}
	if err := xml.Unmarshal([]byte(strings.TrimPrefix(answer, "200 ")), &got); err != nil {
		t.Fatalf("%v: %s", err, answer)
	}
	if got.Domain != "example.net" || len(got.Incoming) != 2 || got.Incoming[0].Port != 993 || len(got.Outgoing) != 2 {
		t.Errorf("client configuration: %+v", got)
	}
}

func autodiscover(t *testing.T, answer string) {
	t.Helper()
	var got struct {
		Protocols []struct {
			Type, Server string
			Port         int
		} `xml:"Response>Account>Protocol"`
	}
	if err := xml.Unmarshal([]byte(strings.TrimPrefix(answer, "200 ")), &got); err != nil {
		t.Fatalf("%v: %s", err, answer)
	}
	if len(got.Protocols) != 3 || got.Protocols[2].Server != "smtp.example.com" || got.Protocols[2].Port != 465 {
		t.Errorf("autodiscover: %+v", got)
	}
}
