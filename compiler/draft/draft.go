// Package draft holds a site with edits that are not written yet. It turns what an administrator means (a user, an
// alias, a domain, a key) into patches of the author's own files, CUE or tables, checks the result as a whole, and
// writes or commits it only then. It asks no live system.
package draft

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/mailplan/mailplan/compiler"
	"github.com/mailplan/mailplan/compiler/check"
	"github.com/mailplan/mailplan/compiler/edit"
	"github.com/mailplan/mailplan/compiler/model"
	"github.com/mailplan/mailplan/compiler/revision"
	"github.com/mailplan/mailplan/schema"
)

// Draft is a site before and after some edits.
type Draft struct {
	Before *compiler.Site
	dir    string
	branch string // whose tip is edited; empty: the files as they are
	fsys   fs.FS  // the site's folder
	edited map[string][]byte
	found  map[string]*[]byte // what a file had when it was first asked for; nil where there was none
}

// Open begins a draft of the site's files as they are in dir.
func Open(dir string) (*Draft, error) {
	site, err := compiler.Load(dir)
	if err != nil {
		return nil, err
	}
	return &Draft{Before: site, dir: dir, fsys: os.DirFS(dir), edited: map[string][]byte{}, found: map[string]*[]byte{}}, nil
}

// OpenBranch begins a draft of the site at the tip of a branch; a branch that is yet to be made begins at the
// current commit. The work tree is neither read nor written.
func OpenBranch(dir, branch string) (*Draft, error) {
	base, err := revision.Base(dir, branch)
	if err != nil {
		return nil, err
	}
	fsys, _, err := revision.Open(dir, base)
	if err != nil {
		return nil, err
	}
	site, err := compiler.LoadFS(fsys, filepath.Clean(dir))
	if err != nil {
		return nil, fmt.Errorf("the site on %s:\n%w", branch, err)
	}
	return &Draft{Before: site, dir: dir, branch: branch, fsys: fsys, edited: map[string][]byte{}, found: map[string]*[]byte{}}, nil
}

// Result is a draft that was checked.
type Result struct {
	After *compiler.Site
	New   []check.Finding // that the edits brought
}

// Check loads the site as the edits make it. Mistakes of the schema come back as schema.Problems, errors of the rules
// that the site did not have before as Refused.
func (d *Draft) Check() (Result, error) {
	if len(d.Names()) == 0 {
		return Result{After: d.Before}, nil
	}
	after, err := d.load()
	if err != nil {
		return Result{}, err
	}
	r := Result{After: after}
	had := map[check.Finding]bool{}
	for _, f := range d.Before.Findings {
		had[bare(f)] = true
	}
	var refused Refused
	for _, f := range after.Findings {
		if had[bare(f)] {
			continue
		}
		r.New = append(r.New, f)
		if f.Severity == check.Error && f.Rule != "secret-missing" { // whoever issues it may come later
			refused.Findings = append(refused.Findings, f)
		}
	}
	if len(refused.Findings) > 0 {
		refused.Site = after
		return r, &refused
	}
	return r, nil
}

func (d *Draft) load() (*compiler.Site, error) {
	if d.branch == "" {
		return compiler.LoadEdited(d.dir, d.edited)
	}
	return compiler.LoadFS(schema.Overlay(d.fsys, d.edited), filepath.Clean(d.dir))
}

// bare is what makes two findings the same one.
func bare(f check.Finding) check.Finding {
	return check.Finding{Rule: f.Rule, Severity: f.Severity, Path: f.Path, Message: f.Message}
}

// Refused says that the edited site would break rules.
type Refused struct {
	Site     *compiler.Site
	Findings []check.Finding
}

func (r *Refused) Error() string {
	lines := make([]string, len(r.Findings))
	for i, f := range r.Findings {
		lines[i] = fmt.Sprintf("%s: %s", f.Rule, f.Message)
	}
	return strings.Join(lines, "\n")
}

// Names are the files that the edits change.
func (d *Draft) Names() []string {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(d.edited)) {
		if before, known := d.original(name); !known || string(before) != string(d.edited[name]) {
			names = append(names, name)
		}
	}
	return names
}

