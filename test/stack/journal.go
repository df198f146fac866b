package stack

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// journalSocket is where dockerd's journald driver sends the containers' lines.
const journalSocket = "/run/systemd/journal/socket"

// Journal takes the place of systemd's journal: it keeps what containers say.
type Journal struct {
	mu    sync.Mutex
	lines map[string][]string // by the tag that compose gives
}

// StartJournal listens for the containers' lines; it must be there before dockerd starts a container.
func StartJournal(t testing.TB) *Journal {
	t.Helper()
	if out, err := exec.Command("mount", "-t", "tmpfs", "tmpfs", "/run").CombinedOutput(); err != nil {
		t.Fatalf("mount /run: %v: %s", err, out)
	}
	if err := os.MkdirAll(filepath.Dir(journalSocket), 0o755); err != nil {
		t.Fatal(err)
	}
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: journalSocket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	j := &Journal{lines: map[string][]string{}}
	go j.read(conn)
	return j
}

func (j *Journal) read(conn *net.UnixConn) {
	buffer := make([]byte, 256<<10)
	for {
		n, err := conn.Read(buffer)
		if err != nil {
			return // closed
		}
		fields := map[string]string{}
		for _, line := range bytes.Split(buffer[:n], []byte("\n")) {
			if name, value, ok := bytes.Cut(line, []byte("=")); ok {
				fields[string(name)] = string(value)
			}
		}
		j.mu.Lock()
		tag := fields["CONTAINER_TAG"]
		j.lines[tag] = append(j.lines[tag], fields["MESSAGE"])
		j.mu.Unlock()
	}
}

// Lines returns what the containers of a tag, such as home/postfix, have said.
func (j *Journal) Lines(tag string) []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.lines[tag])
}

// Tail is the last lines of every container, for a test that has failed.
func (j *Journal) Tail(n int) string {
	j.mu.Lock()
	defer j.mu.Unlock()
	var out strings.Builder
	for tag, lines := range j.lines {
		for _, line := range lines[max(0, len(lines)-n):] {
			out.WriteString(tag + " | " + line + "\n")
		}
	}
	return out.String()
}
