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

// inside marks the process that runs in the test's own machine.
const inside = "MAILPLAN_STACK_INSIDE"

// Run runs the tests of m in namespaces of their own: network, mounts, processes. Whatever they start,
// mount or listen on is gone with the last of them, and no port or address of the machine is touched.
// It returns the exit code. Addresses are put on the loopback, for what the site binds to.
func Run(m *testing.M, addresses ...string) int {
	if os.Getenv(inside) != "" {
		if err := furnish(addresses); err != nil {
			fmt.Fprintln(os.Stderr, "stack:", err)
			return 1
		}
		return m.Run()
	}
	if os.Geteuid() != 0 {
		fmt.Fprintln(os.Stderr, "stack: run as root; mounts and networks are made")
		return 1
	}
	args := append([]string{"--net", "--mount", "--uts", "--ipc", "--pid", "--fork", "--kill-child", "--mount-proc",
		"--propagation", "private", "--"}, os.Args...)
	cmd := exec.Command("unshare", args...)
	cmd.Env = append(os.Environ(), inside+"=1")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	err := cmd.Run()
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

// furnish gives the new machine a loopback with the addresses, and empty /srv and /mnt on real disk.
func furnish(addresses []string) error {
	commands := [][]string{{"ip", "link", "set", "lo", "up"}}
	for _, a := range addresses {
		commands = append(commands, []string{"ip", "address", "add", a, "dev", "lo"})
	}
	dir, err := os.MkdirTemp("", "stack")
	if err != nil {
		return err
	}
	for _, place := range []string{"/srv", "/mnt"} {
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