// original is a file as it was when it was first asked for.
func (d *Draft) original(name string) (content []byte, known bool) {
	first, asked := d.found[name]
	if !asked {
		if content, err := fs.ReadFile(d.fsys, name); err == nil {
			first = &content
		}
		d.found[name] = first
	}
	if first == nil {
		return nil, false
	}
	return append([]byte{}, *first...), true
}

// read is a file with the edits so far.
func (d *Draft) read(name string) ([]byte, error) {
	if content, ok := d.edited[name]; ok {
		return content, nil
	}
	content, known := d.original(name)
	if !known {
		return nil, fmt.Errorf("read the site: no file %s", name)
	}
	return content, nil
}

// Content is a file of the site's folder with the edits so far, as the draft's branch has it; nil where there is none.
func (d *Draft) Content(name string) []byte {
	content, err := d.read(name)
	if err != nil {
		return nil
	}
	return content
}

// cueFiles are those of the site that are the author's: the one that binds the schema is none.
func (d *Draft) cueFiles() []string {
	var names []string
	for _, name := range d.Before.Source.Files {
		if filepath.Ext(name) == ".cue" && name != "schema.cue" {
			names = append(names, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(d.edited)) {
		if filepath.Ext(name) == ".cue" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// Put replaces a whole file of the site's folder, such as the one of its secrets.
func (d *Draft) Put(name string, content []byte) {
	d.original(name)
	d.edited[name] = content
}

// home is the file that leads deepest along a path, the last of several; empty where none begins it.
func (d *Draft) home(path string) (string, error) {
	best, depth := "", 0
	for _, name := range d.cueFiles() {
		content, err := d.read(name)
		if err != nil {
			return "", err
		}
		n, err := edit.Depth(name, content, path)
		if err != nil {
			return "", err
		}
		if n > 0 && n >= depth {
			best, depth = name, n
		}
	}
	return best, nil
}

// set gives a field a value, a CUE expression.
func (d *Draft) set(path, value string) error {
	return d.patch(path, func(name string, content []byte) ([]byte, error) { return edit.Set(name, content, path, value) },
		func(content []byte) ([]byte, error) { return edit.Append(content, path, value) })
}

func (d *Draft) setList(path string, items []string) error {
	return d.patch(path, func(name string, content []byte) ([]byte, error) { return edit.SetList(name, content, path, items) },
		func(content []byte) ([]byte, error) { return edit.Append(content, path, edit.Strings(items)) })
}

func (d *Draft) patch(path string, change func(string, []byte) ([]byte, error), begin func([]byte) ([]byte, error)) error {
	name, err := d.home(path)
	if err != nil {
		return err
	}
	files := d.cueFiles()
	switch {
	case name == "" && len(files) == 0:
		return errors.New("the site has no CUE file to write in")
	case name == "":
		name = files[len(files)-1]
		change = func(_ string, content []byte) ([]byte, error) { return begin(content) }
	}
	content, err := d.read(name)
	if err != nil {
		return err
	}
	if content, err = change(name, content); err != nil {
		return err
	}
	d.edited[name] = content
	return nil
}

// remove takes a field out wherever it stands. It is an error when it stands nowhere.
func (d *Draft) remove(path string) error {
	found := false
	for _, name := range d.cueFiles() {
		for {
			content, err := d.read(name)
			if err != nil {
				return err
			}
			content, err = edit.Remove(name, content, path)
			if errors.Is(err, edit.ErrAbsent) {
				break
			}
			if err != nil {
				return err
			}
			found = true
			d.edited[name] = content
		}
	}
	if !found {
		return fmt.Errorf("%s is not written out in the site's files, so it can't be taken out; it follows from something else there", path)
	}
	return nil
}

// domain is one of the site's by either spelling of its name.
func (d *Draft) domain(name string) (model.Domain, error) {
	for _, dom := range d.Before.Model.Domains {
		if strings.EqualFold(dom.Name, name) || strings.EqualFold(dom.Unicode, name) {
			return dom, nil
		}
	}
	return model.Domain{}, fmt.Errorf("the site has no domain %s", name)
}

// split finds the domain of an address.
func (d *Draft) split(address string) (localpart string, dom model.Domain, err error) {
	localpart, name, ok := model.SplitAddress(address)
	if !ok || localpart == "" {
		return "", dom, fmt.Errorf("%q is no address: want localpart@domain", address)
	}
	dom, err = d.domain(name)
	return localpart, dom, err
}
