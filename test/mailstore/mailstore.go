// Package mailstore runs a real Dovecot for tests: LMTP and IMAP on loopback, Maildir, any user with
// any password, and the emitted sieve script that delivery relies on, with its helper. Everything lies
// in the test's temporary folder, and it can be killed and started again there.
package mailstore

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"text/template"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"

	"github.com/mailplan/mailplan/test/need"
)

// Dovecot is a running server. Its addresses stay the same when it is started again.
type Dovecot struct {
	LMTP, IMAP string // host:port
	Dir        string // of configuration, log and mail

	program string
	cmd     *exec.Cmd
}

var conf = template.Must(template.New("").Parse(`
base_dir = {{.Dir}}/run
state_dir = {{.Dir}}/run
log_path = {{.Dir}}/dovecot.log
protocols = lmtp imap
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
first_valid_uid = 1
mail_location = maildir:{{.Dir}}/mail/%d/%n/Maildir
mail_home = {{.Dir}}/mail/%d/%n
mail_uid = {{.UID}}
mail_gid = {{.GID}}
recipient_delimiter = +
auth_username_format = %Lu
lmtp_user_concurrency_limit = 1
default_process_limit = 60
{{if not .Root}}
default_internal_user = {{.User}}
default_internal_group = {{.Group}}
default_login_user = {{.User}}
service anvil { chroot = }
service imap-login { chroot = }
{{end}}
passdb {
  driver = static
  args = nopassword=y
}
{{.Users}}
service lmtp {
  vsz_limit = 1G
  inet_listener lmtp {
    address = 127.0.0.1
    port = {{.LMTPPort}}
  }
}
service imap-login {
  inet_listener imap {
    address = 127.0.0.1
    port = {{.IMAPPort}}
  }
  inet_listener imaps {
    port = 0
  }
}
mail_max_userip_connections = 50
protocol lmtp {
  mail_plugins = sieve
  postmaster_address = postmaster@example.com
}
plugin {
  sieve_before = {{.Dir}}/before.sieve
  sieve_plugins = sieve_extprograms
  sieve_global_extensions = +vnd.dovecot.execute
  sieve_execute_bin_dir = {{.Dir}}/bin
  sieve_duplicate_max_period = 7d
}
{{.Extra}}
`))

const anyUser = "userdb {\n  driver = static\n  args = allow_all_users=yes\n}\n"

// Start runs Dovecot until the test ends. extra is added to its configuration.
func Start(t testing.TB, extra string) *Dovecot {
	t.Helper()
	return StartWith(t, func(string) string { return anyUser }, extra)
}

// StartWith is [Start] with the users of another userdb, whose settings users returns; it is told the folder
// with all mail.
func StartWith(t testing.TB, users func(root string) string, extra string) *Dovecot {
	t.Helper()
	d := &Dovecot{program: need.Program(t, "dovecot"), LMTP: FreeAddress(t), IMAP: FreeAddress(t)}
	var err error
	if d.Dir, err = os.MkdirTemp("", "dovecot-*"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		d.Kill(t)
		if t.Failed() {
			log, _ := os.ReadFile(filepath.Join(d.Dir, "dovecot.log"))
			t.Logf("end of dovecot.log:\n%s", log[max(0, len(log)-3000):])
		}
		os.RemoveAll(d.Dir)
	})
	d.write(t, users(filepath.Join(d.Dir, "mail")), extra)
	d.Run(t)
	return d
}

func (d *Dovecot) write(t testing.TB, users, extra string) {
	t.Helper()
	uid, gid := os.Getuid(), os.Getgid()
	if uid == 0 {
		uid, gid = 65534, 65534
	}
	os.Chmod(d.Dir, 0o755)
	mail := filepath.Join(d.Dir, "mail")
	if err := os.Mkdir(mail, 0o700); err != nil {
		t.Fatal(err)
	}
	os.Chown(mail, uid, gid)
	var b bytes.Buffer
	err := conf.Execute(&b, map[string]any{"Dir": d.Dir, "UID": uid, "GID": gid, "Root": os.Getuid() == 0,
		"User": name("-un"), "Group": name("-gn"), "LMTPPort": port(d.LMTP), "IMAPPort": port(d.IMAP), "Users": users, "Extra": extra})
	if err != nil {
		t.Fatal(err)
	}
	script, err := os.ReadFile(filepath.Join(source(), "compiler/emit/dovecot/files/sieve/before.sieve"))
	if err != nil {
		t.Fatal(err)
	}
	buildHelper(t, filepath.Join(d.Dir, "bin"))
	for file, content := range map[string][]byte{"dovecot.conf": b.Bytes(), "before.sieve": script} {
		if err := os.WriteFile(filepath.Join(d.Dir, file), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if sievec, err := exec.LookPath("sievec"); err == nil {
		cmd := exec.Command(sievec, "-c", filepath.Join(d.Dir, "dovecot.conf"), filepath.Join(d.Dir, "before.sieve"))
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("sievec: %v\n%s", err, out)
		}
	}
}

// source is the root of this repository.
func source() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "../..")
}

