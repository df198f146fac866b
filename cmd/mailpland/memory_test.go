package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
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
				conf.LMTP, conf.Scan = &config.LMTP{Address: startSink(t)}, c.scan
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

// startSink is an LMTP server with PIPELINING and CHUNKING that throws everything away.
func startSink(t *testing.T) (address string) {
	t.Helper()
	ln, err := net.Listen("tcp", mailstore.FreeAddress(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go sink(c)
		}
	}()
	return ln.Addr().String()
}

func sink(c net.Conn) {
	defer c.Close()
	br := bufio.NewReaderSize(c, 64<<10)
	fmt.Fprint(c, "220 sink\r\n")
	for {
		line, err := br.ReadString('\n')
		if err != nil {
			return
		}
		words := strings.Fields(line)
		switch words[0] {
		case "LHLO":
			fmt.Fprint(c, "250-sink\r\n250-PIPELINING\r\n250-CHUNKING\r\n250 SIZE\r\n")
		case "BDAT":
			n, _ := strconv.ParseInt(words[1], 10, 64)
			if _, err := io.CopyN(io.Discard, br, n); err != nil {
				return
			}
			fmt.Fprint(c, "250 2.0.0 OK\r\n")
		default:
			fmt.Fprint(c, "250 2.1.0 OK\r\n")
		}
	}
}
