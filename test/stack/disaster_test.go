//go:build stack

package stack_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mailplan/mailplan/compiler/recovery"
	"github.com/mailplan/mailplan/runtime/backup/backuptest"
	"github.com/mailplan/mailplan/test/daemon"
	"github.com/mailplan/mailplan/test/inbound"
	"github.com/mailplan/mailplan/test/stack"
)

// disaster is a bench whose host is lost.
type disaster struct {
	*bench
	root    *testing.T // with the life of what is started
	bucket  *backuptest.S3
	cert    *daemon.Authority
	worker  *inbound.Worker
	filled  int // messages
	backup  time.Time
	door    string // of the ingest, as the Worker knows it
	app     string // carol's app password
	daves   string // dave's own password
	key     string // file with the one age key
	mailbox map[string]map[string]string
	files   map[[32]byte]int // messages by their digest
	bayes   string
	dkim    string
}

// sizes are how many messages there are, in one disaster after the other: few in CI, as many as wanted by hand.
func sizes(t *testing.T) (list []int) {
	t.Helper()
	text := os.Getenv("MAILPLAN_DISASTER")
	if text == "" {
		return []int{small}
	}
	for word := range strings.SplitSeq(text, ",") {
		n, err := strconv.Atoi(word)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, n)
	}
	return list
}

// small is a mailbox that tells nothing of speed.
const small = 500

// TestDisaster has a host in full use lose everything, and one command, killed at every step and called again, rebuild
// it from a clone of the site's repository, the bucket and one age key.
//
//	MAILPLAN_DISASTER=5000,20000 .ci/stack -run TestDisaster
func TestDisaster(t *testing.T) {
	d := &disaster{bench: newBench(t), root: t}
	d.step("a host in use", func(t *testing.T) { d.begin() })
	all := sizes(t)
	for _, n := range all {
		step := func(name string, run func()) {
			d.step(fmt.Sprintf("%d messages: %s", n, name), func(*testing.T) { run() })
		}
		var report recovery.Report
		step("a backup in the bucket", func() { d.backsUp(n) })
		step("everything is lost", d.destroy)
		step("mail comes meanwhile", func() { d.meanwhile(fmt.Sprintf("away at %d", n), missed) })
		step("one command", func() { report = d.recovers(n == small) })
		step("all is back", func() { d.compare(report, fmt.Sprintf("away at %d", n)) })
		step("figures", func() { d.figures(report) })
	}
	d.step("not over a system that lives", func(t *testing.T) {
		if out := d.run(3, "recover", "--identity", d.key); !strings.Contains(out, "the host is not empty") {
			t.Error(out)
		}
	})
	d.step("life goes on", func(t *testing.T) {
		d.env = append(d.env, "SOPS_AGE_KEY_FILE="+d.key)
		d.settled()
		if out := d.mailpland("backup", "run"); !strings.Contains(out, "daily/") {
			t.Errorf("the first backup afterwards: %s", out)
		}
		if list := d.mailpland("backup", "list"); !strings.Contains(list, fmt.Sprintf("run %d", len(all)+1)) {
			t.Errorf("it does not count on from the one in the bucket: %s", list)
		}
	})
}

// missed is how many messages come while the host is away.
const missed = 20

// meanwhile has strangers send mail to the edge.
func (d *disaster) meanwhile(subject string, n int) {
	d.t.Helper()
	for i := range n {
		message := letter("writer@partner.example", fmt.Sprintf("%s %d", subject, i))
		seen, err := d.worker.Send("writer@partner.example", "erin@example.org", []byte(message))
		if err != nil || seen.Outcome != "accepted" {
			d.t.Fatalf("a stranger sees %+v, %v", seen, err)
		}
	}
}

// arrived waits for them, in whichever folder the filter thinks right.
func (d *disaster) arrived(subject string, n int) {
	d.t.Helper()
	for i := range n {
		if err := d.anywhere(fmt.Sprintf("%s %d", subject, i)); err != nil {
			d.t.Error(err)
		}
	}
}

func (d *disaster) anywhere(text string) (err error) {
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end) && !d.t.Failed(); time.Sleep(200 * time.Millisecond) {
		for _, folder := range []string{"INBOX", "Junk"} {
			now, cancel := context.WithCancel(d.t.Context())
			cancel()
			if _, err = d.programs()["erin"].Find(now, folder, text); err == nil {
				return nil
			}
		}
	}
	return err
}

