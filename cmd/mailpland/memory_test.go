package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mailplan/mailplan/runtime/config"
	"github.com/mailplan/mailplan/test/mailstore"
)

// TestMemoryIsBounded has the daemon take 16 messages of 25 MiB at once, as they come in and held for a scan, and
// looks at the most memory that it ever had.
func TestMemoryIsBounded(t *testing.T) {
	program := filepath.Join(t.TempDir(), "mailpland")
	build := exec.Command("go", "build", "-o", program, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	scanner := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, `{"action": "no action", "score": 1, "required_score": 15, "symbols": {}}`)
	}))
	t.Cleanup(scanner.Close)
	message := []byte("Message-ID: <1@b.example>\r\nSubject: large\r\n\r\n" + strings.Repeat(strings.Repeat("x", 76)+"\r\n", (25<<20-200)/78))
	for _, c := range []struct {
		name  string
		scan  *config.Scan
		bound int // MiB
	}{{"streamed", nil, 32}, {"scanned", &config.Scan{URL: scanner.URL}, 64}} {
		t.Run(c.name, func(t *testing.T) {
			d := newDaemon(t, func(conf *config.Ingest) {
				conf.LMTP, conf.Scan = &config.LMTP{Address: mailstore.StartSink(t)}, c.scan
			})
			d.program = program
			d.start(t)
			time.Sleep(500 * time.Millisecond)
			idle := resident(t, d.cmd.Process.Pid)
			for round := range 2 {
				var wait sync.WaitGroup
				for n := range 16 {
					wait.Go(func() {
						to := fmt.Sprintf("u%02d@example.com", n)
						if code, a := d.post("s@b.example", to, bytes.Replace(message, []byte("<1@"), fmt.Appendf(nil, "<%d-%d@", round, n), 1), n%2 == 0); code != 200 {
							t.Errorf("%d %+v", code, a)
						}
					})
				}
				wait.Wait()
			}
			most := resident(t, d.cmd.Process.Pid)
			t.Logf("idle %d MiB, at most %d MiB", idle, most)
			if idle >= 20 || most > c.bound {
				t.Errorf("idle %d MiB, want less than 20; at most %d MiB, want no more than %d", idle, most, c.bound)
			}
		})
	}
}

// resident is the most memory that a process has had in RAM, in MiB.
func resident(t *testing.T, pid int) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Skip("no /proc here")
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	kib, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		t.Fatal(err)
	}
	return kib >> 10
}
