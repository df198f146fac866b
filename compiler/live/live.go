// Package live assembles the planes of a site as they really are: its host, here or over SSH, and the accounts at its
// providers, opened by the secrets beside the site. Package sandbox is its counterpart.
package live

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"

	"github.com/mailplan/mailplan/compiler/apply"
	"github.com/mailplan/mailplan/compiler/apply/host"
	"github.com/mailplan/mailplan/compiler/apply/remote"
	"github.com/mailplan/mailplan/compiler/converge"
	"github.com/mailplan/mailplan/compiler/model"
	"github.com/mailplan/mailplan/compiler/secrets"
)

// Options say what to open.
type Options struct {
	Dir    string // the site's folder, with its secrets
	Site   *model.Site
	Tree   model.Tree
	Planes []string // only these; none means all
	Holder string   // who applies, as others are told; empty only looks, and takes no lock
	Env    func(string) string
	// Programs is the folder with mailpland and mailplan-learn for the host; empty leaves those alone that are there.
	Programs string
}

// Target is an open one. Close ends its connections and gives the lock back.
type Target struct {
	*converge.Target
	closers []func() error
}

// Close is to be called once.
func (t *Target) Close() error {
	var errs []error
	for _, c := range slices.Backward(t.closers) {
		errs = append(errs, c())
	}
	return errors.Join(errs...)
}

// Open opens the secrets, names at once what is missing among them, and only then talks to anybody.
func Open(ctx context.Context, o Options) (_ *Target, err error) {
	store, err := secrets.Open(o.Dir, o.Site, o.Env)
	if err != nil {
		return nil, err
	}
	if err := store.Complete(o.Planes); err != nil {
		return nil, err
	}
	journal, err := journalFile(o)
	if err != nil {
		return nil, err
	}
	t := &Target{Target: &converge.Target{Journal: apply.Open(journal)}}
	defer func() {
		if err != nil {
			err = errors.Join(err, t.Close())
		}
	}()
	machine, err := t.connect(ctx, o)
	if err != nil {
		return nil, err
	}
	t.Run, t.Backup, t.Signers = machine.run, backup(o.Site, machine.run), signers(o.Site, machine.run)
	t.Host = &host.Host{Files: machine.files, Root: o.Site.Host.Root, Secrets: store.Value}
	if o.Holder != "" {
		if err := t.lock(ctx, machine, o); err != nil {
			return nil, err
		}
	}
	if t.Planes, err = planes(ctx, o, store, t.Host, machine.run); err != nil {
		return nil, err
	}
	return t, t.Only(o.Planes)
}

// journalFile is with whoever applies: it must be there when the host is not.
func journalFile(o Options) (string, error) {
	dir := filepath.Join(cmp.Or(o.Env("XDG_STATE_HOME"), filepath.Join(o.Env("HOME"), ".local", "state")), "mailplan")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("make the folder of the journal: %w", err)
	}
	return filepath.Join(dir, o.Site.Name+".jsonl"), nil
}

// machine is the host as it is reached.
type machine struct {
	files host.Files
	run   host.Runner
	lock  func(ctx context.Context, file, holder string) (unlock func(), err error)
}

func (t *Target) connect(ctx context.Context, o Options) (machine, error) {
	if o.Site.Host.Connect == "local" {
		return machine{
			files: host.Local{Owners: host.RealOwners{}},
			run:   host.Run,
			lock:  func(_ context.Context, file, holder string) (func(), error) { return host.Lock(file, holder) },
		}, nil
	}
	conn, err := remote.Dial(ctx, o.Site.Host.Connect, o.Env)
	if err != nil {
		return machine{}, err
	}
	t.closers = append(t.closers, conn.Close)
	return machine{files: conn.Files(keep(o.Site)), run: conn.Run, lock: conn.Lock}, nil
}

// keep is the folder on the host for what is mailplan's own.
func keep(s *model.Site) string { return path.Join(s.Host.Root, ".mailplan") }

// lock keeps every other apply off the host.
func (t *Target) lock(ctx context.Context, m machine, o Options) error {
	dir := keep(o.Site)
	if _, err := m.files.Stat(dir, true); errors.Is(err, fs.ErrNotExist) {
		if err := m.files.MakeDirectory(dir, host.Info{Mode: 0o700, UID: -1}); err != nil {
			return fmt.Errorf("lock the host: %w", err)
		}
	}
	unlock, err := m.lock(ctx, path.Join(dir, "lock"), o.Holder)
	if err != nil {
		return err
	}
	t.closers = append(t.closers, func() error { unlock(); return nil })
	return nil
}
