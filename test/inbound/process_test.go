package inbound

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestNothingOutlivesTheTest kills a test that has started a process with a child of its own.
func TestNothingOutlivesTheTest(t *testing.T) {
	if file := os.Getenv("INBOUND_CHILD"); file != "" {
		start(t, func() error { _, err := os.Stat(file); return err }, "sh", "-c",
			`sleep 300 & echo $! >"$0.part"; mv "$0.part" "$0"; wait`, file)
		syscall.Kill(os.Getpid(), syscall.SIGKILL)
	}
	file := filepath.Join(t.TempDir(), "child")
	cmd := exec.Command(os.Args[0], "-test.run=^TestNothingOutlivesTheTest$")
	cmd.Env = append(os.Environ(), "INBOUND_CHILD="+file)
	cmd.Run()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	child, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(10 * time.Second); running(child); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			syscall.Kill(child, syscall.SIGKILL)
			t.Fatal("the child of a killed test's process runs on")
		}
	}
}

// running says whether a process is there and no zombie.
func running(pid int) bool {
	status, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	return err == nil && !strings.Contains(string(status), "State:\tZ")
}
