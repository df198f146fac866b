package certificate_test

import (
	"crypto/tls"
	"fmt"
	"net/smtp"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2/imapclient"

	"github.com/mailplan/mailplan/compiler/emit/dovecot"
	"github.com/mailplan/mailplan/compiler/emit/emittest"
	"github.com/mailplan/mailplan/compiler/emit/postfix"
	"github.com/mailplan/mailplan/runtime/certificate/pair"
	"github.com/mailplan/mailplan/test/daemon"
)

// reloadRoot starts the emitted Dovecot and, where there is one, Postfix on a pair that this test's own binary puts there
// first; then the binary is the mail client, and the program that renews.
const reloadRoot = `
gzip -dc /client.gz >/client
chmod 755 /client
install -d -o 1000 -g 1000 /srv/mail /srv/vmail /tmp/sieve-bin
MAILPLAN_INSIDE=put /client -test.run '^TestReload$'
dovecot -F >/tmp/log 2>&1 &
if [ -e /docker-init.d/10-mailplan.sh ]; then
	nc -lkuU /dev/log >>/tmp/log &
	bash /docker-init.d/10-mailplan.sh
	postconf -e smtpd_milters=
	postfix start >/dev/null 2>&1
fi
sleep 1
MAILPLAN_INSIDE=reload /client -test.run '^TestReload$' -test.v && exit 0
cat /tmp/log
exit 1
`

// people are asked before the database, which is not there.
var people = map[string]string{
	"2.3": "\npassdb {\n  driver = passwd-file\n  args = /etc/people\n}\nuserdb {\n  driver = static\n  args = allow_all_users=yes\n}\n",
	"2.4": "\npassdb passwd-file {\n  passwd_file_path = /etc/people\n}\nuserdb static {\n  userdb_static_allow_all_users = yes\n}\n",
}

// TestReload holds what renewing promises, with real servers: sessions that are open before it go on after it, and who
// connects anew sees the new certificate.
func TestReload(t *testing.T) {
	switch os.Getenv("MAILPLAN_INSIDE") {
	case "put":
		putInside(t)
		return
	case "reload":
		reloadInside(t)
		return
	}
	for series, image := range map[string]string{"2.3": "dovecot/dovecot:2.3.21", "2.4": "dovecot/dovecot:2.4.5"} {
		t.Run("Dovecot "+series, func(t *testing.T) {
			s := emittest.Site()
			s.Host.Subnet, s.Containers.Dovecot.Image = "127.16.0.0/20", image // so that the containers' addresses exist
			var r *daemon.Root
			if series == "2.3" {
				r = daemon.NewHostRoot(t)
			} else {
				r = daemon.NewTrixieRoot(t) // which has the Postfix of the image, too
				dir := emittest.Layout(t, emittest.Emit(t, postfix.Files, s), "config/postfix", nil)
				r.Mount(dir, "/etc/mailplan/postfix")
				r.Mount(filepath.Join(dir, "10-mailplan.sh"), "/docker-init.d/10-mailplan.sh")
				r.Setenv("WITH_POSTFIX", "1")
			}
			dir := emittest.Layout(t, emittest.Emit(t, dovecot.Files, s), "config/dovecot", nil)
			conf := filepath.Join(dir, "dovecot.conf")
			text, err := os.ReadFile(conf)
			if err == nil {
				err = os.WriteFile(conf, []byte(strings.Replace(string(text), "\npassdb ", people[series]+"\npassdb ", 1)), 0o644)
			}
			if err != nil {
				t.Fatal(err)
			}
			r.User("vmail", 1000)
			r.Mount(dir, "/etc/dovecot")
			r.Mount(daemon.Self(t), "/client.gz")
			r.Write("/etc/people", "alice@example.com:{PLAIN}right\n", 0o644)
			sasl, err := s.ServiceAddress("dovecot", "auth")
			if err != nil {
				t.Fatal(err)
			}
			r.Write("/etc/hosts", "127.0.0.1 localhost mariadb postfix rspamd\n"+sasl.String()+" dovecot\n", 0o644)
			if result := r.Script(reloadRoot); result.Err != nil {
				t.Errorf("%v\n%s\n%s", result.Err, result.Stdout, result.Stderr)
			}
		})
	}
}

