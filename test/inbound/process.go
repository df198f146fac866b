// Package inbound runs what inbound mail passes on its way, for tests: the Email Worker in workerd, a
// stand-in for the tunnel, Rspamd and clamd with the emitted settings, and a database. Each can be
// killed, stalled and started again. It knows how to run them and nothing of what a test wants from them.
package inbound

import (
	"bytes"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Process is a program that can be started again. It and its children are one process group.
type Process struct {
	t     testing.TB
	argv  []string
	ready func() error

	mu      sync.Mutex
	cmd     *exec.Cmd
	release func() // of the group's guard
	log     bytes.Buffer
}

// start runs a program until the test ends and waits until ready says nil.
func start(t testing.TB, ready func() error, argv ...string) *Process {
	t.Helper()
	p := &Process{t: t, argv: argv, ready: ready}
	t.Cleanup(p.Kill)
	p.Run()
	return p
}

// Run starts the program again after [Process.Kill] or [Process.Stop], and waits until it is ready.
func (p *Process) Run() {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.log.Reset()
	p.cmd = exec.Command(p.argv[0], p.argv[1:]...)
	p.cmd.Stdout, p.cmd.Stderr = &p.log, &p.log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.release = guard(p.t, p.cmd.Process.Pid)
	err := p.ready()
	for end := time.Now().Add(time.Minute); err != nil && time.Now().Before(end); err = p.ready() {
		time.Sleep(20 * time.Millisecond)
	}
	if err != nil {
		p.t.Fatalf("%s is not ready: %v", filepath.Base(p.argv[0]), err)
	}
}

// Kill is kill -9 for all of it.
func (p *Process) Kill() { p.end(syscall.SIGKILL) }

// Stop asks it to end and waits.
func (p *Process) Stop() { p.end(syscall.SIGTERM) }

func (p *Process) end(s syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return
	}
	group := -p.cmd.Process.Pid
	syscall.Kill(group, s)
	p.cmd.Wait()
	syscall.Kill(group, syscall.SIGKILL) // children that outlive it
	p.release()
	p.cmd = nil
}

// guard has a process group end with this process, however that ends; Pdeathsig reaches but the first of the group.
func guard(t testing.TB, group int) (release func()) {
	t.Helper()
	cmd := exec.Command("sh", "-c", fmt.Sprintf("read -r _ || kill -s KILL -- -%d", group))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	alive, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	return func() {
		io.WriteString(alive, "released\n")
		cmd.Wait()
	}
}

// Stall has it stand still for a while.
func (p *Process) Stall(d time.Duration) {
	p.signal(syscall.SIGSTOP)
	time.Sleep(d)
	p.signal(syscall.SIGCONT)
}

func (p *Process) signal(s syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd != nil {
		syscall.Kill(-p.cmd.Process.Pid, s)
	}
}
