package draft

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/utils/diff"

	"github.com/mailplan/mailplan/compiler/apply/host"
	"github.com/mailplan/mailplan/compiler/revision"
)

// Write puts the edited files in place. A file that changed on disk since the draft began is not overwritten.
func (d *Draft) Write() error {
	names := d.Names()
	for _, name := range names {
		before, known := d.original(name)
		now, err := os.ReadFile(filepath.Join(d.dir, name))
		if known != (err == nil) || string(now) != string(before) {
			return fmt.Errorf("%s was changed by somebody else meanwhile: nothing was written", name)
		}
	}
	// CUE files last: what they name must be there before them.
	slices.SortStableFunc(names, func(a, b string) int { return written(a) - written(b) })
	for _, name := range names {
		path, mode := filepath.Join(d.dir, name), fs.FileMode(0o644)
		if info, err := os.Stat(path); err == nil {
			mode = info.Mode().Perm()
		} else if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err := host.WriteFile(path, d.edited[name], mode, nil); err != nil {
			return err
		}
	}
	return nil
}

// written is when a file is: 0 first, 1 last.
func written(name string) int {
	if filepath.Ext(name) == ".cue" {
		return 1
	}
	return 0
}

// Commit writes the edits as one commit: on the draft's branch, or into the files and on the current branch. It
// returns the commit's hash.
func (d *Draft) Commit(message string, author object.Signature) (string, error) {
	c := revision.Commit{Dir: d.dir, Branch: d.branch, Message: message, Author: author}
	for _, name := range d.Names() {
		before, known := d.original(name)
		if !known {
			before = nil
		}
		c.Changes = append(c.Changes, revision.Change{Name: name, Before: before, After: d.edited[name]})
	}
	prepared, err := c.Prepare()
	if err != nil {
		return "", err
	}
	if d.branch == "" {
		if err := d.Write(); err != nil {
			return "", err
		}
	}
	return prepared.Hash, prepared.Publish()
}

// FilePatch is what happens to one file: the lines that go and come, with the number of the first.
type FilePatch struct {
	Name  string      `json:"name"`
	Lines []PatchLine `json:"lines"`
}

// PatchLine is one line that goes (-, numbered as before) or comes (+, numbered as after).
type PatchLine struct {
	Sign   string `json:"sign"`
	Number int    `json:"number"`
	Text   string `json:"text"`
}

// Patches are the edits by file.
func (d *Draft) Patches() []FilePatch {
	var out []FilePatch
	for _, name := range d.Names() {
		before, _ := d.original(name)
		out = append(out, FilePatch{Name: name, Lines: lineDiff(string(before), string(d.edited[name]))})
	}
	return out
}

func lineDiff(before, after string) (out []PatchLine) {
	old, now := 1, 1
	for _, part := range diff.Do(before, after) {
		for line := range strings.Lines(part.Text) {
			text := strings.TrimRight(line, "\r\n")
			switch {
			case part.Type < 0:
				out = append(out, PatchLine{"-", old, text})
				old++
			case part.Type > 0:
				out = append(out, PatchLine{"+", now, text})
				now++
			default:
				old, now = old+1, now+1
			}
		}
	}
	return out
}
