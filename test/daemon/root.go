package daemon

import (
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mailplan/mailplan/test/need"
)

// patience is how long one program may take before it is ended and the test fails.
const patience = 2 * time.Minute

//go:embed enter.sh
var enter string

// Root is a throw-away root file system: an installed Debian, seen through a copy-on-write layer,
// with files of a test laid over it. Each Run starts from the same state; what a program writes is
// gone after it.
type Root struct {
	t     testing.TB
	lower string   // the Debian underneath
	stage string   // this root's own folder
	lay   []string // staged copy, place, staged copy, place ... in the order to lay them
	env   []string
}

// Result is what a program said, and how it ended.
type Result struct {
	Stdout, Stderr string
	Err            error // nil if it exited 0
}

// NewHostRoot returns a root on the machine's own Debian.
func NewHostRoot(t testing.TB) *Root { return newRoot(t, "/") }

// NewTrixieRoot returns a root on the Debian 13 that .ci/setup makes.
func NewTrixieRoot(t testing.TB) *Root { return newRoot(t, need.Trixie(t)) }

func newRoot(t testing.TB, lower string) *Root {
	t.Helper()
	need.Root(t)
	need.Program(t, "unshare")
	r := &Root{t: t, lower: lower, stage: t.TempDir(),
		env: []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C", "HOME=/root"}}
	r.Add(TLS(t, CertPath, KeyPath)...)
	r.Write("/etc/hosts", "127.0.0.1 localhost\n", 0o644)
	r.Write("/etc/resolv.conf", "nameserver 127.0.0.1\n", 0o644)
	return r
}

// Mount shows a copy of source, a file or a folder, at place, and nothing else there: like a bind
// mount of compose it hides what the image has at that place.
func (r *Root) Mount(source, place string) {
	r.t.Helper()
	staged := r.next()
	if err := stageCopy(source, staged); err != nil {
		r.t.Fatalf("stage %s for %s: %v", source, place, err)
	}
	r.lay = append(r.lay, staged, place)
}

// empty shows an empty folder at place; the root's own mounts stay.
func (r *Root) empty(place string) {
	r.t.Helper()
	switch place {
	case "/tmp", "/run", "/var/run", "/dev/shm":
	default:
		r.Mount(r.t.TempDir(), place)
	}
}

// Overlay shows a copy of each file below dir at the same path below place, and leaves what else is
// there.
func (r *Root) Overlay(dir, place string) {
	r.t.Helper()
	err := eachFile(dir, func(path string) error {
		relative, err := filepath.Rel(dir, path)
		if err == nil {
			r.Mount(path, filepath.Join(place, relative))
		}
		return err
	})
	if err != nil {
		r.t.Fatalf("stage %s for %s: %v", dir, place, err)
	}
}

// Write puts a file at place.
func (r *Root) Write(place, text string, mode fs.FileMode) {
	r.t.Helper()
	staged := r.next()
	if err := os.WriteFile(staged, []byte(text), mode); err != nil {
		r.t.Fatalf("stage %s: %v", place, err)
	}
	r.lay = append(r.lay, staged, place)
}

// Add puts files where they say they belong.
func (r *Root) Add(files ...File) {
	r.t.Helper()
	for _, f := range files {
		r.Write(f.Path, f.Text, f.Mode)
	}
}

// User makes a user and a group of that name known, with id as their number.
func (r *Root) User(name string, id int) {
	r.t.Helper()
	r.appendTo("/etc/passwd", fmt.Sprintf("%s:x:%d:%d::/nonexistent:/usr/sbin/nologin\n", name, id, id))
	r.appendTo("/etc/group", fmt.Sprintf("%s:x:%d:\n", name, id))
}

// Hosts makes names known, as the other services of a compose network are, with a loopback address.
func (r *Root) Hosts(names ...string) {
	r.t.Helper()
	r.appendTo("/etc/hosts", "127.0.0.1 "+strings.Join(names, " ")+"\n")
}

// Setenv sets a variable of the programs' environment.
func (r *Root) Setenv(name, value string) { r.env = append(r.env, name+"="+value) }

// Run runs a program in the root, as root, alone with a loopback interface.
func (r *Root) Run(argv ...string) Result {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), patience)
	defer cancel()
	layer, err := os.MkdirTemp(r.stage, "layer")
	if err != nil {
		r.t.Fatal(err)
	}
	args := []string{"--mount", "--propagation", "private", "--net", "--uts", "--ipc", "--pid", "--fork", "--kill-child",
		"--", "sh", "-c", enter, "enter", r.lower, layer, strconv.Itoa(len(r.lay) / 2)}
	args = append(append(args, r.lay...), argv...)
	cmd := exec.CommandContext(ctx, "unshare", args...)
	cmd.Env = r.env
	cmd.WaitDelay = 5 * time.Second
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err = cmd.Run()
	return Result{stdout.String(), stderr.String(), err}
}

// Script runs a shell script in the root, its arguments as $1 and on.
func (r *Root) Script(script string, args ...string) Result {
	r.t.Helper()
	return r.Run(append([]string{"sh", "-euc", script, "script"}, args...)...)
}

func (r *Root) next() string { return filepath.Join(r.stage, strconv.Itoa(len(r.lay)/2)) }

// appendTo adds text to a file as it stands: laid before, or else the Debian's own.
func (r *Root) appendTo(place, text string) {
	r.t.Helper()
	current := filepath.Join(r.lower, place)
	for i := 1; i < len(r.lay); i += 2 {
		if r.lay[i] == place {
			current = r.lay[i-1]
		}
	}
	before, err := os.ReadFile(current)
	if err != nil {
		r.t.Fatalf("add to %s: %v", place, err)
	}
	r.Write(place, string(before)+text, 0o644)
}
