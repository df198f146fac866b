package rotate_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mailplan/mailplan/compiler"
	"github.com/mailplan/mailplan/compiler/rotate"
)

// TestForget holds that a public key stays as long as a backup of it may be asked for: for the days that backups and receipts
// of drills are kept, and longer where the host has one still or does not say.
func TestForget(t *testing.T) {
	const key = "sfJCvSAGQ0d33W8ZWdKA25uGkMnDcp8ZzfRzfSsk3ms="
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "site.cue"), []byte(twoDomains+`backup: signers: "`+key+`": retired: "2027-01-01"
secrets: names: BACKUP_SIGNING_KEY: rotated: "2026-12-31"
`), 0o600); err != nil {
		t.Fatal(err)
	}
	site, err := compiler.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		day     string
		applied bool
		kept    []string
		err     error
		want    string
	}{
		{"2027-02-21", true, nil, nil, ""}, // drills are good for 45 days, and a week to be sure
		{"2027-02-22", true, nil, nil, "BACKUP_SIGNING_KEY: backups signed with " + key + " are gone; it is believed no longer from the next apply on"},
		{"2027-02-22", false, nil, nil, "BACKUP_SIGNING_KEY: the live system is not as declared: mailplan apply first"},
		{"2027-06-01", true, []string{"other", key}, nil, "BACKUP_SIGNING_KEY: there are backups still that are signed with " + key},
		{"2027-06-01", true, nil, errors.New("nobody answers"), "BACKUP_SIGNING_KEY: it is not known whether there are backups signed with " + key + ": nobody answers"},
	} {
		now, err := time.Parse(time.DateOnly, test.day)
		if err != nil {
			t.Fatal(err)
		}
		steps, waits, err := rotate.Steps(rotate.Request{Site: site.Model, Now: now, Names: []string{"none"}, Observed: rotate.Observed{
			Applied: func() (bool, error) { return test.applied, nil },
			Signers: func() ([]string, error) { return test.kept, test.err },
		}})
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range steps {
			waits = append(waits, s.Text)
		}
		var want []string
		if test.want != "" {
			want = []string{test.want}
		}
		if d := cmp.Diff(want, waits); d != "" {
			t.Errorf("%s: %s", test.day, d)
		}
	}
}
