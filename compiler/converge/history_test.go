package converge_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/mailplan/mailplan/compiler/apply/host"
	"github.com/mailplan/mailplan/compiler/converge"
)

// TestKeepHistory holds that the host has the last commit's history, readable by its owner alone, and is sent each once.
func TestKeepHistory(t *testing.T) {
	root := t.TempDir()
	owners, err := host.OpenRecordedOwners(filepath.Join(t.TempDir(), "owners.json"))
	if err != nil {
		t.Fatal(err)
	}
	target := &converge.Target{Host: &host.Host{Files: host.Local{Prefix: root, Owners: owners}, Root: "/srv/mail"}}
	sent := 0
	bundle := func(text string) func() ([]byte, error) {
		return func() ([]byte, error) { sent++; return []byte(text), nil }
	}
	for _, head := range []string{"one", "one", "two"} {
		if err := target.KeepHistory(head, bundle("history to "+head)); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(root, "srv/mail/site.bundle")
	got, err := os.ReadFile(file)
	if err != nil || string(got) != "history to two" || sent != 2 {
		t.Errorf("%q, %v, sent %d times", got, err, sent)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	broken := errors.New("no history")
	if err := target.KeepHistory("three", func() ([]byte, error) { return nil, broken }); !errors.Is(err, broken) {
		t.Error(err)
	}
	if got, err := os.ReadFile(file); err != nil || string(got) != "history to two" {
		t.Errorf("after a failure: %q, %v", got, err)
	}
}
