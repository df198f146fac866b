package host

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/mailplan/mailplan/compiler/model"
)

// previous is a file as its readers know it, kept until they have taken the one that replaced it.
type previous struct {
	Info    Info   `json:"info"`
	Content []byte `json:"content"`
	Absent  bool   `json:"absent,omitempty"`
}

// previousFile is where a file is kept, below the project's root.
func previousFile(rel string) string {
	return ".mailplan/previous/" + strings.ReplaceAll(strings.TrimPrefix(rel, model.ProjectDir+"/"), "/", "!") + ".json"
}

// remember keeps what a guarded file is before it is replaced. What is kept already was not taken back or forgotten since: it
// is the last that the readers had.
func (h *Host) remember(rel string) error {
	if !h.Guarded[rel] {
		return nil
	}
	kept := previousFile(rel)
	if _, err := h.Files.Stat(h.target(kept), false); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	var p previous
	info, err := h.Files.Stat(h.target(rel), false)
	if errors.Is(err, fs.ErrNotExist) {
		p.Absent, err = true, nil
	} else if err == nil {
		p.Info = info
		p.Content, err = h.Files.ReadFile(h.target(rel))
	}
	if err != nil {
		return fmt.Errorf("keep %s: %w", rel, err)
	}
	data, err := json.Marshal(p)
	if err != nil {
		return err
	}
	return h.Write(kept, data, Info{Mode: 0o600, UID: -1, GID: -1})
}

// Restore puts files back as their readers know them, and names them; those of which nothing is kept stay.
func (h *Host) Restore(rels ...string) (restored []string, err error) {
	for _, rel := range rels {
		data, err := h.Read(previousFile(rel))
		if err != nil {
			return restored, err
		}
		if data == nil {
			continue
		}
		if err := h.putBack(rel, data); err != nil {
			return restored, fmt.Errorf("put %s back: %w", rel, err)
		}
		restored = append(restored, rel)
	}
	return restored, h.Forget(rels...)
}

// putBack makes a file what was kept of it. It is ours again, so that the next plan goes on from there.
func (h *Host) putBack(rel string, kept []byte) error {
	var p previous
	if err := json.Unmarshal(kept, &p); err != nil {
		return err
	}
	if p.Absent {
		return h.drop(rel)
	}
	if err := h.own([]string{rel}, true); err != nil {
		return err
	}
	return h.Write(rel, p.Content, p.Info)
}

// Forget is for files that their readers have taken.
func (h *Host) Forget(rels ...string) error {
	for _, rel := range rels {
		if err := h.drop(previousFile(rel)); err != nil {
			return fmt.Errorf("forget what %s was: %w", rel, err)
		}
	}
	return nil
}

func (h *Host) drop(rel string) error {
	if err := h.Files.Remove(h.target(rel)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Write writes a file below the project's root that is mailplan's own, or puts one back.
func (h *Host) Write(rel string, content []byte, to Info) error {
	if err := h.keep(); err != nil {
		return err
	}
	return h.Files.WriteFile(h.target(rel), content, to)
}
