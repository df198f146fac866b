package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"filippo.io/age"
	"github.com/klauspost/compress/zstd"
	"github.com/mailplan/mailplan/runtime/backup/collect"
	"github.com/mailplan/mailplan/runtime/backup/local"
	"github.com/mailplan/mailplan/runtime/backup/manifest"
	"github.com/mailplan/mailplan/runtime/backup/pack"
)

// Result is what came out of a run.
type Result struct {
	Snapshot string         `json:"snapshot,omitempty"` // daily/NAME in the store
	Head     *manifest.Head `json:"head,omitempty"`
	Removed  []string       `json:"removed,omitempty"` // snapshots pruned
	Started  time.Time      `json:"started"`
	Finished time.Time      `json:"finished"`
	Error    string         `json:"error,omitempty"`
}

// RunOptions of one run.
type RunOptions struct {
	Full bool // read every file again, to find rot, and store anew what lies in half-empty packs
}

// Run makes a snapshot. When a class is missing the snapshot is kept under a name ending in
// .incomplete, counts for nothing, and the error says what is missing.
func (x *Executor) Run(ctx context.Context, options RunOptions) (Result, error) {
	release, err := Lock(x.config.State)
	if err != nil {
		return Result{}, err
	}
	defer release()
	if err := x.prepareKey(); err != nil {
		return Result{}, err
	}
	r := Result{Started: x.Now().UTC()}
	base, err := x.run(ctx, options, &r)
	r.Finished = x.Now().UTC()
	if err != nil {
		r.Error = err.Error()
	}
	err = errors.Join(err, x.remember(func(rec *Record) {
		rec.LastRun = &r
		if base != "" {
			rec.Base, rec.Audience, rec.BadPacks = base, x.audience(), nil
		}
		if err == nil {
			rec.LastSuccess = &r
		}
		if err == nil && options.Full {
			rec.LastFull = r.Started
		}
	}))
	return r, errors.Join(err, x.dropOldBases())
}

// run returns the hash of the clear manifest the next run is to compare with, if there is a new one.
func (x *Executor) run(ctx context.Context, options RunOptions, r *Result) (base string, err error) {
	tip, err := x.tip(ctx)
	if err != nil {
		return "", err
	}
	if err := x.clockGuard(tip.Head); err != nil {
		return "", err
	}
	record, err := x.Record()
	if err != nil {
		return "", err
	}
	started := r.Started.In(x.zone)
	b, err := x.store.Build(started.Format(time.DateOnly))
	if err != nil {
		return "", err
	}
	snapshot := &making{x: x, options: options, building: b, result: r, record: record,
		head: manifest.Head{Format: manifest.Format, Instance: x.config.Instance, Sequence: 1, Previous: tip.Hash,
			Name: started.Format(time.DateOnly), Week: Week(started), Started: r.Started, Rehashed: options.Full}}
	if tip.Head != nil {
		snapshot.head.Sequence = tip.Head.Sequence + 1
	}
	if err := snapshot.make(ctx); err != nil {
		return "", errors.Join(err, b.Discard())
	}
	return snapshot.publish()
}

// clockGuard refuses a run whose clock stands before the newest snapshot: its dates would be lies, and
// pruning by them would remove the wrong ones.
func (x *Executor) clockGuard(newest *manifest.Head) error {
	const tolerance = 10 * time.Minute
	if newest != nil && x.Now().Add(tolerance).Before(newest.Finished) {
		return fmt.Errorf("the clock says %s, but run %d was finished at %s: set the clock",
			x.Now().UTC().Format(time.RFC3339), newest.Sequence, newest.Finished.Format(time.RFC3339))
	}
	return nil
}

// making is a snapshot on its way.
type making struct {
	x        *Executor
	options  RunOptions
	building *local.Building
	result   *Result
	record   Record
	head     manifest.Head
	packs    collect.Result
	all      []local.Snapshot
}

func (m *making) make(ctx context.Context) error {
	classes, err := m.x.prepare(ctx)
	if err != nil {
		return err
	}
	defer os.RemoveAll(m.x.statePath("staging"))
	if m.all, err = m.x.store.Snapshots(); err != nil {
		return err
	}
	c, err := collect.New(ctx, m.collectOptions())
	if err != nil {
		return err
	}
	if m.head.Classes, err = m.x.collectAll(ctx, c, classes); err != nil {
		c.Abort()
		return err
	}
	if m.packs, err = c.Finish(); err != nil {
		return err
	}
	return m.complete()
}

func (m *making) collectOptions() collect.Options {
	o := collect.Options{Dir: m.building.Dir, Recipients: m.x.recipients, Workers: m.x.Workers,
		Rehash: m.options.Full, Progress: m.x.Progress, Previous: m.x.base(m.record),
		Warn: func(s string) { m.x.Log.Warn(s) }}
	var live map[string]bool
	if m.options.Full && o.Previous != "" {
		var err error
		if live, err = halfFull(o.Previous); err != nil {
			m.x.Log.Warn("manifest of the run before cannot be read: everything is stored anew", "error", err)
			o.Previous = ""
		}
	}
	o.Usable = m.x.usable(m.all, m.record.BadPacks, live)
	return o
}

