package stack

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mailplan/mailplan/test/need"
)

// Docker is a Docker engine of the test's own machine.
type Docker struct {
	t   testing.TB
	env []string
}

// Resolver is where containers ask for names outside their project.
const Resolver = "100.64.0.30"

// StartDocker starts dockerd. Its images are kept in the cache between runs, containers and volumes
// are not; two runs on one machine take turns, unless MAILPLAN_DOCKER names a folder of its own for one of them.
func StartDocker(t testing.TB) *Docker {
	t.Helper()
	dockerd, dir := need.Program(t, "dockerd"), t.TempDir()
	data := cmp.Or(os.Getenv("MAILPLAN_DOCKER"), filepath.Join(need.Cache(), "docker"))
	if err := os.MkdirAll(data, 0o700); err != nil {
		t.Fatal(err)
	}
	takeTurn(t, data)
	socket := "unix://" + filepath.Join(dir, "docker.sock")
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command(dockerd, "--data-root", data, "--exec-root", filepath.Join(dir, "exec"), "--host", socket,
		"--pidfile", filepath.Join(dir, "pid"), "--storage-driver", "overlay2",
		"--dns", Resolver)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	d := &Docker{t, append(os.Environ(), "DOCKER_HOST="+socket, "DOCKER_BUILDKIT=0")}
	t.Cleanup(func() { d.stop(cmd) })
	for range 300 {
		if _, err := d.Try("", "version"); err == nil {
			d.clear()
			return d
		}
		time.Sleep(100 * time.Millisecond)
	}
	text, _ := os.ReadFile(log.Name())
	t.Fatalf("dockerd does not answer: %s", text)
	return nil
}

// takeTurn waits until no other run uses the folder.
func takeTurn(t testing.TB, dir string) {
	t.Helper()
	lock, err := os.OpenFile(filepath.Join(dir, "mailplan.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { lock.Close() })
}

func (d *Docker) stop(cmd *exec.Cmd) {
	d.clear()
	_ = cmd.Process.Signal(syscall.SIGTERM) // killed with its namespace if it does not heed
	_ = cmd.Wait()
}

// clear removes the containers, volumes and networks of this and of an interrupted run, and images that a
// newer one has replaced.
func (d *Docker) clear() {
	defer d.Try("", "image", "prune", "--force")
	defer d.Try("", "builder", "prune", "--force")
	for _, kind := range []string{"container", "volume", "network"} {
		list := []string{kind, "ls", "--quiet"}
		remove := []string{kind, "rm", "--force"}
		switch kind {
		case "container":
			list = append(list, "--all")
		case "network":
			list, remove = append(list, "--filter", "type=custom"), remove[:2]
		}
		out, err := d.Try("", list...)
		if names := strings.Fields(out); err == nil && len(names) > 0 {
			_, _ = d.Try("", append(remove, names...)...) // best effort
		}
	}
}

// Try runs a docker command in a folder and returns what it prints.
func (d *Docker) Try(dir string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, need.Program(d.t, "docker"), args...)
	cmd.Dir, cmd.Env = dir, d.env
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("docker %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return string(out), nil
}

// Environment is what a client needs of it to reach the engine.
func (d *Docker) Environment() []string { return d.env[len(d.env)-2:] }

// Run runs a program with the engine at hand and returns what it prints on standard output.
func (d *Docker) Run(ctx context.Context, stdin io.Reader, argv ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	var said bytes.Buffer
	cmd.Env, cmd.Stdin, cmd.Stderr = d.env, stdin, &said
	out, err := cmd.Output()
	if err != nil {
		return out, fmt.Errorf("%s: %w: %s", argv[0], err, said.Bytes())
	}
	return out, nil
}

// Must is Try that ends the test on an error.
func (d *Docker) Must(dir string, args ...string) string {
	d.t.Helper()
	out, err := d.Try(dir, args...)
	if err != nil {
		d.t.Fatal(err)
	}
	return out
}
