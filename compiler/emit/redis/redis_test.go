package redis_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mailplan/mailplan/compiler/emit/emittest"
	"github.com/mailplan/mailplan/compiler/emit/redis"
	"github.com/mailplan/mailplan/compiler/model"
	"github.com/mailplan/mailplan/test/daemon"
	"github.com/mailplan/mailplan/test/need"
)

func TestAccepted(t *testing.T) {
	t.Parallel()
	files := emittest.Emit(t, redis.Files, emittest.Site())
	emittest.Holds(t, files, "config/redis/redis.conf", "maxmemory 153mb\n", "maxmemory-policy volatile-ttl\n")
	dir := emittest.Layout(t, files, "config/redis", nil)
	if _, err := daemon.Redis(t, dir); err != nil {
		t.Errorf("refused: %v", err)
	}
	if err := os.Remove(filepath.Join(dir, "users.acl")); err != nil {
		t.Fatal(err)
	}
	if _, err := daemon.Redis(t, dir); err == nil {
		t.Error("starts without the file that holds the password")
	}
}

// TestRotation has a running server take the files of each step of a rotation: the password that clients have is good all
// the time, the next one from the first step on, and the last one no longer at the end.
func TestRotation(t *testing.T) {
	t.Parallel()
	server, client := need.Program(t, "redis-server"), need.Program(t, "redis-cli")
	dir, err := os.MkdirTemp("", "redis") // a socket's path must stay short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket := filepath.Join(dir, "socket")
	lay := func(values map[string]string, also string) {
		s := emittest.Site()
		s.Secrets.Names = map[string]model.SecretRule{model.SecretRedisPassword: {Also: also}}
		users := emittest.Text(t, emittest.Emit(t, redis.Files, s), "config/redis/users.acl")
		for name, value := range values {
			users = strings.ReplaceAll(users, model.SecretMark(name), value)
		}
		if err := os.WriteFile(filepath.Join(dir, "users.acl"), []byte(users), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ask := func(password string, command ...string) string {
		cmd := exec.Command(client, append([]string{"-s", socket}, command...)...)
		cmd.Env = append(os.Environ(), "REDISCLI_AUTH="+password)
		out, err := cmd.CombinedOutput()
		if err != nil {
			return err.Error()
		}
		return strings.TrimSpace(string(out))
	}
	lay(map[string]string{"REDIS_PASSWORD": "old"}, "")
	cmd := exec.Command(server, "--port", "0", "--unixsocket", socket, "--dir", dir, "--save", "", "--aclfile", filepath.Join(dir, "users.acl"))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	for range 100 {
		if ask("old", "PING") == "PONG" {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	for _, step := range []struct {
		values    map[string]string
		also, use string // the client's password when the server is asked to read the file
		good, bad []string
	}{
		{map[string]string{"REDIS_PASSWORD": "old", "REDIS_PASSWORD.next": "new"}, "REDIS_PASSWORD.next", "old", []string{"old", "new"}, []string{"", "x"}},
		{map[string]string{"REDIS_PASSWORD": "new", "REDIS_PASSWORD.previous": "old"}, "REDIS_PASSWORD.previous", "new", []string{"old", "new"}, []string{"", "x"}},
		{map[string]string{"REDIS_PASSWORD": "new"}, "", "new", []string{"new"}, []string{"old", "", "x"}},
	} {
		lay(step.values, step.also)
		if got := ask(step.use, "ACL", "LOAD"); got != "OK" {
			t.Fatalf("ACL LOAD with %s: %s", step.use, got)
		}
		for _, password := range step.good {
			if got := ask(password, "PING"); got != "PONG" {
				t.Errorf("%v: %q is refused: %s", step.values, password, got)
			}
		}
		for _, password := range step.bad {
			if got := ask(password, "PING"); got == "PONG" {
				t.Errorf("%v: %q is good", step.values, password)
			}
		}
	}
}