// complete adds all but the packs to the snapshot.
func (m *making) complete() error {
	sums := []local.Sum{}
	for _, p := range m.packs.Packs {
		sums = append(sums, local.Sum{Name: p.FileName(), SHA256: p.SHA256})
		m.head.Packed += p.Size
	}
	if err := m.linkPacks(); err != nil {
		return err
	}
	sealed := filepath.Join(m.building.Dir, local.ManifestFile)
	if err := seal(m.packs.Manifest, sealed, m.x.recipients); err != nil {
		return err
	}
	var err error
	if m.head.Manifest, err = local.HashFile(sealed); err != nil {
		return err
	}
	if err := m.building.WriteFile(local.ReadmeFile, local.Readme); err != nil {
		return err
	}
	sums = append(sums, local.Sum{Name: local.ManifestFile, SHA256: m.head.Manifest},
		local.Sum{Name: local.ReadmeFile, SHA256: manifest.Hash(local.Readme)})
	file := local.FormatSums(sums)
	m.head.Sums = manifest.Hash(file)
	if err := m.building.WriteFile(local.SumsFile, file); err != nil {
		return err
	}
	return m.writeHead()
}

// linkPacks takes over the packs of earlier snapshots.
func (m *making) linkPacks() error {
	fresh := map[string]bool{}
	for _, p := range m.packs.Fresh {
		fresh[p.SHA256] = true
		m.head.Written += p.Size
	}
	for _, p := range m.packs.Packs {
		if fresh[p.SHA256] {
			continue
		}
		if err := m.building.Link(local.Find(m.all, p.FileName(), p.Size)); err != nil {
			return err
		}
	}
	return nil
}

func (m *making) writeHead() error {
	for _, c := range m.head.Classes {
		m.head.Files += c.Files
		m.head.Bytes += c.Bytes
	}
	m.head.Packs, m.head.Finished = len(m.packs.Packs), m.x.Now().UTC()
	file, err := m.head.Sign(m.x.key)
	if err != nil {
		return err
	}
	m.result.Head = &m.head
	return m.building.WriteFile(local.HeadFile, file)
}

// publish makes the snapshot appear and prunes. It returns the hash of its clear manifest.
func (m *making) publish() (base string, err error) {
	x := m.x
	hash, err := local.HashFile(m.packs.Manifest)
	if err != nil {
		return "", err
	}
	kept := make(chan error, 1)
	go func() { kept <- copyFile(m.packs.Manifest, x.basePath(hash)) }() // both disks at once
	if err := errors.Join(m.building.Sync(), <-kept, os.Remove(m.packs.Manifest)); err != nil {
		return "", err
	}
	missing := m.head.Complete()
	name := m.head.Name
	if missing != nil {
		name += local.Incomplete
	}
	dir, err := m.building.Commit(local.Daily, name)
	if err != nil {
		return "", err
	}
	m.result.Snapshot = local.Daily + "/" + name
	if missing != nil {
		return "", errors.Join(missing, x.store.Record(dir))
	}
	recorded := make(chan error, 1)
	go func() { recorded <- x.store.Record(dir) }()
	return hash, errors.Join(m.retain(dir), <-recorded)
}

// retain keeps the first snapshot of each ISO week as its weekly one, and prunes.
func (m *making) retain(dir string) error {
	x := m.x
	if x.config.Local.KeepWeekly > 0 {
		weekly := filepath.Join(x.config.Local.Path, local.Weekly, m.head.Week)
		if _, err := os.Stat(weekly); os.IsNotExist(err) || m.options.Full {
			if err := x.store.CopyTo(dir, local.Weekly, m.head.Week); err != nil {
				return err
			}
		}
	}
	var err error
	m.result.Removed, err = x.store.Prune(local.Keep{Daily: x.config.Local.KeepDaily,
		Weekly: x.config.Local.KeepWeekly, Verified: m.record.VerifiedHead})
	return err
}

// copyFile copies a file to another disk, durably.
func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	if err == nil {
		err = out.Sync()
	}
	return errors.Join(err, out.Close())
}

// seal compresses and encrypts a file.
func seal(from, to string, recipients []age.Recipient) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer out.Close()
	secret, err := age.Encrypt(out, recipients...)
	if err != nil {
		return err
	}
	packed, err := zstd.NewWriter(secret, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(2))
	if err != nil {
		return err
	}
	if _, err := io.Copy(packed, in); err != nil {
		return err
	}
	return errors.Join(packed.Close(), secret.Close())
}

// halfFull returns the packs of which the manifest at path uses at least half.
func halfFull(path string) (map[string]bool, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	r, err := manifest.NewReader(file)
	if err != nil {
		return nil, err
	}
	used, err := usage(r)
	if err != nil {
		return nil, err
	}
	live := map[string]bool{}
	for i, p := range r.Packs() {
		live[p.SHA256] = 2*used[i] >= tarSize(p)
	}
	return live, nil
}

func tarSize(p pack.Pack) int64 { return p.Frames[len(p.Frames)-1].Plain }

func usage(r *manifest.Reader) ([]int64, error) {
	const header = 1 << 9 // of a file in a tar; contents are rounded up to as much
	used := make([]int64, len(r.Packs()))
	type place struct {
		pack   int
		offset int64
	}
	seen := map[place]bool{}
	for {
		e, _, err := r.Next()
		if errors.Is(err, io.EOF) {
			return used, nil
		}
		if err != nil {
			return nil, err
		}
		for _, x := range e.Extents {
			if at := (place{x.Pack, x.Offset}); !seen[at] {
				seen[at] = true
				used[x.Pack] += x.Size + header
			}
		}
	}
}
