package drill

import (
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/mailplan/mailplan/runtime/backup/manifest"
	"github.com/mailplan/mailplan/runtime/durable"
)

// Receipt is what a drill found. It is kept signed.
type Receipt struct {
	Instance string    `json:"instance"`
	Source   string    `json:"source"` // where the snapshot came from: s3://BUCKET or the local folder
	Snapshot string    `json:"snapshot"`
	Sequence int64     `json:"sequence"`
	HeadHash string    `json:"headHash"`
	Started  time.Time `json:"started"`
	Finished time.Time `json:"finished"`
	Green    bool      `json:"green"`
	RPO      float64   `json:"rpoSeconds"` // from the snapshot's start to the drill's: what would have been lost
	RTO      float64   `json:"rtoSeconds"` // from an empty folder to mail and database being served
	Files    int64     `json:"files"`      // restored, each with the hash the manifest names
	Bytes    int64     `json:"bytes"`
	Checks   []Check   `json:"checks"`
}

// Check is one thing a drill looked at.
type Check struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail"`
}

func (r *Receipt) add(name, detail string, err error) {
	c := Check{Name: name, OK: err == nil, Detail: detail}
	if err != nil {
		c.Detail = err.Error()
	}
	r.Checks = append(r.Checks, c)
}

// Err returns why a receipt is red, or nil.
func (r *Receipt) Err() error {
	var errs []error
	for _, c := range r.Checks {
		if !c.OK {
			errs = append(errs, fmt.Errorf("drill: %s: %s", c.Name, c.Detail))
		}
	}
	if len(errs) == 0 && !r.Green {
		errs = append(errs, errors.New("drill: it was not finished"))
	}
	return errors.Join(errs...)
}

const folder = "drills"

// keep writes the signed receipt below the state folder.
func keep(state string, r *Receipt, key ed25519.PrivateKey) error {
	dir := filepath.Join(state, folder)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	body, err := json.Marshal(r)
	if err != nil {
		return err
	}
	path := filepath.Join(dir, r.Finished.UTC().Format("20060102T150405Z"))
	return durable.Replace(path, manifest.SignLine(body, key))
}

// Latest returns the newest receipt below a state folder, or nil when there was no drill yet. One that
// is not signed by a trusted key is an error.
func Latest(state string, trusted []ed25519.PublicKey) (*Receipt, error) {
	paths, err := filepath.Glob(filepath.Join(state, folder, "*Z"))
	if err != nil || len(paths) == 0 {
		return nil, err
	}
	path := slices.Max(paths)
	file, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	body, err := manifest.OpenLine(file, trusted)
	if err != nil {
		return nil, fmt.Errorf("drill receipt %s: %w", filepath.Base(path), err)
	}
	r := &Receipt{}
	return r, json.Unmarshal(body, r)
}

// Permit returns nil when the newest receipt is green and not older than maxAge: only then a step that
// could lose data may be taken.
func Permit(state string, trusted []ed25519.PublicKey, now time.Time, maxAge time.Duration) error {
	r, err := Latest(state, trusted)
	if err != nil {
		return err
	}
	if r == nil {
		return errors.New("no restore was ever tried: run a drill first")
	}
	if err := r.Err(); err != nil {
		return fmt.Errorf("the last drill, of %s, is red: %w", r.Finished.Format(time.DateOnly), err)
	}
	if age := now.Sub(r.Finished); age > maxAge {
		return fmt.Errorf("the last drill is %.0f days old, older than %.0f: run one", age.Hours()/24, maxAge.Hours()/24)
	}
	return nil
}
