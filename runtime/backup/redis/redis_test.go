package redis_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/mailplan/mailplan/runtime/backup/backuptest"
	"github.com/mailplan/mailplan/runtime/backup/redis"
	"github.com/mailplan/mailplan/test/need"
)

// start starts a Redis with an append-only file in dir and returns its address.
func start(t *testing.T, dir string) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	_, port, _ := net.SplitHostPort(address)
	listener.Close()
	cmd := exec.Command(need.Program(t, "redis-server"), "--bind", "127.0.0.1", "--port", port, "--dir", dir, "--appendonly", "yes", "--requirepass", "secret")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	for range 100 {
		if out, err := ask(address, "PING"); err == nil && strings.Contains(out, "PONG") {
			return address
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatal("redis-server does not answer")
	return ""
}

func ask(address string, words ...string) (string, error) {
	host, port, _ := net.SplitHostPort(address)
	cmd := exec.Command("redis-cli", append([]string{"-h", host, "-p", port, "-a", "secret", "--no-auth-warning"}, words...)...)
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// TestCopyOfARunningServer copies while others learn, and starts a second server from the copy.
func TestCopyOfARunningServer(t *testing.T) {
	data, dir := t.TempDir(), filepath.Join(t.TempDir(), "copy")
	address := start(t, data)
	if _, err := ask(address, "EVAL", `for i=1,20000 do redis.call('HINCRBY', 'RS_'..i, 'S', i) end return 'ok'`, "0"); err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var learning sync.WaitGroup
	learning.Go(func() {
		for n := 0; ; n++ {
			select {
			case <-stop:
				return
			default:
				ask(address, "EVAL", fmt.Sprintf(`for i=1,500 do redis.call('SET', 'new_%d_'..i, i) end return 'ok'`, n), "0")
				if n%5 == 0 {
					ask(address, "BGREWRITEAOF")
				}
			}
		}
	})
	time.Sleep(200 * time.Millisecond)
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	err := redis.Server{Address: address, Password: "secret", Data: data}.Copy(t.Context(), dir)
	close(stop)
	learning.Wait()
	if err != nil {
		t.Fatal(err)
	}
	again := start(t, dir)
	for key, want := range map[string]string{"RS_1": "1", "RS_20000": "20000"} {
		if got, err := ask(again, "HGET", key, "S"); err != nil || got != want {
			t.Errorf("%s came back as %q, %v; want %s", key, got, err, want)
		}
	}
	if got, _ := ask(again, "GET", "new_0_500"); got != "500" {
		t.Errorf("what was learned before the copy came back as %q", got)
	}
}

func TestNoCopyIsBetterThanHalfAOne(t *testing.T) {
	data, dir := t.TempDir(), t.TempDir()
	address := start(t, data)
	if _, err := ask(address, "SET", "a", strings.Repeat("x", 1000)); err != nil {
		t.Fatal(err)
	}
	server := redis.Server{Address: address, Password: "wrong", Data: data}
	if err := server.Copy(t.Context(), dir); err == nil || !strings.Contains(err.Error(), "AUTH") {
		t.Errorf("with the wrong password: %v", err)
	}
	server.Password = "secret"
	if err := server.Copy(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(filepath.Join(dir, redis.Dump))
	if err != nil {
		t.Fatal(err)
	}
	for name, damage := range map[string]func(path string){
		"flipped byte": func(path string) { backuptest.FlipByte(t, path) },
		"cut":          func(path string) { os.Truncate(path, int64(len(whole)-5)) },
		"empty":        func(path string) { os.Truncate(path, 0) },
	} {
		path := filepath.Join(t.TempDir(), redis.Dump)
		if err := os.WriteFile(path, whole, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := redis.Check(path); err != nil {
			t.Error(err)
		}
		damage(path)
		if err := redis.Check(path); err == nil || !strings.Contains(err.Error(), "no whole snapshot") {
			t.Errorf("%s: got %v", name, err)
		}
	}
	server.Data = dir // a snapshot lies there, but the server does not write it
	if err := server.Copy(t.Context(), t.TempDir()); err == nil || !strings.Contains(err.Error(), "does not write its snapshot to") {
		t.Errorf("a server which writes elsewhere: %v", err)
	}
}
