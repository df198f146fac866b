package backup

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mailplan/mailplan/runtime/backup/local"
	"github.com/mailplan/mailplan/runtime/backup/pack"
	"github.com/mailplan/mailplan/runtime/durable"
)

// ErrBusy says that another run, restore or drill is going on.
var ErrBusy = errors.New("another backup, restore or drill is running")

// Lock keeps every other run, restore or drill on this state folder out until release is called. The
// kernel releases it when the process dies.
func Lock(state string) (release func(), err error) {
	if err := os.MkdirAll(state, 0o700); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(filepath.Join(state, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		file.Close()
		return nil, fmt.Errorf("%w (%s)", ErrBusy, file.Name())
	}
	return func() { file.Close() }, nil
}

// Record is what the executor remembers of its runs; status and the metrics show it.
type Record struct {
	LastRun      *Result   `json:"lastRun,omitempty"`     // the newest, whatever came out
	LastSuccess  *Result   `json:"lastSuccess,omitempty"` // the newest without an error
	LastFull     time.Time `json:"lastFull,omitzero"`     // when the newest run that read every file was started
	VerifiedHead string    `json:"verifiedHead,omitempty"`
	// Base is the SHA-256 of the clear manifest the next run compares with, which is in its file's name.
	Base string `json:"base,omitempty"`
	// Audience is who can open the packs of that run, as a hash: for other recipients everything is stored anew.
	Audience string `json:"audience,omitempty"`
	// BadPacks are damaged copies found by verify; the next run stores their files again.
	BadPacks []string `json:"badPacks,omitempty"`
}

// lastSuccess is when the newest successful run was started; zero for none.
func (r Record) lastSuccess() time.Time {
	if r.LastSuccess == nil {
		return time.Time{}
	}
	return r.LastSuccess.Started
}

func (x *Executor) statePath(name string) string { return filepath.Join(x.config.State, name) }

// Record reads what the executor remembers.
func (x *Executor) Record() (Record, error) {
	var r Record
	data, err := os.ReadFile(x.statePath("record.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return r, nil
	}
	if err != nil {
		return r, err
	}
	return r, json.Unmarshal(data, &r)
}

func (x *Executor) remember(change func(*Record)) error {
	r, err := x.Record()
	if err != nil {
		return err
	}
	change(&r)
	data, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return err
	}
	return durable.Replace(x.statePath("record.json"), append(data, '\n'))
}

func (x *Executor) basePath(hash string) string { return x.statePath("manifest-" + hash + ".tsv") }

// base is the clear manifest the next run compares with: none, if it is not what it was.
func (x *Executor) base(r Record) string {
	if r.Base == "" {
		return ""
	}
	if r.Audience != x.audience() {
		x.Log.Warn("backups are for other recipients than those of the run before: everything is stored anew")
		return ""
	}
	path := x.basePath(r.Base)
	if hash, err := local.HashFile(path); err != nil || hash != r.Base {
		x.Log.Warn("the manifest of the run before is lost or damaged: everything is stored anew", "path", path)
		return ""
	}
	return path
}

// dropOldBases removes the clear manifests no run will compare with.
func (x *Executor) dropOldBases() error {
	r, err := x.Record()
	if err != nil {
		return err
	}
	all, err := filepath.Glob(x.basePath("*"))
	for _, path := range all {
		if path != x.basePath(r.Base) {
			err = errors.Join(err, os.Remove(path))
		}
	}
	return err
}

// usable reports which packs of the run before can serve again: those still in a snapshot, undamaged
// as far as is known and, in a weekly run, at least half in use.
func (x *Executor) usable(all []local.Snapshot, bad []string, live map[string]bool) func(pack.Pack) bool {
	damaged := map[string]bool{}
	for _, name := range bad {
		damaged[name] = true
	}
	return func(p pack.Pack) bool {
		if damaged[p.FileName()] || live != nil && !live[p.SHA256] {
			return false
		}
		return local.Find(all, p.FileName(), p.Size) != ""
	}
}
