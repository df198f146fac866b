// Package sshd runs a real OpenSSH server for tests: on the loopback interface, with its own keys and configuration,
// letting in the user of the test with one key.
package sshd

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/mailplan/mailplan/test/need"
)

// Server is a running one.
type Server struct {
	URL        string // ssh://user@127.0.0.1:port
	Address    string
	KeyFile    string // the key that is let in
	KnownHosts string
	cmd        *exec.Cmd
}

// Env is the environment of a user who has the key and knows the host, and nothing else.
func (s *Server) Env(name string) string {
	return map[string]string{"MAILPLAN_SSH_KEY": s.KeyFile, "MAILPLAN_KNOWN_HOSTS": s.KnownHosts, "HOME": filepath.Dir(s.KeyFile)}[name]
}

// Start runs a server until the test ends. Extra are further lines of its configuration.
func Start(t testing.TB, extra ...string) *Server {
	t.Helper()
	program := need.Program(t, "sshd")
	if os.Geteuid() == 0 { // sshd wants it to give up its rights in
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	s := &Server{KeyFile: filepath.Join(dir, "id"), KnownHosts: filepath.Join(dir, "known_hosts"), Address: address(t)}
	write(t, filepath.Join(dir, "authorized"), ssh.MarshalAuthorizedKey(key(t, s.KeyFile)))
	hostKey := key(t, filepath.Join(dir, "host"))
	write(t, s.KnownHosts, []byte(knownhosts.Line([]string{s.Address}, hostKey)+"\n"))
	conf := filepath.Join(dir, "sshd_config")
	lines := append([]string{"ListenAddress " + s.Address, "HostKey " + filepath.Join(dir, "host"),
		"AuthorizedKeysFile " + filepath.Join(dir, "authorized"), "PidFile none", "UsePAM no", "StrictModes no",
		"PermitRootLogin prohibit-password", "PasswordAuthentication no", "KbdInteractiveAuthentication no",
		"Subsystem sftp internal-sftp"}, extra...)
	write(t, conf, []byte(strings.Join(lines, "\n")+"\n"))
	var log bytes.Buffer
	s.cmd = exec.Command(program, "-D", "-e", "-f", conf)
	s.cmd.Stderr = &log
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.cmd.Process.Kill()
		s.cmd.Wait()
		if t.Failed() {
			t.Logf("sshd said:\n%s", log.String())
		}
	})
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	s.URL = fmt.Sprintf("ssh://%s@%s", me.Username, s.Address)
	await(t, s.Address)
	return s
}

// key makes an Ed25519 key and writes its private half.
func key(t testing.TB, name string) ssh.PublicKey {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		t.Fatal(err)
	}
	write(t, name, pem.EncodeToMemory(block))
	k, err := ssh.NewPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func write(t testing.TB, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func address(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func await(t testing.TB, address string) {
	t.Helper()
	for range 200 {
		if conn, err := net.Dial("tcp", address); err == nil {
			conn.Close()
			return
		}
		time.Sleep(25 * time.Millisecond)
	}
	t.Fatalf("sshd does not listen on %s", address)
}
