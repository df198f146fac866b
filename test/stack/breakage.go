package stack

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// Freeze stops the processes of a service whose command line holds the words, as a hang would; no words stop all. Thaw
// lets all of them go on.
func (p *Project) Freeze(service, words string) error {
	return p.signal(service, words, syscall.SIGSTOP)
}

// Thaw undoes Freeze.
func (p *Project) Thaw(service string) error { return p.signal(service, "", syscall.SIGCONT) }

// Kill ends processes at once, as running out of memory would.
func (p *Project) Kill(service, words string) error {
	return p.signal(service, words, syscall.SIGKILL)
}

func (p *Project) signal(service, words string, signal syscall.Signal) error {
	pids, err := p.processes(service, words)
	if err != nil {
		return err
	}
	for _, pid := range pids {
		if err := syscall.Kill(pid, signal); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("%s: %s %d: %w", service, signal, pid, err)
		}
	}
	return nil
}

// processes are those of a service's container, as this machine numbers them.
func (p *Project) processes(service, words string) ([]int, error) {
	id, err := p.Compose("ps", "--quiet", "--no-trunc", service)
	if err != nil {
		return nil, err
	}
	all, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, dir := range all {
		group, _ := os.ReadFile(dir + "/cgroup") // gone when it has ended
		line, _ := os.ReadFile(dir + "/cmdline")
		title := strings.ReplaceAll(string(line), "\x00", " ")
		if !strings.Contains(string(group), strings.TrimSpace(id)) || !strings.Contains(title, words) {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err != nil {
			return nil, err
		}
		pids = append(pids, pid)
	}
	if len(pids) == 0 {
		return nil, fmt.Errorf("%s has no process %q", service, words)
	}
	return pids, nil
}
