package apply

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/mailplan/mailplan/compiler/plan"
)

// Journal is written ahead: a line before and a line after each run of steps, each fsynced. Whoever finds
// one without an end knows that an apply was cut off, and where.
type Journal struct {
	file string
	f    *os.File
}

type entry struct {
	Time  time.Time `json:"time"`
	Event string    `json:"event"` // begin, start, done, failed, end
	Plan  string    `json:"plan,omitempty"`
	Total int       `json:"total,omitempty"`
	From  int       `json:"from,omitempty"`
	To    int       `json:"to,omitempty"`
	What  string    `json:"what,omitempty"`
	Error string    `json:"error,omitempty"`
}

// Open prepares the journal in a file, which is made with the first step.
func Open(file string) *Journal { return &Journal{file: file} }

// CutOff says what an apply that did not come to its end was doing; empty when the last one did.
func (j *Journal) CutOff() (string, error) {
	f, err := os.Open(j.file)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read the journal: %w", err)
	}
	defer f.Close()
	var last, begin entry
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		var e entry
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			continue // the line that a crash cut
		}
		last = e
		if e.Event == "begin" {
			begin = e
		}
	}
	if err := lines.Err(); err != nil {
		return "", fmt.Errorf("read the journal: %w", err)
	}
	if last.Event == "" || last.Event == "end" {
		return "", nil
	}
	return fmt.Sprintf("plan %s was cut off after %d of %d steps", begin.Plan, last.done(), begin.Total), nil
}

func (e entry) done() int {
	if e.Event == "done" {
		return e.To
	}
	return e.From
}

func (j *Journal) begin(p plan.Plan) error {
	f, err := os.OpenFile(j.file, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("open the journal: %w", err)
	}
	j.f = f
	return j.write(entry{Event: "begin", Plan: p.ID(), Total: len(p.Changes)})
}

// step writes ahead, applies, and writes what came of it.
func (j *Journal) step(ctx context.Context, from, to int, target Plane, changes []plan.Change) error {
	what := fmt.Sprintf("%s %s %s", changes[0].Plane, changes[0].Verb, changes[0].ID)
	if err := j.write(entry{Event: "start", From: from, To: to, What: what}); err != nil {
		return err
	}
	if err := target.Apply(ctx, changes); err != nil {
		err = fmt.Errorf("%s: %w", target.Name(), err)
		return errors.Join(err, j.write(entry{Event: "failed", From: from, To: to, Error: err.Error()}))
	}
	return j.write(entry{Event: "done", From: from, To: to})
}

func (j *Journal) end() error {
	return errors.Join(j.write(entry{Event: "end"}), j.f.Close())
}

func (j *Journal) write(e entry) error {
	e.Time = time.Now().UTC()
	line, err := json.Marshal(e)
	if err != nil {
		return err
	}
	if _, err := j.f.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("write the journal: %w", err)
	}
	if err := j.f.Sync(); err != nil {
		return fmt.Errorf("write the journal: %w", err)
	}
	return nil
}
