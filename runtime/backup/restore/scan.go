package restore

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// scan has the staged files looked at by ClamAV. What it finds something in goes to quarantine instead
// of coming back, and is reported; without an answer of the scanner nothing is restored.
func (r *Restorer) scan(ctx context.Context, dir, root string) error {
	program := r.Config.Restore.ClamScan
	if r.Options.NoScan || program == "" {
		if !slices.Contains(r.report.Unscanned, root) {
			r.report.Unscanned = append(r.report.Unscanned, root)
		}
		return nil
	}
	found, err := ScanTree(ctx, program, dir)
	if err != nil {
		return fmt.Errorf("nothing is restored: %w", err)
	}
	for _, path := range found {
		to, err := quarantine(path, dir, quarantineOf(root, r.report.Snapshot))
		if err != nil {
			return err
		}
		r.report.Infected = append(r.report.Infected, to)
	}
	return nil
}

// quarantineOf is where what was found below root is kept.
func quarantineOf(root, date string) string {
	return filepath.Join(root, Reserved+"quarantine-"+date)
}

// quarantine moves a file from below dir to the same name below to, or one beside what is there already.
func quarantine(path, dir, to string) (moved string, err error) {
	rel, err := filepath.Rel(dir, path)
	if err != nil {
		return "", err
	}
	moved = filepath.Join(to, rel)
	for n := 2; exists(moved); n++ {
		moved = filepath.Join(to, fmt.Sprintf("%s-%d", rel, n))
	}
	if err := os.MkdirAll(filepath.Dir(moved), 0o700); err != nil {
		return "", err
	}
	return moved, os.Rename(path, moved)
}

// ScanTree returns the files below dir in which clamscan or clamdscan finds something.
func ScanTree(ctx context.Context, program, dir string) ([]string, error) {
	found, said, err := clamscan(ctx, program, dir)
	if err == nil && said != "" {
		err = fmt.Errorf("%s gave no answer: %s", program, said)
	}
	return found, err
}

// clamscan returns what the scanner finds something in, and what it says of files that it could not look at.
func clamscan(ctx context.Context, program string, places ...string) (found []string, trouble string, err error) {
	args := []string{"--no-summary", "--infected"}
	if filepath.Base(program) == "clamdscan" {
		args = append(args, "--fdpass", "--multiscan") // the daemon may not be allowed to open the files
	} else {
		args = append(args, "--recursive", "--exclude-dir=/"+regexp.QuoteMeta(Reserved+"quarantine-"))
	}
	cmd := exec.CommandContext(ctx, program, append(args, places...)...)
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	err = cmd.Run()
	const infected, failed = 1, 2
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || exit.ExitCode() > failed || exit.ExitCode() < infected) {
		return nil, "", fmt.Errorf("%s gave no answer: %w: %s", program, err, strings.TrimSpace(said.String()))
	}
	for line := range strings.Lines(out.String()) {
		if rest, ok := strings.CutSuffix(strings.TrimSpace(line), " FOUND"); ok {
			found = append(found, rest[:strings.LastIndex(rest, ": ")])
		}
	}
	if exit != nil && exit.ExitCode() == infected && len(found) == 0 {
		return nil, "", fmt.Errorf("%s found something and did not say where", program)
	}
	if exit != nil && exit.ExitCode() == failed {
		trouble = cmp.Or(strings.TrimSpace(said.String()), exit.Error())
	}
	return found, trouble, nil
}

// CheckHost has rkhunter look at the running host. It says nothing about the files in a backup: it is
// worth running before trusting the host one restores to. The warnings are returned.
func CheckHost(ctx context.Context, program string) (string, error) {
	out, err := exec.CommandContext(ctx, program, "--check", "--skip-keypress", "--report-warnings-only", "--nocolors").CombinedOutput()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		err = nil // warnings are the answer, not a failure
	}
	return strings.TrimSpace(string(out)), err
}
