// Package units is the part of the host that systemd keeps: the services that run beside the containers, and how long
// journals are kept. It has the project's own program look and install; what is installed, enabled, running and not older
// than its files counts as declared. A host without systemd has none of these objects.
package units

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/mailplan/mailplan/compiler/apply/host"
	"github.com/mailplan/mailplan/compiler/model"
	"github.com/mailplan/mailplan/compiler/plan"
)

// Kind is that of all objects here.
const Kind = "unit"

// declared is what the program says of a unit that is as it should be.
const declared = "as declared"

// Plane is the units of a site on a host.
type Plane struct {
	Run      host.Runner
	Host     *host.Host
	Tree     model.Tree
	Programs []host.Program // that the host plane lays down

	absent bool // systemd, as Desired found
}

// value is what is compared: how a unit stands, and the files that it was started with or is to be.
type value struct {
	State string            `json:"state"`
	Files map[string]string `json:"files,omitempty"` // digests by path on the host
}

// Name is the plane's.
func (p *Plane) Name() plan.Plane { return plan.Host }

// Kinds are the plane's.
func (p *Plane) Kinds() []string { return []string{Kind} }

// Desired lists the units of the tree.
func (p *Plane) Desired(ctx context.Context) ([]plan.Object, error) {
	if _, err := p.Run(ctx, nil, "test", "-d", "/run/systemd/system"); err != nil {
		p.absent = true
		return nil, ctx.Err()
	}
	programs, err := p.Host.DesiredPrograms(p.Programs)
	if err != nil {
		return nil, err
	}
	var list []plan.Object
	for _, unit := range p.units() {
		v := value{declared, map[string]string{}}
		for _, f := range p.reads(unit) {
			if v.Files[p.on(f.Path)], err = p.Host.Wanted(f); err != nil {
				return nil, err
			}
		}
		for _, o := range programs {
			if names(unit, o.ID) {
				v.Files[o.ID] = digest(o.Value)
			}
		}
		o := object(unit, v)
		for _, f := range append(p.reads(unit), model.File{Path: path.Join(model.ProjectDir, model.UnitsProgram)}) {
			o.Needs = append(o.Needs, plan.Object{Plane: plan.Host, Kind: host.KindFile, ID: p.on(f.Path)}.Ref())
		}
		list = append(list, o)
	}
	return list, nil
}

func (p *Plane) units() (list []model.File) {
	for _, f := range p.Tree.Files {
		if isUnit(f.Path) {
			list = append(list, f)
		}
	}
	return list
}

// reads are the files of the tree that a unit takes when it starts: itself, what its command names, and what its
// configuration has under a key that ends in File, as the program on the host reckons.
func (p *Plane) reads(unit model.File) (list []model.File) {
	var named []string
	for _, f := range p.Tree.Files {
		if f.Path == unit.Path || names(unit, p.on(f.Path)) {
			list = append(list, f)
			for _, m := range fileKey.FindAllSubmatch(f.Content, -1) {
				named = append(named, string(m[1]))
			}
		}
	}
	for _, f := range p.Tree.Files {
		if slices.Contains(named, p.on(f.Path)) {
			list = append(list, f)
		}
	}
	return list
}

var fileKey = regexp.MustCompile(`File": "([^"]*)"`)

// names says whether the command of a unit names a file of the host.
func names(unit model.File, file string) bool {
	for line := range strings.Lines(string(unit.Content)) {
		if command, ok := strings.CutPrefix(strings.TrimSpace(line), "ExecStart="); ok && slices.Contains(strings.Fields(command), file) {
			return true
		}
	}
	return false
}

func digest(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:8])
}

// isUnit says whether a file of the tree is for systemd.
func isUnit(file string) bool {
	dir := path.Dir(file)
	return dir == model.ProjectDir+"/config/systemd" || dir == model.ProjectDir+"/config/journald"
}

// on is where a file of the tree lies on the host.
func (p *Plane) on(file string) string {
	return path.Join(p.Host.Root, strings.TrimPrefix(file, model.ProjectDir))
}

// Live asks the program that an earlier apply left; before the first one there is nothing.
func (p *Plane) Live(ctx context.Context) ([]plan.Object, error) {
	if p.absent {
		return nil, nil
	}
	said, err := p.status(ctx)
	if err != nil || len(said) == 0 {
		return nil, err
	}
	programs, err := p.Host.LivePrograms(p.Programs)
	if err != nil {
		return nil, err
	}
	var list []plan.Object
	for _, unit := range p.units() {
		state, ok := said[path.Base(unit.Path)]
		if !ok {
			continue
		}
		v, err := p.live(unit, programs)
		if err != nil {
			return nil, err
		}
		v.State = state
		list = append(list, object(unit, v))
	}
	return list, nil
}

// live is what a unit would start with now.
func (p *Plane) live(unit model.File, programs []plan.Object) (value, error) {
	v := value{Files: map[string]string{}}
	for _, f := range p.reads(unit) {
		lies, err := p.Host.Lies(f)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return v, fmt.Errorf("read %s: %w", p.on(f.Path), err)
		}
		v.Files[p.on(f.Path)] = lies
	}
	for _, o := range programs {
		if names(unit, o.ID) {
			v.Files[o.ID] = digest(o.Value)
		}
	}
	return v, nil
}

func (p *Plane) status(ctx context.Context) (map[string]string, error) {
	out, err := p.Run(ctx, nil, "sh", "-c", `[ ! -x "$1" ] || exec "$1" status`, "sh", p.program())
	if err != nil {
		return nil, fmt.Errorf("ask how the units are: %w", err)
	}
	said := map[string]string{}
	for line := range strings.Lines(string(out)) {
		name, state, _ := strings.Cut(strings.TrimSpace(line), " ")
		said[name] = state
	}
	return said, nil
}

// Apply installs all of them and believes what it sees then.
func (p *Plane) Apply(ctx context.Context, changes []plan.Change) error {
	if _, err := p.Run(ctx, nil, p.program(), "install"); err != nil {
		return fmt.Errorf("install the units: %w", err)
	}
	said, err := p.status(ctx)
	if err != nil {
		return err
	}
	for _, c := range changes {
		if said[c.ID] != declared && c.Verb != plan.Delete {
			return fmt.Errorf("%s is installed, and %s; journalctl --unit %s says why", c.ID, said[c.ID], c.ID)
		}
	}
	return nil
}

func (p *Plane) program() string { return path.Join(p.Host.Root, model.UnitsProgram) }

func object(unit model.File, v value) plan.Object {
	return plan.Object{Plane: plan.Host, Kind: Kind, ID: path.Base(unit.Path), Value: plan.Encode(v), Show: v.State, From: unit.From, Phase: plan.Start}
}
