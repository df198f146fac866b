package postfix_test

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/smtp"
	"net/textproto"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/mailplan/mailplan/compiler/emit/emittest"
	"github.com/mailplan/mailplan/compiler/emit/postfix"
	"github.com/mailplan/mailplan/test/daemon"
)

// submissionRoot starts the emitted Postfix with a real SASL server behind it, and this test's own binary
// as the client. The map of senders is a text file here (the SQL is tested apart), and there is no Rspamd.
const submissionRoot = `
gzip -dc /client.gz >/client
chmod 755 /client
dovecot >&2
nc -lkuU /dev/log >/tmp/log &
bash /etc/mailplan/postfix/10-mailplan.sh
postconf -e smtpd_milters= smtpd_sender_login_maps=texthash:/etc/postfix/senders
postfix start >/dev/null 2>&1
sleep 0.3
MAILPLAN_INSIDE=1 /client -test.run '^TestSubmission$' -test.v && exit 0
cat /tmp/log
exit 1
`

const saslServer = `dovecot_config_version = 2.4.1
dovecot_storage_version = 2.4.0
protocols =
log_path = /dev/stderr
ssl = no
auth_allow_cleartext = yes
auth_mechanisms = plain login
passdb passwd-file {
  passwd_file_path = /etc/dovecot/passwd
}
service auth {
  inet_listener sasl {
    listen = 127.0.0.1
    port = 12345
  }
}
`

func TestSubmission(t *testing.T) {
	if os.Getenv("MAILPLAN_INSIDE") != "" {
		inside(t)
		return
	}
	s := emittest.Site()
	s.Host.Subnet = "127.16.0.0/20" // so that the containers' addresses exist
	s.Tailnet.Mode = "container"
	r := daemon.NewTrixieRoot(t)
	r.Mount(emittest.Layout(t, emittest.Emit(t, postfix.Files, s), "config/postfix", nil), "/etc/mailplan/postfix")
	r.Mount(daemon.Self(t), "/client.gz")
	r.Write("/etc/dovecot/dovecot.conf", saslServer, 0o644)
	r.Write("/etc/dovecot/passwd", "alice@example.com:{PLAIN}right\n", 0o644)
	r.Write("/etc/postfix/senders", "alice@example.com alice@example.com\nsales@example.com alice@example.com\nbob@example.com bob@example.com\n", 0o644)
	r.Hosts("dovecot", "rspamd", "mariadb")
	result := r.Script(submissionRoot)
	if result.Err != nil {
		t.Errorf("%v\n%s\n%s", result.Err, result.Stdout, result.Stderr)
	}
}

// inside is the client, beside the servers.
func inside(t *testing.T) {
	serveDNS(t)
	alice := smtp.PlainAuth("", "alice@example.com", "right", "127.0.0.1")
	wrong := smtp.PlainAuth("", "alice@example.com", "wrong", "127.0.0.1")
	tests := []struct {
		name string
		port int
		auth smtp.Auth
		from string
		want int // of the reply that decides
	}{
		{"no sign-in", 587, nil, "alice@example.com", 553},
		{"wrong password", 587, wrong, "alice@example.com", 535},
		{"own address", 587, alice, "alice@example.com", 250},
		{"own address over 465", 465, alice, "alice@example.com", 250},
		{"own address with a detail", 587, alice, "alice+news@example.com", 250},
		{"own address in upper case", 587, alice, "Alice@Example.com", 250},
		{"own alias", 587, alice, "sales@example.com", 250},
		{"another's address", 587, alice, "bob@example.com", 553},
		{"an unknown address of ours", 587, alice, "nobody@example.com", 553},
		{"a foreign address", 587, alice, "x@elsewhere.test", 553},
		{"the null sender", 587, alice, "", 554},
	}
	for _, tt := range tests {
		if got := try(tt.port, tt.auth, tt.from, "friend@remote.test"); got != tt.want {
			t.Errorf("%s: reply %d, want %d", tt.name, got, tt.want)
		}
	}
	if got := try(587, alice, "alice@example.com", "friend@nowhere.test"); got/100 == 2 {
		t.Errorf("a recipient of no domain: reply %d", got)
	}
	plain(t)
	stripped(t, alice)
	doors(t)
	tailnet(t)
}

// try goes as far as RCPT and returns the code of the first refusal, or of the last reply.
func try(port int, auth smtp.Auth, from, to string) int {
	c, err := dial(port)
	if err != nil {
		return code(err)
	}
	defer c.Close()
	if auth != nil {
		err = c.Auth(auth)
	}
	if err == nil {
		err = c.Mail(from)
	}
	if err == nil {
		err = c.Rcpt(to)
	}
	return code(err)
}