// buildHelper puts the program that the script runs into a folder.
func buildHelper(t testing.TB, dir string) {
	t.Helper()
	cmd := exec.Command("go", "build", "-o", dir+"/", "./cmd/mailplan-learn")
	cmd.Dir, cmd.Env = source(), append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build the scripts' helper: %v\n%s", err, out)
	}
	os.Chmod(dir, 0o755)
}

// name asks who we are; the os/user package would need cgo for some systems' users.
func name(flag string) string {
	out, err := exec.Command("id", flag).Output()
	if err != nil {
		return strconv.Itoa(os.Getuid())
	}
	return strings.TrimSpace(string(out))
}

func port(address string) string {
	_, p, _ := net.SplitHostPort(address)
	return p
}

// FreeAddress finds a loopback address that nobody listens on.
func FreeAddress(t testing.TB) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// Run starts Dovecot again after [Dovecot.Kill] and waits until it takes mail.
func (d *Dovecot) Run(t testing.TB) {
	t.Helper()
	d.cmd = exec.Command(d.program, "-F", "-c", filepath.Join(d.Dir, "dovecot.conf"))
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	Wait(t, d.LMTP)
	Wait(t, d.IMAP)
}

// Wait waits until something listens on an address.
func Wait(t testing.TB, address string) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); ; {
		c, err := net.Dial("tcp", address)
		if err == nil {
			c.Close()
			return
		}
		if time.Now().After(end) {
			t.Fatalf("nothing listens on %s: %v", address, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// Stop has Dovecot finish what it is doing and end, as the stop of a container does.
func (d *Dovecot) Stop(t testing.TB) {
	t.Helper()
	d.cmd.Process.Signal(syscall.SIGTERM)
	d.cmd.Wait()
	waitGone(-d.cmd.Process.Pid)
	d.cmd = nil
}

// waitGone waits until no process of a group is left.
func waitGone(group int) {
	for range 500 {
		if syscall.Kill(group, 0) != nil {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// Kill ends all of Dovecot's processes at once, as a power cut would.
func (d *Dovecot) Kill(t testing.TB) {
	t.Helper()
	if d.cmd == nil || d.cmd.Process == nil {
		return
	}
	syscall.Kill(-d.cmd.Process.Pid, syscall.SIGKILL)
	d.cmd.Wait()
	d.cmd = nil
	waitClosed(d.LMTP)
}

func waitClosed(address string) {
	for range 200 {
		c, err := net.Dial("tcp", address)
		if err != nil {
			return
		}
		c.Close()
		time.Sleep(10 * time.Millisecond)
	}
}

// Signal sends a signal to all of Dovecot's processes: SIGSTOP and SIGCONT stall it and let it go on.
func (d *Dovecot) Signal(s syscall.Signal) {
	if d.cmd != nil && d.cmd.Process != nil {
		syscall.Kill(-d.cmd.Process.Pid, s)
	}
}

// Stall has all of Dovecot stand still for a while.
func (d *Dovecot) Stall(pause time.Duration) {
	d.Signal(syscall.SIGSTOP)
	time.Sleep(pause)
	d.Signal(syscall.SIGCONT)
}

// Read fetches all messages of one folder of a user by IMAP, in their order.
func (d *Dovecot) Read(t testing.TB, user, folder string) [][]byte {
	t.Helper()
	all, err := d.fetch(user, folder)
	if err != nil {
		t.Fatalf("read %s of %s: %v", folder, user, err)
	}
	return all
}

func (d *Dovecot) fetch(user, folder string) ([][]byte, error) {
	c, err := imapclient.DialInsecure(d.IMAP, nil)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	if err := c.Login(user, "any").Wait(); err != nil {
		return nil, fmt.Errorf("log in: %w", err)
	}
	box, err := c.Select(folder, nil).Wait()
	if err != nil {
		if folder != "INBOX" {
			return nil, nil // a folder that was never made is empty
		}
		return nil, err
	}
	if box.NumMessages == 0 {
		return nil, nil
	}
	var set imap.SeqSet
	set.AddRange(1, box.NumMessages)
	section := &imap.FetchItemBodySection{Peek: true}
	got, err := c.Fetch(set, &imap.FetchOptions{BodySection: []*imap.FetchItemBodySection{section}}).Collect()
	if err != nil {
		return nil, err
	}
	all := make([][]byte, len(got))
	for i, m := range got {
		all[i] = m.FindBodySection(section)
	}
	return all, nil
}
