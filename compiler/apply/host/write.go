package host

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/mailplan/mailplan/compiler/model"
	"github.com/mailplan/mailplan/compiler/plan"
)

// inventoryFile lists, below the project's root, the tree paths that are ours.
const inventoryFile = ".mailplan/files.json"

// Apply makes one change. The tree holds the content of files to be written.
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
	if err := os.MkdirAll(h.local(p), 0o755); err != nil {
		return fmt.Errorf("make directory %s: %w", p, err)
	}
	if err := os.Chmod(h.local(p), m); err != nil {
		return fmt.Errorf("make directory %s: %w", p, err)
	}
	return h.Owners.Set(p, h.local(p), v.UID, v.GID)
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
	if err := h.own(f.Path, true); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(h.local(p)), 0o755); err != nil {
		return fmt.Errorf("write %s: %w", p, err)
	}
	return WriteFile(h.local(p), content, m, func(temp string) error { return h.Owners.Set(p, temp, v.UID, v.GID) })
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
	if err := os.Remove(h.local(p)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove %s: %w", p, err)
	}
	rel, err := filepath.Rel(h.Root, p)
	if err != nil {
		return fmt.Errorf("remove %s: %w", p, err)
	}
	return h.own(path.Join(model.ProjectDir, filepath.ToSlash(rel)), false)
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

// own writes a path into the inventory before the file is made, and takes it out after it is gone,
// so that a kill between the two loses no file from sight.
func (h *Host) own(rel string, ours bool) error {
	owned, err := h.inventory()
	if err != nil {
		return err
	}
	i, found := slices.BinarySearch(owned, rel)
	switch {
	case found == ours:
		return nil
	case ours:
		owned = slices.Insert(owned, i, rel)
	default:
		owned = slices.Delete(owned, i, i+1)
	}
	data, err := json.MarshalIndent(owned, "", " ")
	if err != nil {
		return err
	}
	file := h.local(h.target(inventoryFile))
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return fmt.Errorf("write the inventory: %w", err)
	}
	return WriteFile(file, append(data, '\n'), 0o600, nil)
}