// putInside takes another pair into use, in the folder that both containers mount.
func putInside(t *testing.T) {
	p, err := pair.Placeholder(names, time.Now())
	if err == nil {
		err = pair.Folder{Path: "/etc/mailplan/tls", UID: 1000, GID: 1000}.Put(p)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func reloadInside(t *testing.T) {
	folder := pair.Folder{Path: "/etc/mailplan/tls"}
	old, err := folder.Load()
	if err != nil {
		t.Fatal(err)
	}
	reload := [][]string{{"doveadm", "reload"}}
	ports := []int{993, 995}
	if os.Getenv("WITH_POSTFIX") != "" {
		reload, ports = append(reload, []string{"postfix", "reload"}), append(ports, 465, 587)
	}
	for _, port := range ports {
		if got := shown(port); got != old.Fingerprint() {
			t.Fatalf("port %d shows %s", port, got)
		}
	}
	open := sessions(t, ports)
	putInside(t)
	next, err := folder.Load()
	if err != nil {
		t.Fatal(err)
	}
	for _, argv := range reload {
		if out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v: %s", argv, err, out)
		}
	}
	for _, port := range ports {
		got := ""
		for range 50 {
			if got = shown(port); got == next.Fingerprint() {
				break
			}
			time.Sleep(100 * time.Millisecond)
		}
		if got != next.Fingerprint() {
			t.Errorf("port %d shows %.12s after the reload, want %.12s", port, got, next.Fingerprint())
		}
	}
	for name, goesOn := range open {
		if err := goesOn(); err != nil {
			t.Errorf("%s, open before the reload, does not go on: %v", name, err)
		}
	}
}

// sessions opens some; each function says whether its session still works.
func sessions(t *testing.T, ports []int) map[string]func() error {
	t.Helper()
	trusting := &tls.Config{InsecureSkipVerify: true} // made for this test
	conn, err := tls.Dial("tcp", "127.0.0.1:993", trusting)
	if err != nil {
		t.Fatal(err)
	}
	imap := imapclient.New(conn, nil)
	if err := imap.Login("alice@example.com", "right").Wait(); err != nil {
		t.Fatalf("sign in: %v", err)
	}
	all := map[string]func() error{"IMAP": func() error {
		_, err := imap.Select("INBOX", nil).Wait()
		return err
	}}
	for _, port := range ports {
		if port == 993 || port == 995 {
			continue
		}
		c, err := submission(port)
		if err != nil {
			t.Fatal(err)
		}
		all[fmt.Sprint("submission on ", port)] = func() error {
			if err := c.Noop(); err != nil {
				return err
			}
			if err := c.Mail("alice@example.com"); err == nil || !strings.Contains(err.Error(), "530") && !strings.Contains(err.Error(), "553") {
				return nil // it answers; whom it lets send is another test's
			}
			return c.Quit()
		}
	}
	return all
}

func submission(port int) (*smtp.Client, error) {
	trusting := &tls.Config{InsecureSkipVerify: true} // made for this test
	address := fmt.Sprintf("127.0.0.1:%d", port)
	if port == 465 {
		conn, err := tls.Dial("tcp", address, trusting)
		if err != nil {
			return nil, err
		}
		return smtp.NewClient(conn, "127.0.0.1")
	}
	c, err := smtp.Dial(address)
	if err != nil {
		return nil, err
	}
	return c, c.StartTLS(trusting)
}

// shown is the fingerprint of the certificate that who connects now sees.
func shown(port int) string {
	var state tls.ConnectionState
	if port == 587 || port == 465 {
		c, err := submission(port)
		if err != nil {
			return err.Error()
		}
		defer c.Close()
		state, _ = c.TLSConnectionState()
	} else {
		conn, err := tls.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port), &tls.Config{InsecureSkipVerify: true}) // made for this test
		if err != nil {
			return err.Error()
		}
		defer conn.Close()
		state = conn.ConnectionState()
	}
	return (&pair.Pair{Leaf: state.PeerCertificates[0]}).Fingerprint()
}
