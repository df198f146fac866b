// Package audit says whether snapshots are good: signatures, the chain of heads, the sums of every
// file and, with an age identity, every file inside the packs. Whatever is wrong is reported, not only
// the first thing. It changes nothing.
package audit

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"filippo.io/age"
	"github.com/mailplan/mailplan/runtime/backup/extract"
	"github.com/mailplan/mailplan/runtime/backup/local"
	"github.com/mailplan/mailplan/runtime/backup/manifest"
	"github.com/mailplan/mailplan/runtime/backup/pack"
	"golang.org/x/sync/errgroup"
)

// Report is what an audit found.
type Report struct {
	Snapshots []Finding `json:"snapshots"`
	Chain     []string  `json:"chain,omitempty"`   // what is wrong with the chain of heads
	Overdue   string    `json:"overdue,omitempty"` // that no snapshot is as new as it should be
	Bytes     int64     `json:"bytes"`             // read
	Damaged   []string  `json:"damaged,omitempty"` // names of packs with wrong bytes
}

// Finding is what was found of one snapshot.
type Finding struct {
	Name    string   `json:"name"` // daily/2026-11-21
	Head    string   `json:"head,omitempty"`
	Wrong   []string `json:"wrong,omitempty"`
	Checked bool     `json:"checked"` // all its bytes were read
}

// Err returns everything that is wrong, or nil.
func (r *Report) Err() error {
	var errs []error
	for _, s := range r.Snapshots {
		for _, w := range s.Wrong {
			errs = append(errs, fmt.Errorf("%s: %s", s.Name, w))
		}
	}
	for _, c := range r.Chain {
		errs = append(errs, errors.New(c))
	}
	if r.Overdue != "" {
		errs = append(errs, errors.New(r.Overdue))
	}
	return errors.Join(errs...)
}

// Options of a local audit.
type Options struct {
	Classes    []string // every complete snapshot must hold these
	Identities []age.Identity
	Scratch    string // for clear manifests, with Identities
	Workers    int
	Now        time.Time
	Deadline   time.Duration // the newest complete snapshot must not be older
	Progress   func(int64)   // bytes read since the last call; may be nil
}

// Local audits all snapshots of a store. A pack which several hold is read once.
func Local(ctx context.Context, store local.Store, o Options) (*Report, error) {
	all, err := store.Snapshots()
	if err != nil {
		return nil, err
	}
	a := &auditor{options: o, trusted: store.Trusted, report: &Report{}, read: map[inode]string{}}
	links, err := store.Chain()
	if err != nil {
		a.report.Chain = strings.Split(err.Error(), "\n")
	}
	a.tip(links, all)
	a.deadline(all)
	for i := range all {
		if err := a.snapshot(ctx, &all[i], i == newest(all)); err != nil {
			return nil, err
		}
	}
	return a.report, nil
}

func newest(all []local.Snapshot) int {
	n := local.Newest(all)
	for i := range all {
		if n == &all[i] {
			return i
		}
	}
	return -1
}

// tip looks for the newest complete snapshot the chain tells of: pruning never removes it.
func (a *auditor) tip(links []local.Link, all []local.Snapshot) {
	for i := len(links) - 1; i >= 0; i-- {
		if links[i].Head.Complete() != nil {
			continue
		}
		if !slices.ContainsFunc(all, func(s local.Snapshot) bool { return s.HeadHash == links[i].Hash }) {
			a.report.Chain = append(a.report.Chain, fmt.Sprintf("run %d of %s, the newest the chain tells of, is not there", links[i].Head.Sequence, links[i].Head.Name))
		}
		return
	}
}

type inode struct{ device, number uint64 }

type auditor struct {
	options Options
	trusted []ed25519.PublicKey
	report  *Report
	mu      sync.Mutex
	read    map[inode]string // hashes of files read
}

func (a *auditor) deadline(all []local.Snapshot) {
	n := local.Newest(all)
	if n == nil {
		a.report.Overdue = "there is no complete snapshot"
		return
	}
	if age := a.options.Now.Sub(n.Head.Finished); a.options.Deadline > 0 && age > a.options.Deadline {
		a.report.Overdue = fmt.Sprintf("the newest complete snapshot is %s old; one is due every %s", age.Round(time.Minute), a.options.Deadline)
	}
}

