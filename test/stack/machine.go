package stack

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// inside is, in the process that runs in the test's own machine, the folder of the machine's disks.
const inside = "MAILPLAN_STACK_INSIDE"

// disks are empty at first in the new machine.
var disks = []string{"/srv", "/mnt"}

// Run runs the tests of m in namespaces of their own: network, mounts, processes. Whatever they start,
// mount or listen on is gone with the last of them, and no port or address of the machine is touched.
// It returns the exit code. Addresses are put on the loopback, for what the site binds to.
func Run(m *testing.M, addresses ...string) int {
	if dir := os.Getenv(inside); dir != "" {
		if err := furnish(dir, addresses); err != nil {
			fmt.Fprintln(os.Stderr, "stack:", err)
			return 1
		}
		return m.Run()
	}
	if os.Geteuid() != 0 {
		fmt.Fprintln(os.Stderr, "stack: run as root; mounts and networks are made")
		return 1
	}
	dir, err := os.MkdirTemp("", "stack")
	if err != nil {
		fmt.Fprintln(os.Stderr, "stack:", err)
		return 1
	}
	defer os.RemoveAll(dir)
	args := append([]string{"--net", "--mount", "--uts", "--ipc", "--pid", "--fork", "--kill-child", "--mount-proc",
		"--propagation", "private", "--"}, os.Args...)
	cmd := exec.Command("unshare", args...)
	cmd.Env = append(os.Environ(), inside+"="+dir)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	err = cmd.Run()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.ExitCode()
	default:
		fmt.Fprintln(os.Stderr, "stack:", err)
		return 1
	}
}

// furnish gives the new machine a loopback with the addresses, and disks below dir, on real disk.
func furnish(dir string, addresses []string) error {
	commands := [][]string{{"ip", "link", "set", "lo", "up"}}
	for _, a := range addresses {
		commands = append(commands, []string{"ip", "address", "add", a, "dev", "lo"})
	}
	for _, place := range disks {
		source := filepath.Join(dir, place)
		if err := os.Mkdir(source, 0o755); err != nil {
			return err
		}
		commands = append(commands, []string{"mount", "--bind", source, place})
	}
	for _, c := range commands {
		if out, err := exec.Command(c[0], c[1:]...).CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %s", strings.Join(c, " "), err, out)
		}
	}
	return nil
}

// Wipe empties the machine's disks.
func Wipe(t testing.TB) {
	t.Helper()
	for _, place := range disks {
		entries, err := os.ReadDir(place)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if err := os.RemoveAll(filepath.Join(place, e.Name())); err != nil {
				t.Fatal(err)
			}
		}
	}
}