func dial(port int) (*smtp.Client, error) {
	config := &tls.Config{InsecureSkipVerify: true, ServerName: "127.0.0.1"} // made for this test
	address := fmt.Sprintf("127.0.0.1:%d", port)
	if port == 465 {
		conn, err := tls.Dial("tcp", address, config)
		if err != nil {
			return nil, err
		}
		return smtp.NewClient(conn, "127.0.0.1")
	}
	c, err := smtp.Dial(address)
	if err != nil {
		return nil, err
	}
	return c, c.StartTLS(config)
}

func code(err error) int {
	var reply *textproto.Error
	switch {
	case err == nil:
		return 250
	case errors.As(err, &reply):
		return reply.Code
	default:
		return 0
	}
}

// plain holds that nothing goes before TLS.
func plain(t *testing.T) {
	c, err := smtp.Dial("127.0.0.1:587")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if ok, _ := c.Extension("AUTH"); ok {
		t.Error("AUTH is offered before TLS")
	}
	if got := code(c.Mail("alice@example.com")); got != 530 {
		t.Errorf("MAIL before TLS: reply %d, want 530", got)
	}
}

// stripped holds that a queued message has lost what must not leave.
func stripped(t *testing.T, auth smtp.Auth) {
	c, err := dial(587)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, step := range []error{c.Auth(auth), c.Mail("alice@example.com"), c.Rcpt("friend@remote.test")} {
		if step != nil {
			t.Fatal(step)
		}
	}
	w, err := c.Data()
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(w, "From: alice@example.com\r\nX-SMTPAPI: {\"to\":\r\n [\"a\"]}\r\nx-sg-eid: 1\r\nSubject: kept\r\n\r\nbody\r\n")
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("sh", "-c", "postsuper -h ALL 2>/dev/null; postqueue -p | sed -n 's/^\\([0-9A-Za-z]*\\)[!*].*/\\1/p' | xargs -n 1 postcat -qh").CombinedOutput()
	text := string(out)
	if err != nil || !strings.Contains(text, "Subject: kept") {
		t.Fatalf("no queued message: %v: %s", err, text)
	}
	for _, field := range []string{"SMTPAPI", "sg-eid", "Received:"} {
		if strings.Contains(text, field) {
			t.Errorf("the message leaves with %s:\n%s", field, text)
		}
	}
}

// doors holds that port 25 is shut and that the inner port takes mail from the ingest's address only.
func doors(t *testing.T) {
	if conn, err := net.DialTimeout("tcp", "127.0.0.1:25", time.Second); err == nil {
		conn.Close()
		t.Error("port 25 is open")
	}
	for from, want := range map[string]int{"127.16.3.17": 250, "127.16.3.13": 554, "127.0.0.1": 554} {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
		conn, err := d.Dial("tcp", "127.16.3.15:10025")
		if err != nil {
			t.Fatal(err)
		}
		c, err := smtp.NewClient(conn, "ingest")
		if err == nil {
			err = c.Mail("")
		}
		if err == nil {
			err = c.Rcpt("friend@remote.test")
		}
		if got := code(err); got != want {
			t.Errorf("forwarding from %s: reply %d, want %d", from, got, want)
		}
		conn.Close()
	}
}

// tailnet holds that the tailnet's container is believed about who the client is.
func tailnet(t *testing.T) {
	conn, err := net.Dial("tcp", "127.16.8.15:10465")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	// Version 2 of the PROXY protocol: TCP over IPv4 from 100.64.0.9, port 4660, to 100.64.0.10, port 465.
	fmt.Fprint(conn, "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\x64\x40\x00\x09\x64\x40\x00\x0a\x12\x34\x01\xd1")
	c, err := smtp.NewClient(tls.Client(conn, &tls.Config{InsecureSkipVerify: true}), "127.0.0.1") // made for this test
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Auth(smtp.PlainAuth("", "alice@example.com", "right", "127.0.0.1")); err != nil {
		t.Error(err)
	}
	if log, err := os.ReadFile("/tmp/log"); err != nil || !strings.Contains(string(log), "[100.64.0.9]") {
		t.Errorf("the log does not name the client (%v)", err)
	}
}

// serveDNS knows remote.test and says that nothing else exists.
func serveDNS(t *testing.T) {
	pc, err := net.ListenPacket("udp", "127.0.0.1:53")
	if err != nil {
		t.Fatal(err)
	}
	handler := func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg)
		if m.SetReply(q); q.Question[0].Name == "remote.test." {
			rr, _ := dns.NewRR("remote.test. 60 IN MX 10 mx.remote.test.")
			m.Answer = append(m.Answer, rr)
		} else {
			m.Rcode = dns.RcodeNameError
		}
		_ = w.WriteMsg(m) // a client that went away asks again
	}
	server := &dns.Server{PacketConn: pc, Handler: dns.HandlerFunc(handler)}
	go func() { _ = server.ActivateAndServe() }() // ends with the test
	t.Cleanup(func() { _ = server.Shutdown() })
}