// snapshot audits one. Every byte inside the packs is read only of the newest: the others share them.
func (a *auditor) snapshot(ctx context.Context, s *local.Snapshot, deep bool) error {
	f := Finding{Name: s.Kind + "/" + s.Name, Head: s.HeadHash}
	wrong := func(err error) {
		if err != nil {
			f.Wrong = append(f.Wrong, strings.Split(err.Error(), "\n")...)
		}
	}
	wrong(s.Err)
	if s.Err == nil && !strings.HasSuffix(s.Name, local.Incomplete) {
		wrong(s.Head.Complete())
		wrong(a.classes(s.Head))
	}
	sums, err := s.Sums()
	if s.Err == nil {
		wrong(err)
	}
	wrong(a.files(ctx, s, sums))
	if s.Err == nil && deep && len(a.options.Identities) > 0 && len(f.Wrong) == 0 {
		wrong(a.deep(ctx, s))
	}
	f.Checked = ctx.Err() == nil
	a.report.Snapshots = append(a.report.Snapshots, f)
	return ctx.Err()
}

// classes looks for declared classes which the snapshot does not name.
func (a *auditor) classes(h *manifest.Head) error {
	var errs []error
	for _, name := range a.options.Classes {
		if h.Class(name) == nil {
			errs = append(errs, fmt.Errorf("class %s is declared but not in the snapshot", name))
		}
	}
	return errors.Join(errs...)
}

// files hashes the files of a snapshot, several at once.
func (a *auditor) files(ctx context.Context, s *local.Snapshot, sums []local.Sum) error {
	wrong := make([]error, len(sums))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(max(a.options.Workers, 1))
	for i, sum := range sums {
		group.Go(func() error {
			if ctx.Err() == nil {
				wrong[i] = a.file(s, sum)
			}
			return nil
		})
	}
	group.Wait()
	return errors.Join(wrong...)
}

func (a *auditor) file(s *local.Snapshot, sum local.Sum) error {
	path := filepath.Join(s.Dir, sum.Name)
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s is missing", sum.Name)
	}
	if err != nil {
		return err
	}
	got, err := a.hash(path, info)
	if err != nil || got == sum.SHA256 {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if strings.HasSuffix(sum.Name, pack.Suffix) && !slices.Contains(a.report.Damaged, sum.Name) {
		a.report.Damaged = append(a.report.Damaged, sum.Name)
	}
	return fmt.Errorf("%s has other bytes than it was written with", sum.Name)
}

// hash reads a file once, under however many names it is found.
func (a *auditor) hash(path string, info fs.FileInfo) (string, error) {
	st := info.Sys().(*syscall.Stat_t)
	id := inode{uint64(st.Dev), st.Ino}
	a.mu.Lock()
	got, known := a.read[id]
	a.mu.Unlock()
	if known {
		return got, nil
	}
	got, err := local.HashFile(path)
	if err != nil {
		return "", err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.read[id] = got
	a.report.Bytes += info.Size()
	if a.options.Progress != nil {
		a.options.Progress(info.Size())
	}
	return got, nil
}

// deep opens every pack and checks every file against the manifest.
func (a *auditor) deep(ctx context.Context, s *local.Snapshot) error {
	o := a.options
	opened, err := extract.Open(ctx, extract.Folder(s.Dir), a.trusted, o.Identities, o.Scratch)
	if err != nil {
		return err
	}
	defer opened.Close()
	bytes, err := Inside(ctx, opened, max(o.Workers, 1), o.Progress)
	a.report.Bytes += bytes
	return err
}

// Inside reads every file of a snapshot, from wherever it comes, and reports each that is not what the
// manifest names. The bytes read are returned.
func Inside(ctx context.Context, s *extract.Snapshot, workers int, progress func(int64)) (int64, error) {
	var bytes, files atomic.Int64
	var mu sync.Mutex
	var wrong []error
	all := func(*manifest.Entry) bool { return true }
	err := s.Files(ctx, workers, all, func(e *manifest.Entry, content extract.Content) error {
		if err := content(io.Discard); err != nil {
			mu.Lock()
			defer mu.Unlock()
			const shown = 20
			if len(wrong) < shown {
				wrong = append(wrong, err)
			}
			return nil
		}
		files.Add(1)
		bytes.Add(e.Size)
		if progress != nil {
			progress(e.Size)
		}
		return nil
	})
	if err == nil && len(wrong) == 0 && files.Load() != s.Head.Files {
		err = fmt.Errorf("the manifest lists %d files, the head says %d", files.Load(), s.Head.Files)
	}
	return bytes.Load(), errors.Join(append(wrong, err)...)
}
