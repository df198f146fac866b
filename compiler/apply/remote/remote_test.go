package remote_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"github.com/mailplan/mailplan/compiler/apply/host"
	"github.com/mailplan/mailplan/compiler/apply/remote"
	"github.com/mailplan/mailplan/compiler/model"
	"github.com/mailplan/mailplan/compiler/plan"
	"github.com/mailplan/mailplan/test/sshd"
)

func dial(t *testing.T, s *sshd.Server) *remote.Conn {
	t.Helper()
	c, err := remote.Dial(context.Background(), s.URL, s.Env)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// TestHostPlane converges a host over SSH: content, modes, what is no longer wanted; a second time there is nothing to do.
func TestHostPlane(t *testing.T) {
	c := dial(t, sshd.Start(t, "LogLevel ERROR"))
	root := filepath.Join(t.TempDir(), "srv")
	h := &host.Host{Files: c.Files(root + "/.mailplan"), Root: root, Secrets: func(string) (string, error) { return "canary", nil }}
	file := func(path string, mode fs.FileMode, text string) model.File {
		return model.File{Path: model.ProjectDir + "/" + path, Mode: mode, UID: os.Getuid(), GID: os.Getgid(), Content: []byte(text)}
	}
	first := []model.File{file("a/b.conf", 0o644, "one\n"), file("old", 0o644, "old"), file("secret", 0o400, model.SecretMark("X"))}
	converge(t, h, first, 3)
	for name, mode := range map[string]fs.FileMode{"a/b.conf": 0o644, "secret": 0o400, ".mailplan": 0o700 | fs.ModeDir, ".mailplan/files.json": 0o600} {
		if info, err := os.Stat(filepath.Join(root, name)); err != nil || info.Mode() != mode {
			t.Errorf("%s: %v %v, want %v", name, info.Mode(), err, mode)
		}
	}
	if got, _ := os.ReadFile(filepath.Join(root, "secret")); string(got) != "canary" {
		t.Errorf("secret is %q", got)
	}
	converge(t, h, first, 0)
	converge(t, h, []model.File{file("a/b.conf", 0o600, "two\n"), first[2]}, 2)
	if _, err := os.Stat(filepath.Join(root, "old")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file that is no longer wanted: %v", err)
	}
	left, err := filepath.Glob(filepath.Join(root, ".mailplan", "new-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

// TestDigest has the host digest a file whose name is no word for a shell.
func TestDigest(t *testing.T) {
	c := dial(t, sshd.Start(t, "LogLevel ERROR"))
	name := filepath.Join(t.TempDir(), "it's a $HOME")
	if err := os.WriteFile(name, []byte("abc"), 0o600); err != nil {
		t.Fatal(err)
	}
	files, ok := c.Files(t.TempDir()).(interface{ Digest(string) (string, error) })
	if !ok {
		t.Fatal("every plan would bring the programs over to compare them")
	}
	const want = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
	if got, err := files.Digest(name); err != nil || got != want {
		t.Errorf("%s %v", got, err)
	}
}

func converge(t *testing.T, h *host.Host, files []model.File, want int) {
	t.Helper()
	ctx := context.Background()
	tree, err := model.NewTree(files)
	if err != nil {
		t.Fatal(err)
	}
	p := &host.Plane{Host: h, Tree: tree}
	desired, err := p.Desired(ctx)
	if err != nil {
		t.Fatal(err)
	}
	live, err := p.Live(ctx)
	if err != nil {
		t.Fatal(err)
	}
	changes, _ := plan.Diff(live, desired)
	if len(changes) != want {
		t.Errorf("%d changes, want %d: %v", len(changes), want, changes)
	}
	if err := p.Apply(ctx, changes); err != nil {
		t.Fatal(err)
	}
}

// TestLock holds that runs over SSH and on the host itself keep each other off, name who is at work, and that a
// connection that is cut leaves no lock behind.
func TestLock(t *testing.T) {
	s := sshd.Start(t)
	ctx, file := context.Background(), filepath.Join(t.TempDir(), "lock")
	litter := filepath.Join(filepath.Dir(file), "new-0123")
	if err := os.WriteFile(litter, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	one, two := dial(t, s), dial(t, s)
	unlock, err := one.Lock(ctx, file, "alice since noon")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(litter); err == nil {
		t.Error("what a killed run prepared is still there")
	}
	if _, err := two.Lock(ctx, file, "bob"); !errors.Is(err, host.ErrLocked) || !strings.Contains(err.Error(), "alice since noon") {
		t.Errorf("a second lock: %v", err)
	}
	if _, err := host.Lock(file, "carol"); !errors.Is(err, host.ErrLocked) || !strings.Contains(err.Error(), "alice since noon") {
		t.Errorf("a lock on the host: %v", err)
	}
	unlock()
	again, err := host.Lock(file, "carol")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := two.Lock(ctx, file, "bob"); !errors.Is(err, host.ErrLocked) || !strings.Contains(err.Error(), "carol") {
		t.Errorf("while it is locked on the host: %v", err)
	}
	again()
	if _, err := one.Lock(ctx, file, "alice again"); err != nil {
		t.Fatal(err)
	}
	one.Close() // without unlock
	for range 100 {
		if unlock, err = two.Lock(ctx, file, "bob"); err == nil {
			unlock()
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Errorf("a cut connection still holds the lock: %v", err)
}

// TestRun passes words as they are, standard input, and what went wrong.
func TestRun(t *testing.T) {
	c := dial(t, sshd.Start(t))
	ctx := context.Background()
	const odd = "it's $HOME `id`; \"x\" *"
	out, err := c.Run(ctx, bytes.NewBufferString("in"), "sh", "-c", `printf '%s|' "$@"; cat`, "sh", odd, "")
	if err != nil || string(out) != odd+"||in" {
		t.Errorf("%q, %v", out, err)
	}
	if _, err := c.Run(ctx, nil, "sh", "-c", "echo no such thing >&2; exit 7"); err == nil || !strings.Contains(err.Error(), "no such thing") {
		t.Errorf("error %v, want what it said", err)
	}
	ctx, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
	defer cancel()
	if _, err := c.Run(ctx, nil, "sleep", "60"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a program that hangs: %v", err)
	}
}

// TestWhoIsThere holds that a host whose key is not known, or is another, is not talked to, and that keys come from
// the agent as well.
func TestWhoIsThere(t *testing.T) {
	s, other := sshd.Start(t), sshd.Start(t)
	ctx := context.Background()
	with := func(name, value string) func(string) string {
		return func(n string) string {
			if n == name {
				return value
			}
			return s.Env(n)
		}
	}
	nobody := filepath.Join(t.TempDir(), "known_hosts")
	if err := os.WriteFile(nobody, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := remote.Dial(ctx, s.URL, with("MAILPLAN_KNOWN_HOSTS", nobody)); err == nil || !strings.Contains(err.Error(), "not known: compare ssh-ed25519 SHA256:") {
		t.Errorf("an unknown host: %v", err)
	}
	lines, err := os.ReadFile(other.KnownHosts)
	if err != nil {
		t.Fatal(err)
	}
	otherHost, _, _ := strings.Cut(string(lines), " ")
	thisHost := "[" + strings.Replace(s.Address, ":", "]:", 1)
	if err := os.WriteFile(nobody, bytes.Replace(lines, []byte(otherHost), []byte(thisHost), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := remote.Dial(ctx, s.URL, with("MAILPLAN_KNOWN_HOSTS", nobody)); err == nil || !strings.Contains(err.Error(), "somebody may be in between") {
		t.Errorf("a host with another key: %v", err)
	}
	if _, err := remote.Dial(ctx, s.URL, with("MAILPLAN_SSH_KEY", other.KeyFile)); err == nil {
		t.Error("a key that is not let in was let in")
	}
	c, err := remote.Dial(ctx, s.URL, func(name string) string {
		return map[string]string{"MAILPLAN_KNOWN_HOSTS": s.KnownHosts, "HOME": t.TempDir(), "SSH_AUTH_SOCK": serveAgent(t, s.KeyFile)}[name]
	})
	if err != nil {
		t.Fatalf("with the agent: %v", err)
	}
	c.Close()
}

func serveAgent(t *testing.T, keyFile string) string {
	t.Helper()
	data, err := os.ReadFile(keyFile)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ssh.ParseRawPrivateKey(data)
	if err != nil {
		t.Fatal(err)
	}
	ring := agent.NewKeyring()
	if err := ring.Add(agent.AddedKey{PrivateKey: key}); err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(t.TempDir(), "agent")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go agent.ServeAgent(ring, conn)
		}
	}()
	return socket
}
