package main

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestKilledApplyGoesOn kills an apply at many moments and runs it again: the end is the same as without the kill.
func TestKilledApplyGoesOn(t *testing.T) {
	mailplan := filepath.Join(t.TempDir(), "mailplan")
	if out, err := exec.Command("go", "build", "-o", mailplan, ".").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	box := filepath.Join(t.TempDir(), "box")
	run(t, mailplan, "apply", "../../site", "--sandbox", box)
	want := files(t, box)
	cut := 0
	for delay := 10 * time.Millisecond; delay < 500*time.Millisecond; delay += 45 * time.Millisecond {
		box := filepath.Join(t.TempDir(), "box")
		cmd := exec.Command(mailplan, "apply", "../../site", "--sandbox", box)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(delay)
		cmd.Process.Kill()
		cmd.Wait()
		if strings.Contains(run(t, mailplan, "apply", "../../site", "--sandbox", box), "was cut off") {
			cut++
		}
		if d := cmp.Diff(want, files(t, box)); d != "" {
			t.Fatalf("killed after %v: %s", delay, d)
		}
		if out := run(t, mailplan, "diff", "../../site", "--sandbox", box); !strings.Contains(out, "nothing to do") {
			t.Fatalf("killed after %v, then applied: %s", delay, out)
		}
	}
	t.Logf("%d applies were cut off between two steps", cut)
}

func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	var out bytes.Buffer
	cmd := exec.Command(name, args...)
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out.String())
	}
	return out.String()
}

// files lists the host's files with their modes; what is made up anew in each sandbox is not compared.
func files(t *testing.T, box string) []string {
	t.Helper()
	var list []string
	err := filepath.WalkDir(filepath.Join(box, "host"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(box, path)
		list = append(list, info.Mode().String()+" "+rel)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(box, "edge")); err != nil {
		t.Fatal(err)
	}
	return list
}
