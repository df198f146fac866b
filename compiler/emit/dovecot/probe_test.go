package dovecot_test

import (
	"crypto/tls"
	"net"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/emersion/go-imap/v2/imapclient"

	"github.com/mailplan/mailplan/compiler/emit/dovecot"
	"github.com/mailplan/mailplan/compiler/emit/emittest"
	"github.com/mailplan/mailplan/compiler/model"
	"github.com/mailplan/mailplan/test/daemon"
)

// TestProbe delivers a test message and reads it as the ingest does, by the real Dovecot 2.3 with its database.
func TestProbe(t *testing.T) {
	if os.Getenv("MAILPLAN_INSIDE") != "" {
		probes(t)
		return
	}
	r := newDeliveryRoot(t)
	if result := r.Script(deliveryRoot, "TestProbe"); result.Err != nil {
		t.Errorf("%v\n%s\n%s", result.Err, result.Stdout, result.Stderr)
	}
}

// sqlBlocks are what asks the database, which is not beside this Dovecot 2.4.
var sqlBlocks = regexp.MustCompile(`(?ms)^(passdb|userdb) (sql|app|used) \{.*?^\}\n`)

// TestProbe24 does the same with Dovecot 2.4.
func TestProbe24(t *testing.T) {
	if os.Getenv("MAILPLAN_INSIDE") != "" {
		probes(t)
		return
	}
	s := site("dovecot/dovecot:2.4.5")
	s.Host.Subnet = "127.16.0.0/20"
	files := emittest.Emit(t, dovecot.Files, s)
	dir := emittest.Layout(t, files, "config/dovecot", func(string) string { return "pw" })
	conf := sqlBlocks.ReplaceAllString(emittest.Text(t, files, "config/dovecot/dovecot.conf"), "")
	if err := os.WriteFile(dir+"/dovecot.conf", []byte(conf), 0o644); err != nil {
		t.Fatal(err)
	}
	r := daemon.NewTrixieRoot(t)
	r.User("vmail", 1000)
	r.Mount(dir, "/etc/dovecot")
	r.Mount(daemon.Self(t), "/client.gz")
	r.Hosts("mariadb", "postfix", "rspamd")
	if result := r.Script(strings.Replace(vacation24Root, "TestVacation24", "TestProbe24", 1)); result.Err != nil {
		t.Errorf("%v\n%s\n%s", result.Err, result.Stdout, result.Stderr)
	}
}

func probes(t *testing.T) {
	if got := deliver(t, model.ProbeMailbox, ""); got != 250 {
		t.Fatalf("LMTP to the mailbox of probes: reply %d", got)
	}
	c, err := comesFrom("127.16.6.17", "none") // mailserver-api in the network lmtp
	if err != nil {
		t.Fatalf("the ingest cannot read its probes: %v", err)
	}
	defer c.Close()
	if box, err := c.Select("INBOX", nil).Wait(); err != nil || box.NumMessages != 1 {
		t.Errorf("the mailbox of probes: %+v %v", box, err)
	}
	if _, err := comesFrom("127.16.8.16", "none"); err == nil {
		t.Error("webmail reads the mailbox of probes without a password")
	}
}

func comesFrom(address, password string) (*imapclient.Client, error) {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}
	conn, err := tls.DialWithDialer(&d, "tcp", "127.16.6.14:993", &tls.Config{InsecureSkipVerify: true}) // made for this test
	if err != nil {
		return nil, err
	}
	c := imapclient.New(conn, nil)
	return c, c.Login(model.ProbeMailbox, password).Wait()
}
