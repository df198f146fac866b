package host

import (
	"context"

	"github.com/mailplan/mailplan/compiler/model"
	"github.com/mailplan/mailplan/compiler/plan"
)

// Plane is a host with what a site wants on it.
type Plane struct {
	Host        *Host
	Tree        model.Tree
	Directories []model.Directory
	Programs    []Program // of this machine, laid down beside the tree
}

// Name is the plane's.
func (p *Plane) Name() plan.Plane { return plan.Host }

// Kinds are the plane's.
func (p *Plane) Kinds() []string { return []string{KindDirectory, KindFile, KindProgram} }

// Desired lists directories and files of the tree.
func (p *Plane) Desired(context.Context) ([]plan.Object, error) {
	objects, err := p.Host.Desired(p.Tree, p.Directories)
	if err != nil {
		return nil, err
	}
	programs, err := p.Host.DesiredPrograms(p.Programs)
	return append(objects, programs...), err
}

// Live lists what lies on the host of these, and what an earlier apply left there.
func (p *Plane) Live(context.Context) ([]plan.Object, error) {
	objects, err := p.Host.Live(p.Tree, p.Directories)
	if err != nil {
		return nil, err
	}
	programs, err := p.Host.LivePrograms(p.Programs)
	return append(objects, programs...), err
}

// Apply makes the changes one by one.
func (p *Plane) Apply(ctx context.Context, changes []plan.Change) error {
	if err := p.Host.Claim(changes, p.Tree); err != nil {
		return err
	}
	for _, c := range changes {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := p.change(c); err != nil {
			return err
		}
	}
	return nil
}

func (p *Plane) change(c plan.Change) error {
	if c.Kind == KindProgram {
		return p.Host.lay(c, p.Programs)
	}
	return p.Host.Apply(c, p.Tree)
}
