package host

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/mailplan/mailplan/compiler/model"
	"github.com/mailplan/mailplan/compiler/plan"
)

// inventoryFile lists, below the project's root, the tree paths that are ours.
const inventoryFile = ".mailplan/files.json"

// Claim marks the files that changes will make as ours.
func (h *Host) Claim(changes []plan.Change, tree model.Tree) error {
	var rels []string
	for _, c := range changes {
		if f, ok := h.source(c.ID, tree); ok && c.Kind == KindFile && c.Verb != plan.Delete {
			rels = append(rels, f.Path)
		}
	}
	return h.own(rels, true)
}

// Apply makes one change of files that are claimed. The tree holds the content of files to be written.
func (h *Host) Apply(c plan.Change, tree model.Tree) error {
	switch {
	case c.Verb == plan.Delete && c.Kind == KindFile:
		return h.remove(c.ID)
	case c.Verb == plan.Delete:
		return fmt.Errorf("%s is never deleted by an apply: it may hold data", c.ID)
	}
	var v value
	if err := json.Unmarshal(c.New, &v); err != nil {
		return fmt.Errorf("change of %s: %w", c.ID, err)
	}
	if c.Kind == KindDirectory {
		return h.makeDirectory(c.ID, v)
	}
	return h.writeFile(c.ID, v, tree)
}

func (h *Host) makeDirectory(p string, v value) error {
	m, err := v.perm()
	if err != nil {
		return err
	}
	if err := h.Files.MakeDirectory(p, Info{Mode: m, UID: v.UID, GID: v.GID}); err != nil {
		return fmt.Errorf("make directory %s: %w", p, err)
	}
	return nil
}

func (h *Host) writeFile(p string, v value, tree model.Tree) error {
	f, ok := h.source(p, tree)
	if !ok {
		return fmt.Errorf("write %s: the tree has no such file", p)
	}
	content, err := h.fill(f)
	if err != nil {
		return err
	}
	m, err := v.perm()
	if err != nil {
		return err
	}
	if err := h.remember(f.Path); err != nil {
		return err
	}
	return h.Files.WriteFile(p, content, Info{Mode: m, UID: v.UID, GID: v.GID})
}

// source finds the tree's file of a host path.
func (h *Host) source(p string, tree model.Tree) (model.File, bool) {
	for _, f := range tree.Files {
		if h.target(f.Path) == p {
			return f, true
		}
	}
	return model.File{}, false
}

func (h *Host) remove(p string) error {
	inner, err := filepath.Rel(h.Root, p)
	if err != nil {
		return fmt.Errorf("remove %s: %w", p, err)
	}
	rel := path.Join(model.ProjectDir, filepath.ToSlash(inner))
	if err := h.remember(rel); err != nil {
		return err
	}
	if err := h.Files.Remove(p); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove %s: %w", p, err)
	}
	return h.own([]string{rel}, false)
}

func (v value) perm() (fs.FileMode, error) {
	m, err := strconv.ParseUint(v.Mode, 8, 32)
	if err != nil {
		return 0, fmt.Errorf("mode %q: %w", v.Mode, err)
	}
	return fs.FileMode(m).Perm(), nil
}

func (h *Host) inventory() ([]string, error) {
	data, err := h.Read(inventoryFile)
	if err != nil || data == nil {
		return nil, err
	}
	var owned []string
	if err := json.Unmarshal(data, &owned); err != nil {
		return nil, fmt.Errorf("read the inventory %s: %w", h.target(inventoryFile), err)
	}
	return owned, nil
}

// own writes paths into the inventory before the files are made, and takes them out after they are gone,
// so that a kill between the two loses no file from sight.
func (h *Host) own(rels []string, ours bool) error {
	owned, err := h.inventory()
	if err != nil {
		return err
	}
	before := len(owned)
	for _, rel := range rels {
		switch i, found := slices.BinarySearch(owned, rel); {
		case found == ours:
		case ours:
			owned = slices.Insert(owned, i, rel)
		default:
			owned = slices.Delete(owned, i, i+1)
		}
	}
	if len(owned) == before {
		return nil
	}
	data, err := json.MarshalIndent(owned, "", " ")
	if err != nil {
		return err
	}
	return h.Write(inventoryFile, append(data, '\n'), Info{Mode: 0o600, UID: -1, GID: -1})
}

// keep makes the folder of what mailplan itself keeps on the host.
func (h *Host) keep() error {
	dir := path.Dir(h.target(inventoryFile))
	if _, err := h.Files.Stat(dir, true); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := h.Files.MakeDirectory(dir, Info{Mode: 0o700, UID: -1, GID: -1}); err != nil {
		return fmt.Errorf("make directory %s: %w", dir, err)
	}
	return nil
}
