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
func (h *Host) remember(f model.File) error {
	if !h.Guarded[f.Path] {
		return nil
	}
	kept := previousFile(f.Path)
	if _, err := h.Files.Stat(h.target(kept), false); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	var p previous
	info, err := h.Files.Stat(h.target(f.Path), false)
	if errors.Is(err, fs.ErrNotExist) {
		p.Absent, err = true, nil
	} else if err == nil {
		p.Info = info
		p.Content, err = h.Files.ReadFile(h.target(f.Path))
	}
	if err != nil {
		return fmt.Errorf("keep %s: %w", f.Path, err)
	}
	data, err := json.Marshal(p)
	if err != nil {
		return err
	}
	return h.Write(kept, data, Info{Mode: 0o600, UID: -1, GID: -1})
}

// Restore puts files back as their readers know them; those of which nothing is kept stay.
func (h *Host) Restore(rels ...string) error {
	for _, rel := range rels {
		data, err := h.Read(previousFile(rel))
		if err != nil {
			return err
		}
		if data == nil {
			continue
		}
		var p previous
		if err := json.Unmarshal(data, &p); err != nil {
			return fmt.Errorf("put %s back: %w", rel, err)
		}
		if p.Absent {
			err = h.drop(rel)
		} else {
			err = h.Write(rel, p.Content, p.Info)
		}
		if err != nil {
			return fmt.Errorf("put %s back: %w", rel, err)
		}
	}
	return h.Forget(rels...)
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
