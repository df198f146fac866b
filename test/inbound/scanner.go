package inbound

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mailplan/mailplan/compiler/emit/emittest"
	"github.com/mailplan/mailplan/compiler/emit/rspamd"
	"github.com/mailplan/mailplan/test/mailstore"
	"github.com/mailplan/mailplan/test/need"
)

// Test messages that every scanner knows.
const (
	EICAR     = `X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*`
	GTUBE     = "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"
	GTUBEJunk = "YJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"
)

// Scanner is a real Rspamd with the emitted settings and a real clamd that knows EICAR. There is no name
// server, and of Rspamd's modules only those that the ingest depends on are there.
type Scanner struct {
	URL           string
	Rspamd, Clamd *Process
}

const rspamdConf = `
options { pidfile = "%[1]s/rspamd.pid"; url_tld = "%[1]s/tld.txt"; filters = ""; gtube_patterns = "all"; enable_test_patterns = true;
	.include "%[1]s/local.d/options.inc"
	dns { nameserver = ["127.0.0.1:9"]; } }
logging { type = "file"; filename = "%[1]s/rspamd.log"; level = "info"; }
worker "normal" { bind_socket = "%[2]s"; count = 1; }
lua = "$RULESDIR/rspamd.lua";
modules { path = "$PLUGINSDIR"; }
actions { .include "%[1]s/local.d/actions.conf" }
antivirus { .include "%[1]s/local.d/antivirus.conf" }
force_actions { .include "%[1]s/local.d/force_actions.conf" }
milter_headers { .include "%[1]s/local.d/milter_headers.conf" }
`

// StartScanner starts both. edits are pairs of texts: the emitted settings have the second for the first.
func StartScanner(t testing.TB, edits ...string) *Scanner {
	t.Helper()
	rspamdPath, clamd := need.Program(t, "rspamd"), need.Program(t, "clamd")
	dir := t.TempDir()
	for at := dir; at != os.TempDir() && at != "/"; at = filepath.Dir(at) {
		os.Chmod(at, 0o777) // Rspamd gives up root
	}
	clamAddress, address := mailstore.FreeAddress(t), mailstore.FreeAddress(t)
	_, clamPort, _ := net.SplitHostPort(clamAddress)
	layOutSettings(t, filepath.Join(dir, "local.d"), append(edits, "clamav:3310", clamAddress))
	for name, content := range map[string]string{
		"db/test.hdb": "44d88612fea8a8f36de82e1278abb02f:68:Test.EICAR\n",
		"clamd.conf":  fmt.Sprintf("DatabaseDirectory %s/db\nTCPSocket %s\nTCPAddr 127.0.0.1\nForeground yes\nUser root\n", dir, clamPort),
		"tld.txt":     "com\nexample\n", // compiling the real list takes Rspamd up to half a minute
		"rspamd.conf": fmt.Sprintf(rspamdConf, dir, address),
	} {
		write(t, filepath.Join(dir, name), content)
	}
	s := &Scanner{URL: "http://" + address}
	s.Clamd = start(t, listens(clamAddress), clamd, "--config-file="+filepath.Join(dir, "clamd.conf"))
	s.Rspamd = start(t, answers(s.URL+"/ping"), rspamdPath, "-f", "-i", "-c", filepath.Join(dir, "rspamd.conf"),
		"--var=DBDIR="+dir+"/db", "--var=RUNDIR="+dir)
	t.Cleanup(func() {
		if t.Failed() {
			log, _ := os.ReadFile(filepath.Join(dir, "rspamd.log"))
			t.Logf("end of rspamd.log:\n%s", log[max(0, len(log)-2000):])
		}
	})
	return s
}

// layOutSettings writes the emitted local.d, edited.
func layOutSettings(t testing.TB, dir string, edits []string) {
	t.Helper()
	files, err := rspamd.Files(emittest.Site())
	if err != nil {
		t.Fatal(err)
	}
	edit := strings.NewReplacer(edits...)
	for _, f := range files {
		if _, name, ok := strings.Cut(f.Path, "/local.d/"); ok {
			write(t, filepath.Join(dir, name), edit.Replace(string(f.Content)))
		}
	}
}

func write(t testing.TB, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	os.Chmod(filepath.Dir(path), 0o777)
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func listens(address string) func() error {
	return func() error {
		c, err := net.Dial("tcp", address)
		if err == nil {
			err = c.Close()
		}
		return err
	}
}

func answers(url string) func() error {
	client := &http.Client{Timeout: time.Second}
	return func() error {
		resp, err := client.Get(url)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("%s: %s", url, resp.Status)
		}
		return nil
	}
}