// inventory is what the mail programs see.
func (d *disaster) inventory() map[string]map[string]string {
	d.t.Helper()
	all := map[string]map[string]string{}
	for name, client := range d.programs() {
		seen, err := client.Inventory()
		if err != nil {
			d.t.Fatalf("%s: %v", name, err)
		}
		all[name] = seen
	}
	return all
}

// messages are the digests of all files of messages.
func (d *disaster) messages() map[[32]byte]int {
	d.t.Helper()
	found := map[[32]byte]int{}
	err := filepath.WalkDir("/mnt/hdd/mailboxes/example.org", func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || !slices.Contains([]string{"cur", "new"}, filepath.Base(filepath.Dir(path))) {
			return err
		}
		data, err := os.ReadFile(path)
		found[sha256.Sum256(data)]++
		return err
	})
	if err != nil {
		d.t.Fatal(err)
	}
	return found
}

// mailpland runs the host's own, as its service does.
func (d *disaster) mailpland(args ...string) string {
	d.t.Helper()
	argv := append([]string{"/srv/mailserver/bin/mailpland"}, args...)
	out, err := d.docker.Run(d.t.Context(), nil, append(argv, "--config", "/srv/mailserver/config/runtime/backup.json")...)
	if err != nil {
		d.t.Fatalf("mailpland %s: %v", strings.Join(args, " "), err)
	}
	return string(out)
}

// malware is a file that the scanner of today knows, and no mail program shows.
const malware = "/mnt/hdd/mailboxes/example.org/erin/malware"

// backsUp makes a backup of n messages, and notes what is in it.
func (d *disaster) backsUp(n int) {
	d.fill(n)
	d.mailbox = d.inventory()
	d.files, d.bayes, d.dkim = d.messages(), d.tokens(), d.signingKey()
	if total(d.files) < n || d.bayes == "" || d.dkim == "" {
		d.t.Fatalf("there are %d messages of %d, %d bytes of tokens", total(d.files), n, len(d.bayes))
	}
	if err := os.WriteFile(malware, []byte(eicar), 0o600); err != nil {
		d.t.Fatal(err)
	}
	d.backup = time.Now().Truncate(time.Second)
	d.t.Logf("%s", d.mailpland("backup", "run"))
}

// destroy takes everything from the host but Docker's images of others, and from the administrator all but a clone of
// the repository and the key.
func (d *disaster) destroy() {
	t := d.t
	clone := filepath.Join(d.root.TempDir(), "clone")
	for _, argv := range [][]string{{"init", "--quiet"}, {"add", "."},
		{"-c", "user.name=admin", "-c", "user.email=admin@example.org", "commit", "--quiet", "--allow-empty", "--message", "the site"}, {"clone", "--quiet", d.dir, clone}} {
		if out, err := exec.Command("git", append([]string{"-C", d.dir}, argv...)...).CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v: %s", argv, err, out)
		}
	}
	d.docker.Must("", append([]string{"rm", "--force", "--volumes"}, strings.Fields(d.docker.Must("", "ps", "--all", "--quiet"))...)...)
	for _, kind := range []string{"volume", "network"} {
		if names := strings.Fields(d.docker.Must("", kind, "ls", "--quiet", "--filter", "label=com.docker.compose.project=applied")); len(names) > 0 {
			d.docker.Must("", append([]string{kind, "rm"}, names...)...)
		}
	}
	for _, own := range []string{"mailserver-api:1", "usermgmt:1"} {
		d.docker.Must("", "image", "rm", "--force", own)
	}
	stack.Wipe(t)
	if err := os.RemoveAll(d.dir); err != nil {
		t.Fatal(err)
	}
	d.dir = clone
	d.env = slices.DeleteFunc(d.env, func(v string) bool { return strings.HasPrefix(v, "SOPS_AGE_KEY=") || strings.HasPrefix(v, "HOME=") })
	d.env = append(d.env, "HOME="+d.root.TempDir())
}

