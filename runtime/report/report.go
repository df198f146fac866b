// Package report is what programs of the host say about the mail system to the console, which can ask none of them: a folder
// of JSON files, one for each thing that is looked at, written whole or not at all. Each says when it was looked, and keeps
// what was known before when that did not work. It must not know how anything is looked at, or shown.
package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// Name is one thing that is looked at.
type Name string

// The names, each with the type of its data.
const (
	Queued     Name = "queue"  // [Queue]
	Spooled    Name = "spool"  // [Spool]
	Backups    Name = "backup" // [Backup]
	Published  Name = "dns"    // [DNS]
	Drifted    Name = "drift"  // [Drift]
	Used       Name = "usage"  // [Usage]
	AccessKeys Name = "access" // a JSON Web Key Set
)

// File is one report.
type File[Data any] struct {
	At      time.Time `json:"at"`                // when it was last looked
	Problem string    `json:"problem,omitempty"` // why that did not work
	Known   time.Time `json:"known,omitzero"`    // when Data was so; zero without any
	Data    *Data     `json:"data,omitempty"`
}

// Folder holds the reports.
type Folder struct {
	Path  string
	Group int // may read them, besides their owner; 0 is the owner's own
}

// maxBytes bounds a report, and maxProblem what it says of a failure.
const (
	maxBytes   = 16 << 20
	maxProblem = 500
)

// File is where a report lies.
func (f Folder) File(name Name) string { return filepath.Join(f.Path, string(name)+".json") }

// Put writes what came of looking at now: data, or the error with the data of before.
func Put[Data any](f Folder, name Name, now time.Time, data *Data, problem error) error {
	r := File[Data]{At: now.UTC(), Known: now.UTC(), Data: data}
	if problem != nil {
		r.Problem = bounded(problem.Error())
		r.Data, r.Known = nil, time.Time{}
		if before, err := Get[Data](f, name); err == nil {
			r.Data, r.Known = before.Data, before.Known
		}
	}
	content, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("report %s: %w", name, err)
	}
	return f.Lay(name, content)
}

// Lay writes a report's bytes. Readers see the old or the new ones.
func (f Folder) Lay(name Name, content []byte) error {
	if len(content) > maxBytes {
		return fmt.Errorf("report %s: %d bytes are too many", name, len(content))
	}
	if err := os.MkdirAll(f.Path, 0o750); err != nil {
		return fmt.Errorf("report %s: %w", name, err)
	}
	next, err := os.CreateTemp(f.Path, "."+string(name)+"-*")
	if err != nil {
		return fmt.Errorf("report %s: %w", name, err)
	}
	defer os.Remove(next.Name())
	_, err = next.Write(content)
	err = errors.Join(err, f.share(next), next.Close())
	if err == nil {
		err = os.Rename(next.Name(), f.File(name))
	}
	if err != nil {
		return fmt.Errorf("report %s: %w", name, err)
	}
	return nil
}

// share lets the group read a file, and nobody else.
func (f Folder) share(file *os.File) error {
	if f.Group != 0 {
		if err := file.Chown(-1, f.Group); err != nil {
			return err
		}
	}
	return file.Chmod(0o640)
}

// Get reads a report. One that nobody has written yet is [os.ErrNotExist].
func Get[Data any](f Folder, name Name) (r File[Data], err error) {
	content, err := f.read(name)
	if err != nil {
		return r, fmt.Errorf("report %s: %w", name, err)
	}
	if err := json.Unmarshal(content, &r); err != nil {
		return r, fmt.Errorf("report %s: %w", name, err)
	}
	return r, nil
}

func (f Folder) read(name Name) ([]byte, error) {
	file, err := os.Open(f.File(name))
	if err != nil {
		return nil, err
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, maxBytes+1))
	if err == nil && len(content) > maxBytes {
		err = errors.New("it is too large")
	}
	return content, err
}

func bounded(text string) string {
	if len(text) > maxProblem {
		return text[:maxProblem] + "…"
	}
	return text
}
