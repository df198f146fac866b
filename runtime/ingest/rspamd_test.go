package ingest

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mailplan/mailplan/runtime/config"
	"github.com/mailplan/mailplan/test/mailstore"
	"github.com/mailplan/mailplan/test/need"
)

const (
	eicar     = `X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*`
	gtube     = "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"
	gtubeJunk = "YJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"
)

// startScanner runs a real Rspamd and a real clamd that knows one signature, and returns Rspamd's
// address and a way to end clamd. Of Rspamd's modules only those under test are configured: no network.
func startScanner(t *testing.T) (url string, endClamd func()) {
	t.Helper()
	rspamd, clamd := need.Program(t, "rspamd"), need.Program(t, "clamd")
	dir := t.TempDir()
	os.Chmod(dir, 0o777)
	write := func(name, content string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, sub := range []string{"db", "run"} {
		os.Mkdir(filepath.Join(dir, sub), 0o777)
	}
	clamAddress, rspamdAddress := mailstore.FreeAddress(t), mailstore.FreeAddress(t)
	_, clamPort, _ := net.SplitHostPort(clamAddress)
	write("db/test.hdb", "44d88612fea8a8f36de82e1278abb02f:68:Test.EICAR\n")
	write("clamd.conf", fmt.Sprintf("DatabaseDirectory %s/db\nTCPSocket %s\nTCPAddr 127.0.0.1\nForeground yes\nUser root\n", dir, clamPort))
	write("tld.txt", "com\nexample\n") // compiling the real list takes Rspamd up to half a minute
	write("rspamd.conf", fmt.Sprintf(`
options { pidfile = "%[1]s/run/rspamd.pid"; url_tld = "%[1]s/tld.txt"; filters = ""; gtube_patterns = "all"; enable_test_patterns = true; task_timeout = 20s;
	dns { nameserver = ["127.0.0.1:9"]; timeout = 0.1s; retransmits = 1; } }
logging { type = "file"; filename = "%[1]s/rspamd.log"; level = "info"; }
worker "normal" { bind_socket = "%[2]s"; count = 1; }
lua = "$RULESDIR/rspamd.lua";
modules { path = "$PLUGINSDIR"; }
actions { reject = 15; add_header = 6; }
antivirus { clamav { type = "clamav"; servers = "%[3]s"; symbol = "CLAM_VIRUS"; scan_mime_parts = true; timeout = 5.0; retransmits = 1; action = "reject"; } }
milter_headers { use = ["x-spam-status", "authentication-results"]; skip_local = false; skip_authenticated = false; }
`, dir, rspamdAddress, clamAddress))
	clam := run(t, clamd, "--config-file="+filepath.Join(dir, "clamd.conf"))
	run(t, rspamd, "-f", "-i", "-c", filepath.Join(dir, "rspamd.conf"), "--var=DBDIR="+dir+"/db", "--var=RUNDIR="+dir+"/run")
	t.Cleanup(func() {
		if t.Failed() {
			log, _ := os.ReadFile(filepath.Join(dir, "rspamd.log"))
			t.Logf("end of rspamd.log:\n%s", log[max(0, len(log)-4000):])
		}
	})
	mailstore.Wait(t, clamAddress)
	waitFor(t, "http://"+rspamdAddress+"/ping")
	return "http://" + rspamdAddress, func() { clam.Process.Kill(); clam.Wait() }
}

func run(t *testing.T, program string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(program, args...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	return cmd
}

func waitFor(t *testing.T, url string) {
	t.Helper()
	err := errors.New("never asked")
	for end := time.Now().Add(40 * time.Second); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		var resp *http.Response
		if resp, err = http.Get(url); err == nil {
			resp.Body.Close()
			if resp.StatusCode == 200 {
				return
			}
		}
	}
	t.Fatalf("%s does not answer: %v", url, err)
}

// TestRealScanner sends clean mail, spam, worse spam and a virus through Rspamd and clamd to Dovecot,
// and ends clamd: mail that could not be scanned is deferred.
func TestRealScanner(t *testing.T) {
	url, endClamd := startScanner(t)
	store := mailstore.Start(t, "")
	conf := settings(t)
	conf.LMTP = &config.LMTP{Address: store.LMTP}
	whole, err := config.Parse(fmt.Appendf(nil, `{"ingest": {"listen": ":1", "auth": {"tokenFiles": ["t"]}, "table": "t", "maildir": {"root": "r"}, "scan": {"url": %q}}}`, url))
	if err != nil {
		t.Fatal(err)
	}
	conf.Scan = whole.Ingest.Scan
	e := start(t, conf)
	trace := "Received: from mx.b.example (192.0.2.7)\r\n by cloudflare-email.net (cloudflare) id x\r\n for <alice@example.com>; Fri, 25 Sep 2026 05:07:50 +0000\r\n"
	mail := func(subject, body string) []byte {
		return []byte(trace + "Authentication-Results: test.example; dkim=pass header.d=bank.example\r\nX-Spam: No\r\nFrom: a@b.example\r\nTo: alice@example.com\r\nMessage-ID: <" +
			subject + "@b>\r\nDate: Fri, 25 Sep 2026 05:07:50 +0000\r\nSubject: " + subject + "\r\nMIME-Version: 1.0\r\n" + body)
	}
	virus := "Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nContent-Type: application/octet-stream; name=a.com\r\nContent-Transfer-Encoding: base64\r\n\r\n" +
		base64.StdEncoding.EncodeToString([]byte(eicar)) + "\r\n--x--\r\n"
	for _, c := range []struct {
		name, body string
		code       int
		enhanced   string
	}{
		{"clean", "\r\nhello\r\n", 200, "2.0.0"},
		{"junk", "\r\n" + gtubeJunk + "\r\n", 200, "2.0.0"},
		{"spam", "\r\n" + gtube + "\r\n", 422, "5.7.1"},
		{"virus", virus, 422, "5.7.1"},
	} {
		if code, res := e.post(t, "s@b.example", []string{"alice@example.com"}, mail(c.name, c.body)); code != c.code || res.Recipients[0].Enhanced != c.enhanced {
			t.Errorf("%s: %d %+v; log %s", c.name, code, res, e.log)
		}
	}
	if !strings.Contains(e.log.String(), `"scan":"CLAM_VIRUS"`) {
		t.Errorf("the virus was not named: %s", e.log)
	}
	endClamd()
	if code, res := e.post(t, "s@b.example", []string{"alice@example.com"}, mail("unscanned", virus+"x")); code != 503 || res.Recipients[0].Enhanced != "4.7.1" {
		t.Errorf("clamd down: %d %+v", code, res)
	}
	checkSubjects(t, store, "INBOX", "clean")
	checkSubjects(t, store, "Junk", "junk")
}

// checkSubjects wants one message in the folder, with no more X-Spam than we set.
func checkSubjects(t *testing.T, store *mailstore.Dovecot, folder, want string) {
	t.Helper()
	all := store.Read(t, "alice@example.com", folder)
	if len(all) != 1 || !bytes.Contains(all[0], []byte("\r\nSubject: "+want+"\r\n")) {
		t.Fatalf("%s holds %d messages: %.2000q", folder, len(all), all)
	}
	marks := map[string]int{"INBOX": 0, "Junk": 1}[folder]
	if n := bytes.Count(all[0], []byte("\r\nX-Spam: ")); n != marks || bytes.Contains(all[0], []byte("X-Spam: No")) {
		t.Errorf("%s: %d fields X-Spam in %q", folder, n, all[0])
	}
}
