package host_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mailplan/mailplan/compiler/apply/host"
	"github.com/mailplan/mailplan/compiler/model"
	"github.com/mailplan/mailplan/compiler/plan"
)

// changes plans a host that wants programs only.
func changes(t *testing.T, p *host.Plane) []plan.Change {
	t.Helper()
	desired, err := p.Desired(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	live, err := p.Live(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	list, _ := plan.Diff(live, desired)
	return list
}

// TestPrograms lays down what lies beside mailplan, mends it on the host, and lays down nothing that was not planned.
func TestPrograms(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	write("mailpland", "one")
	write("other", "not ours")
	h := newHost(t, nil)
	p := &host.Plane{Host: h, Tree: model.Tree{}, Programs: host.Programs(dir)}
	apply := func(want string) {
		t.Helper()
		list := changes(t, p)
		var got []string
		for _, c := range list {
			got = append(got, string(c.Verb)+" "+c.ID)
		}
		if err := p.Apply(context.Background(), list); err != nil || strings.Join(got, "\n") != want {
			t.Errorf("%v %v, want %q", got, err, want)
		}
	}
	const name = root + "/bin/mailpland"
	apply("create " + name)
	if info, err := h.Files.Stat(name, false); err != nil || info.Mode.Perm() != 0o755 || info.UID != 0 {
		t.Errorf("%+v %v", info, err)
	}
	apply("")
	write("mailpland", "two")
	apply("update " + name)
	if err := h.Files.WriteFile(name, []byte("by hand"), host.Info{Mode: 0o700, UID: 0}); err != nil {
		t.Fatal(err)
	}
	apply("update " + name)
	if got, err := h.Files.ReadFile(name); err != nil || string(got) != "two" {
		t.Errorf("%q %v", got, err)
	}
	write("mailpland", "three")
	list := changes(t, p)
	write("mailpland", "four")
	if err := p.Apply(context.Background(), list); err == nil || !strings.Contains(err.Error(), "plan again") {
		t.Errorf("a program that changed after the plan: %v", err)
	}
}

// TestRunnablePrograms takes what runs in an image of nothing else, and says how to get it when it does not.
func TestRunnablePrograms(t *testing.T) {
	dir := t.TempDir()
	build := exec.Command("go", "build", "-o", dir, "github.com/mailplan/mailplan/cmd/mailplan-learn")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	learn, err := os.ReadFile(filepath.Join(dir, "mailplan-learn"))
	if err != nil {
		t.Fatal(err)
	}
	shell, err := os.ReadFile("/bin/sh")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		daemon []byte
		says   string
	}{
		"missing":           {nil, "must lie beside mailplan"},
		"script":            {[]byte("#!/bin/sh\n"), "is no program for Linux"},
		"needs a C library": {shell, "needs libraries"},
		"static":            {learn, ""},
	} {
		file := filepath.Join(dir, "mailpland")
		if err := os.WriteFile(file, c.daemon, 0o755); err != nil {
			t.Fatal(err)
		}
		if c.daemon == nil {
			if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
		}
		list, err := host.RunnablePrograms(dir)
		if c.says == "" {
			if err != nil || !slices.Equal(list, host.Programs(dir)) || len(list) != 2 {
				t.Errorf("%s: %v %v", name, list, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), "go build -o "+dir+" ./cmd/mailpland") {
			t.Errorf("%s: %v, want %q and how to build", name, err, c.says)
		}
	}
}
