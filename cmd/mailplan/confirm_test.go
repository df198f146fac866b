package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mailplan/mailplan/test/need"
)

// TestLockIsConfirmed brings the reference site up with real Terraform before the stand-in for AWS: the lock on what will
// be copied off-site can't be undone, so it is typed; with that everything converges.
func TestLockIsConfirmed(t *testing.T) {
	terraform := need.Program(t, "terraform")
	dir := t.TempDir()
	for _, pkg := range []string{".", "../../test/provider/mailplan-sandbox-aws"} {
		if out, err := exec.Command("go", "build", "-o", dir+"/", pkg).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	box := filepath.Join(t.TempDir(), "box")
	try := func(code int, says string, args ...string) {
		t.Helper()
		cmd := exec.Command(filepath.Join(dir, "mailplan"), append(args, "../../site", "--sandbox", box)...)
		cmd.Env = append(os.Environ(), "PATH="+dir+":"+filepath.Dir(terraform)+":"+os.Getenv("PATH"))
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := cmd.Run(); cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != code || !strings.Contains(out.String(), says) {
			t.Fatalf("%q: %v, want exit code %d and %q\n%s", args, err, code, says, out.String())
		}
	}
	try(2, "! for good: cloud resource aws_s3_bucket_object_lock_configuration.backup", "diff")
	try(3, "can't be undone; --confirm home", "apply")
	try(3, "nothing was changed", "apply", "--confirm", "hone")
	try(0, "changes in", "apply", "--confirm", "home")
	try(0, "nothing to do", "diff")
	try(0, "", "status")
}
