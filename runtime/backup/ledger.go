package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/mailplan/mailplan/runtime/config"
	"github.com/mailplan/mailplan/runtime/ledger"
)

// ledgerTimeout bounds how long the daemon may take to give out its ledger.
const ledgerTimeout = 5 * time.Minute

// copyLedger writes a consistent copy of the ledger to path, with the owner and mode of the ledger itself. A copy
// of the file's bytes would be torn by deliveries that are written meanwhile, so the daemon is asked for one; the
// file is read directly only when no daemon has it open.
func copyLedger(ctx context.Context, c config.BackupClass, path string) error {
	info, err := os.Stat(c.Path)
	if err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	out, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, info.Mode().Perm())
	if err != nil {
		return err
	}
	err = readLedger(ctx, c, out)
	if owner, ok := info.Sys().(*syscall.Stat_t); ok && err == nil {
		err = out.Chown(int(owner.Uid), int(owner.Gid))
	}
	return errors.Join(err, out.Close())
}

func readLedger(ctx context.Context, c config.BackupClass, out io.Writer) error {
	file, err := ledger.OpenFile(c.Path)
	if errors.Is(err, ledger.ErrInUse) {
		return askForLedger(ctx, c.Ledger, out)
	}
	if err != nil {
		return err
	}
	return errors.Join(file.Snapshot(out), file.Close())
}

func askForLedger(ctx context.Context, from *config.BackupLedger, out io.Writer) error {
	token, err := os.ReadFile(from.TokenFile)
	if err != nil {
		return fmt.Errorf("ask the daemon for its ledger: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, ledgerTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, from.URL, nil)
	if err != nil {
		return fmt.Errorf("ask the daemon for its ledger: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("ask the daemon for its ledger: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("ask the daemon for its ledger: %s", resp.Status)
	}
	if _, err := io.Copy(out, resp.Body); err != nil {
		return fmt.Errorf("copy the daemon's ledger: %w", err)
	}
	return nil
}
