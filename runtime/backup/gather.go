package backup

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/mailplan/mailplan/runtime/backup/collect"
	"github.com/mailplan/mailplan/runtime/backup/dump"
	"github.com/mailplan/mailplan/runtime/backup/manifest"
	"github.com/mailplan/mailplan/runtime/backup/redis"
	"github.com/mailplan/mailplan/runtime/backup/restore"
	"github.com/mailplan/mailplan/runtime/config"
)

// maildirExclude are Dovecot's files which it can build again, and which change under the reader's
// hand: indexes, caches and locks. The uidlist and the keywords are not among them: without those every
// client would download everything again.
var maildirExclude = []string{"dovecot.index*", "dovecot.list.index*", "dovecot.mailbox.log*", "*.lock", ".temp.*"}

// prepared is a class with the files it is to be read from.
type prepared struct {
	class config.BackupClass
	root  string
	err   error // why there is nothing to read
}

// prepare makes the files of classes that cannot be read as they lie: dumps, Git bundles, copies of the ledger and
// of Redis, in a folder of the state. It comes before any mailbox is read, so that each user in the dump has a mailbox at least as
// new.
func (x *Executor) prepare(ctx context.Context) ([]prepared, error) {
	staging := x.statePath("staging")
	if err := os.RemoveAll(staging); err != nil {
		return nil, err
	}
	var all []prepared
	for _, c := range x.config.Classes {
		p := prepared{class: c, root: c.Path}
		if slices.Contains([]string{"mariadb", "git", "ledger", "redis"}, c.Kind) {
			p.root = filepath.Join(staging, c.Name)
			if err := os.MkdirAll(p.root, 0o700); err != nil {
				return nil, err
			}
			p.err = produce(ctx, c, p.root)
		}
		if c.Kind == "ledger" && p.err == nil {
			p.root = filepath.Join(p.root, filepath.Base(c.Path))
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		all = append(all, p)
	}
	slices.SortFunc(all, func(a, b prepared) int { return manifest.ComparePath(a.class.Name, b.class.Name) })
	return all, nil
}

func produce(ctx context.Context, c config.BackupClass, dir string) error {
	switch c.Kind {
	case "mariadb":
		return dump.Server{BackupDatabase: *c.Database}.Dump(ctx, dir)
	case "redis":
		return copyRedis(ctx, c, dir)
	case "ledger":
		return copyLedger(ctx, c, filepath.Join(dir, filepath.Base(c.Path)))
	}
	return bundle(ctx, c.Path, filepath.Join(dir, filepath.Base(c.Path)+".bundle"))
}

func copyRedis(ctx context.Context, c config.BackupClass, dir string) error {
	server := redis.Server{Address: c.Redis.Address, Data: c.Path}
	if c.Redis.PasswordFile != "" {
		password, err := os.ReadFile(c.Redis.PasswordFile)
		if err != nil {
			return fmt.Errorf("redis password: %w", err)
		}
		server.Password = strings.TrimRight(string(password), "\r\n")
	}
	return server.Copy(ctx, dir)
}

// bundle writes all branches and tags of a Git repository into one file `git clone` can read.
func bundle(ctx context.Context, repository, path string) error {
	cmd := exec.CommandContext(ctx, "git", "-C", repository, "-c", "safe.directory=*", "bundle", "create", path, "--all")
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("git bundle of %s: %w: %s", repository, err, strings.TrimSpace(said.String()))
	}
	return nil
}

// collectAll has every class packed. A class that cannot be read is in the result with its error.
func (x *Executor) collectAll(ctx context.Context, c *collect.Collector, all []prepared) ([]manifest.Class, error) {
	var classes []manifest.Class
	for _, p := range all {
		class, err := c.Add(ctx, x.source(p))
		if err != nil {
			return nil, fmt.Errorf("class %s: %w", p.class.Name, err)
		}
		if p.err != nil {
			class.Error = errors.Join(p.err).Error()
		}
		classes = append(classes, class)
	}
	return classes, nil
}

func (x *Executor) source(p prepared) collect.Source {
	exclude := append(slices.Clone(p.class.Exclude), restore.Reserved+"*")
	s := collect.Source{Class: p.class.Name, Kind: p.class.Kind, Root: p.root, Exclude: exclude}
	if p.class.Kind == "maildir" {
		s.Maildir, s.Exclude = true, append(exclude, maildirExclude...)
	}
	return s
}
