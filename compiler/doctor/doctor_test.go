package doctor_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mailplan/mailplan/compiler/check"
	"github.com/mailplan/mailplan/compiler/doctor"
	"github.com/mailplan/mailplan/compiler/plan"
)

// df is a host with two file systems, one of them nearly full; /srv/mail is still to be made.
func df(_ context.Context, _ io.Reader, argv ...string) ([]byte, error) {
	lines := map[string]string{
		"/":        "/dev/sda1 1000000 300000 700000 30% /",
		"/mnt/hdd": "/dev/sdb1 2000000 1920000 80000 96% /mnt/hdd",
		"/mnt/ssd": "/dev/sdc1 2000000 1760000 240000 88% /mnt/ssd disk",
	}
	line, ok := lines[argv[len(argv)-1]]
	if !ok {
		return nil, errors.New("No such file or directory")
	}
	return fmt.Appendf(nil, "Filesystem 1024-blocks Used Available Capacity Mounted on\n%s\n", line), nil
}

// TestDisk holds that each file system is weighed once, and a folder that is not there by the one it will be in.
func TestDisk(t *testing.T) {
	var got []string
	for _, f := range doctor.Disk(t.Context(), df, "/srv/mail", "/opt", "/mnt/hdd", "/mnt/ssd") {
		got = append(got, fmt.Sprint(f.State, ": ", f.Text))
	}
	want := []string{
		"good: /srv/mail: 70 % free, 0.7 GiB on /",
		"bad: /mnt/hdd: 4 % free, 0.1 GiB on /mnt/hdd",
		"doubtful: /mnt/ssd: 12 % free, 0.2 GiB on /mnt/ssd disk",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestWeights holds what keeps a deployment back and what does not.
func TestWeights(t *testing.T) {
	final := plan.Plan{Changes: []plan.Change{{Verb: plan.Delete, ID: "bob@example.com", Irreversible: "his mail is gone"}}}
	for name, one := range map[string]struct {
		finding doctor.Finding
		want    doctor.State
	}{
		"no remark":      {doctor.Configuration(nil), doctor.Good},
		"a warning":      {doctor.Configuration([]check.Finding{{Severity: check.Warning}}), doctor.Doubtful},
		"an error":       {doctor.Configuration([]check.Finding{{Severity: check.Error}}), doctor.Bad},
		"secret missing": {doctor.Secrets(errors.New("X is missing")), doctor.Bad},
		"cut off":        {doctor.Journal("plan 1 was cut off", nil), doctor.Doubtful},
		"journal broken": {doctor.Journal("", errors.New("unreadable")), doctor.Bad},
		"backup red":     {doctor.Backup(errors.New("red")), doctor.Bad},
		"for good":       {doctor.Way(final, nil), doctor.Doubtful},
		"conflict":       {doctor.Way(plan.Plan{Conflicts: make([]plan.Conflict, 1)}, nil), doctor.Bad},
		"no plan":        {doctor.Way(plan.Plan{}, errors.New("two zones of one name")), doctor.Bad},
		"nothing to do":  {doctor.Way(plan.Plan{}, nil), doctor.Good},
	} {
		if one.finding.State != one.want || one.finding.Text == "" {
			t.Errorf("%s: %+v, want %s", name, one.finding, one.want)
		}
	}
}
