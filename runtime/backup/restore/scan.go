package restore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// scan has the staged files looked at by ClamAV. What it finds something in goes to quarantine instead
// of coming back, and is reported; without an answer of the scanner nothing is restored.
func (r *Restorer) scan(ctx context.Context, dir, quarantine string) error {
	program := r.Config.Restore.ClamScan
	if r.Options.NoScan || program == "" {
		r.note("nothing was scanned for viruses below %s", filepath.Dir(quarantine))
		return nil
	}
	found, err := ScanTree(ctx, program, dir)
	if err != nil {
		return err
	}
	for _, path := range found {
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		to := filepath.Join(quarantine, rel)
		if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
			return err
		}
		if err := os.Rename(path, to); err != nil {
			return err
		}
		r.report.Infected = append(r.report.Infected, to)
	}
	return nil
}

// ScanTree returns the files below dir in which clamscan or clamdscan finds something.
func ScanTree(ctx context.Context, program, dir string) ([]string, error) {
	args := []string{"--no-summary", "--infected"}
	if filepath.Base(program) == "clamdscan" {
		args = append(args, "--fdpass", "--multiscan") // the daemon may not be allowed to open the files
	} else {
		args = append(args, "--recursive")
	}
	cmd := exec.CommandContext(ctx, program, append(args, dir)...)
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	err := cmd.Run()
	const infected = 1
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || exit.ExitCode() != infected) {
		return nil, fmt.Errorf("%s gave no answer, so nothing is restored: %w: %s", program, err, strings.TrimSpace(said.String()))
	}
	var found []string
	for line := range strings.Lines(out.String()) {
		if rest, ok := strings.CutSuffix(strings.TrimSpace(line), " FOUND"); ok {
			found = append(found, rest[:strings.LastIndex(rest, ": ")])
		}
	}
	if err != nil && len(found) == 0 {
		return nil, fmt.Errorf("%s found something and did not say where, so nothing is restored", program)
	}
	return found, nil
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