// bridge is the provider's account with the bucket of the Worker in it.
func (d *disaster) bridge() {
	d.t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if d.worker == nil || r.Method != http.MethodGet || !strings.HasSuffix(r.URL.Path, "/objects") {
			d.edge.ServeHTTP(w, r)
			return
		}
		objects := []map[string]any{}
		subjects, err := d.worker.Spooled(r.URL.Query().Get("prefix"))
		for i, s := range subjects {
			objects = append(objects, map[string]any{"key": fmt.Sprintf("%s%s-%d", r.URL.Query().Get("prefix"), word(s), i), "size": 1, "last_modified": time.Now()})
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(map[string]any{"success": true, "errors": []any{}, "messages": []any{}, "result": objects,
			"result_info": map[string]any{"is_truncated": false, "cursor": "", "per_page": 1000}})
	}))
	d.root.Cleanup(server.Close)
	for i, v := range d.env {
		if rest, ok := strings.CutPrefix(v, "MAILPLAN_CLOUDFLARE_URL="); ok {
			_, after, _ := strings.Cut(strings.TrimPrefix(rest, "http://"), "/")
			d.env[i] = "MAILPLAN_CLOUDFLARE_URL=" + server.URL + "/" + after
		}
	}
}

// recovers calls the command until it ends by itself. With kills it is killed each time it has begun another step.
func (d *disaster) recovers(kills bool) (report recovery.Report) {
	d.t.Helper()
	var seen []string
	patience := 0
	for {
		cmd := exec.Command(filepath.Join(d.bin, "mailplan"), "recover", "--json", "--identity", d.key, d.dir)
		cmd.Env = d.env
		said, err := cmd.StderrPipe()
		if err != nil {
			d.t.Fatal(err)
		}
		var out bytes.Buffer
		cmd.Stdout = &out
		if err := cmd.Start(); err != nil {
			d.t.Fatal(err)
		}
		var log strings.Builder
		for lines := bufio.NewScanner(io.TeeReader(said, &log)); lines.Scan(); {
			if line := lines.Text(); kills && strings.HasPrefix(line, "mailplan: ") && !slices.Contains(seen, line) {
				seen = append(seen, line)
				time.Sleep(400 * time.Millisecond)
				cmd.Process.Kill()
			}
		}
		err = cmd.Wait()
		if strings.Contains(out.String()+log.String(), canary) {
			d.t.Error("recover tells a secret")
		}
		if err == nil {
			if err := json.Unmarshal(out.Bytes(), &report); err != nil {
				d.t.Fatalf("%v: %s", err, &out)
			}
			d.t.Logf("%s", out.Bytes())
			return report
		}
		if cmd.ProcessState.ExitCode() < 0 {
			d.t.Logf("killed in %q", seen[len(seen)-1])
			patience = 2
			continue
		}
		// The host's Docker may still be at what the killed one had asked of it.
		if patience--; patience < 0 || !strings.Contains(log.String(), "recover again goes on from here") {
			d.t.Fatalf("recover: %v\n%s", err, log.String())
		}
		d.t.Logf("once more: %s", log.String())
		time.Sleep(5 * time.Second)
	}
}

// compare holds what is there against what there was.
func (d *disaster) compare(report recovery.Report, spooled string) {
	t := d.t
	if report.Spool == nil || report.Spool.Left != 0 || report.Spool.Dead != 0 { // the Worker may have been first, so some or none waited
		t.Errorf("the spool: %+v", report.Spool)
	}
	if _, err := os.Stat(malware); err == nil || report.Scan == nil || len(report.Scan.Infected) == 0 || report.Scan.Started.Before(report.Open) {
		t.Errorf("the scan: %+v, %v", report.Scan, err)
	}
	d.arrived(spooled, missed)
	lost, files := 0, d.messages()
	for digest, n := range d.files {
		lost += max(0, n-files[digest])
	}
	t.Logf("messages: %d before, %d lost, %d came from the spool", total(d.files), lost, total(files)-total(d.files)+lost)
	if lost > 0 || total(files) != total(d.files)+missed {
		t.Errorf("%d messages lost; %d there, %d before", lost, total(files), total(d.files))
	}
	for name, now := range d.inventory() {
		before := d.mailbox[name]
		for key := range now { // what came since
			if _, ok := before[key]; !ok && name == "erin" {
				delete(now, key)
			}
		}
		if diff := cmp.Diff(before, now); diff != "" {
			t.Errorf("%s sees (-before +after): %s", name, diff[:min(len(diff), 2000)])
		}
	}
	if diff := cmp.Diff(strings.Split(d.bayes, "\n"), strings.Split(d.tokens(), "\n")); diff != "" {
		t.Errorf("what the filter has learnt (-before +after): %s", diff[:min(len(diff), 2000)])
	}
	if d.signingKey() != d.dkim {
		t.Error("the DKIM key is another one")
	}
	if d.signsIn("dave@example.org", "a guess") {
		t.Error("any password signs in")
	}
}
