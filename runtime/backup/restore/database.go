package restore

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/mailplan/mailplan/runtime/backup/dump"
	"github.com/mailplan/mailplan/runtime/config"
)

// database restores the declared databases: the dump is first loaded beside, to see that it loads; what
// is there is dumped and kept; then the database is made anew.
func (r *Restorer) database(ctx context.Context, c config.BackupClass) error {
	dir := filepath.Join(r.Config.State, "restored", c.Name)
	if err := r.stageInto(ctx, c.Name, dir); err != nil {
		return err
	}
	server := dump.Server{BackupDatabase: *c.Database}
	before := filepath.Join(r.Config.State, "before-"+r.report.Snapshot, c.Name)
	if err := os.MkdirAll(before, 0o700); err != nil {
		return err
	}
	for _, name := range c.Database.Databases {
		if err := r.reload(ctx, server, name, dir, before); err != nil {
			return err
		}
		r.report.Databases = append(r.report.Databases, name)
	}
	kept := filepath.Join(filepath.Dir(before), c.Name+"-"+stamp(time.Now()))
	if err := os.Rename(before, kept); err != nil {
		return err
	}
	r.report.Before = append(r.report.Before, kept)
	if accounts := filepath.Join(dir, dump.AccountsFile); exists(accounts) {
		r.note("%s holds the server's accounts; it is not loaded by itself, since it would replace those of today", accounts)
	}
	return nil
}

func (r *Restorer) reload(ctx context.Context, server dump.Server, name, dir, before string) error {
	path := filepath.Join(dir, name+".sql")
	if err := server.Try(ctx, "mailplan_restore_check", path); err != nil {
		return fmt.Errorf("the dump does not load, nothing was changed: %w", err)
	}
	if err := keepOld(ctx, server, name, before); err != nil {
		return err
	}
	return server.Replace(ctx, name, path)
}

// keepOld dumps the database which is to be replaced, once: after an interruption it may be half-loaded.
func keepOld(ctx context.Context, server dump.Server, name, before string) error {
	found, err := server.Exists(ctx, name)
	if err != nil || !found || exists(filepath.Join(before, name+".sql")) {
		return err
	}
	server.Databases, server.Accounts = []string{name}, false
	return server.Dump(ctx, before)
}

// repository restores a Git bundle: as a clone where there is no repository, else beside.
func (r *Restorer) repository(ctx context.Context, c config.BackupClass) error {
	dir := filepath.Join(r.Config.State, "restored", c.Name)
	if err := r.stageInto(ctx, c.Name, dir); err != nil {
		return err
	}
	bundle := filepath.Join(dir, filepath.Base(c.Path)+".bundle")
	if exists(c.Path) {
		r.note("%s exists and was left alone; `git pull %s` there brings what the backup has", c.Path, bundle)
		return nil
	}
	var said bytes.Buffer
	cmd := exec.CommandContext(ctx, "git", "clone", "--quiet", bundle, c.Path)
	cmd.Stderr = &said
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("git clone %s: %w: %s", bundle, err, bytes.TrimSpace(said.Bytes()))
	}
	r.report.Places = append(r.report.Places, c.Path)
	return nil
}
