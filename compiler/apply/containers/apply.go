package containers

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/mailplan/mailplan/compiler/plan"
)

// Apply carries out a run: first every service judges its changed files; when one refuses them they are put back and
// nothing is touched. Then services start, are made anew, restart or reload, all must be found healthy, and mail must get
// through.
func (p *Plane) Apply(ctx context.Context, changes []plan.Change) error {
	switch {
	case changes[0].Verb == plan.Delete:
		return p.remove(ctx, changes)
	case changes[0].Kind == KindVolume:
		return p.moveVolumes(ctx, changes)
	}
	if err := p.judge(ctx, changes); err != nil {
		return err
	}
	var seen map[string]Container
	err := p.proven(ctx, changes, func() error {
		said, err := p.act(ctx, changes)
		if err != nil {
			return err
		}
		if seen, err = p.observe(ctx, changes, said); err != nil {
			return err
		}
		return p.settle(ctx, changes)
	})
	if err != nil {
		return err
	}
	return p.accept(ctx, changes, seen)
}

// settle has healthy services do what their new files ask of data that is there already.
func (p *Plane) settle(ctx context.Context, changes []plan.Change) error {
	for _, c := range changes {
		m := manners[c.ID]
		if m.settle == nil || !slices.ContainsFunc(p.reread(c), func(f string) bool { return below(f, m.settles) }) {
			continue
		}
		if err := m.settle(running{ctx, p.Engine, c.ID}); err != nil {
			return fmt.Errorf("bring the data of %s to its new files: %w", c.ID, err)
		}
	}
	return nil
}

// judge asks each service that has a check of its own and whose container stays: another image may read other files.
func (p *Plane) judge(ctx context.Context, changes []plan.Change) error {
	var refused []error
	for _, c := range changes {
		check := manners[c.ID].check
		if c.Verb != plan.Update || check == nil || len(p.reread(c)) == 0 || decode(c.Old).Spec != decode(c.New).Spec {
			continue
		}
		err := p.Engine.Try(ctx, c.ID, check...)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			refused = append(refused, p.revert(fmt.Errorf("%s refuses its new files: %w", c.ID, err), p.reread(c)...))
		}
	}
	return errors.Join(refused...)
}

// reread are the files of which a change makes the service take note.
func (p *Plane) reread(c plan.Change) []string {
	return changed(decode(c.Old).Files, decode(c.New).Files)
}

// revert puts back what a service read before, as far as it is known, and says so.
func (p *Plane) revert(why error, files ...string) error {
	restored, err := p.Host.Restore(files...)
	if err != nil || restored == nil {
		return errors.Join(why, err)
	}
	return fmt.Errorf("put back: %s: %w", strings.Join(restored, ", "), why)
}

// act does what the notes say. What Docker said of starts is for observe to weigh; a build or reload that failed is an
// error.
func (p *Plane) act(ctx context.Context, changes []plan.Change) (said, err error) {
	var build, up, again []string
	for _, c := range changes {
		switch p.comesTo(c) {
		case string(reload):
			if err := manners[c.ID].reload(running{ctx, p.Engine, c.ID}); err != nil {
				return nil, fmt.Errorf("reload %s: %w", c.ID, err)
			}
		case string(restart):
			again = append(again, c.ID)
		case string(nothing):
		default:
			if p.project.services[c.ID].recipe != "" {
				build = append(build, c.ID)
			}
			up = append(up, c.ID)
			if c.Verb == plan.Update && decode(c.Old).Spec == "" { // it may be as compose has it, with old files
				again = append(again, c.ID)
			}
		}
	}
	if err := p.build(ctx, build); err != nil {
		return nil, err
	}
	var errs []error
	if len(up) > 0 {
		errs = append(errs, p.Engine.Up(ctx, up...))
	}
	if len(again) > 0 {
		errs = append(errs, p.Engine.Restart(ctx, again...))
	}
	return errors.Join(errs...), nil
}

// build makes the images of services, and holds on to those that they run until the new ones are found healthy.
func (p *Plane) build(ctx context.Context, services []string) error {
	if len(services) == 0 {
		return nil
	}
	for _, name := range services {
		if err := p.Engine.Keep(ctx, name, p.project.services[name].image); err != nil {
			return fmt.Errorf("keep the image of %s: %w", name, err)
		}
	}
	if err := p.Engine.Build(ctx, services...); err != nil {
		return fmt.Errorf("build %s: %w", strings.Join(services, ", "), err)
	}
	return nil
}

// observe believes what it sees, not what a command said; but where that was an error, a container that is still the one
// from before is not taken for the new one. A service that is unhealthy after a restart gets its old files
// back, one that was made anew its old definition, too; then it starts once more.
func (p *Plane) observe(ctx context.Context, changes []plan.Change, said error) (map[string]Container, error) {
	list, err := p.Engine.Containers(ctx, p.project.name)
	if err != nil {
		return nil, errors.Join(said, err)
	}
	known, err := p.record()
	if err != nil {
		return nil, errors.Join(said, err)
	}
	seen := map[string]Container{}
	for _, c := range list {
		seen[c.Service] = c
	}
	var wrong []error
	for _, c := range changes {
		now, want := seen[c.ID], p.project.services[c.ID].wanted()
		stale := said != nil && now.ID == known[c.ID].ID && slices.Contains(anew, p.comesTo(c))
		switch {
		case stale:
			err = fmt.Errorf("%s still runs as before", c.ID)
		case now.state() != want:
			err = fmt.Errorf("%s is %s, not %s", c.ID, cmp.Or(now.state(), "not there"), want)
		default:
			continue
		}
		wrong = append(wrong, p.bringBack(ctx, c, err))
	}
	if wrong == nil {
		return seen, nil
	}
	return seen, errors.Join(append(wrong, said)...)
}

// bringBack has a service that a change left unhealthy, or useless, run as it did before, where that is known and safe.
func (p *Plane) bringBack(ctx context.Context, c plan.Change, why error) error {
	switch p.comesTo(c) {
	case string(nothing):
		return p.revert(why, p.reread(c)...)
	case string(reload):
		return errors.Join(p.revert(why, p.reread(c)...), manners[c.ID].reload(running{ctx, p.Engine, c.ID}))
	case string(restart):
		if len(p.reread(c)) > 0 {
			return errors.Join(p.revert(why, p.reread(c)...), p.Engine.Restart(ctx, c.ID))
		}
	case string(recreate), string(rebuild):
		return p.unmake(ctx, c, why)
	}
	return why
}

// unmake has a service that was made anew run with its last definition, and its last image if that was built over. After a
// kill the definition is not known any more, but the image is still held.
func (p *Plane) unmake(ctx context.Context, c plan.Change, why error) error {
	image := p.project.services[c.ID].image
	kept, err := false, error(nil)
	if p.project.services[c.ID].recipe != "" {
		kept, err = p.Engine.Kept(ctx, c.ID, image)
	}
	switch {
	case err != nil:
		return errors.Join(why, err)
	case decode(c.Old).Spec == "" && !kept:
		return why
	case manners[c.ID].data:
		return fmt.Errorf("%w; it is left so, since the new one may have changed its data", why)
	}
	why = p.revert(why, append(p.reread(c), composePath)...)
	if kept {
		why = fmt.Errorf("back to the image before: %w", why)
	}
	if err := errors.Join(p.Engine.Back(ctx, c.ID), p.rename(ctx, c.ID)); err != nil || !kept {
		return errors.Join(why, err)
	}
	return errors.Join(why, p.Engine.Drop(ctx, c.ID, image))
}

// rename writes down the container that has what a service's last one had.
func (p *Plane) rename(ctx context.Context, service string) error {
	list, err := p.Engine.Containers(ctx, p.project.name)
	if err != nil {
		return err
	}
	known, err := p.record()
	if err != nil {
		return err
	}
	for _, c := range list {
		if k, ok := known[c.Service]; ok && c.Service == service {
			k.ID = c.ID
			known[service] = k
		}
	}
	return p.write(known)
}

// dropImages lets go of images that services with their new ones do not need again.
func (p *Plane) dropImages(ctx context.Context, changes []plan.Change) error {
	for _, c := range changes {
		s := p.project.services[c.ID]
		if s.recipe == "" || c.Kind != KindService || !slices.Contains(anew, p.comesTo(c)) {
			continue
		}
		if err := p.Engine.Drop(ctx, c.ID, s.image); err != nil {
			return fmt.Errorf("let go of the last image of %s: %w", c.ID, err)
		}
	}
	return nil
}

// accept forgets what the services had before, and writes down what they now have.
func (p *Plane) accept(ctx context.Context, changes []plan.Change, seen map[string]Container) error {
	known, err := p.record()
	if err != nil {
		return err
	}
	now, _, err := p.files()
	if err != nil {
		return err
	}
	var files []string
	for _, c := range changes {
		v, k := decode(c.New), known[c.ID]
		for file, digest := range v.Files {
			if digest == unknown {
				v.Files[file] = now[c.ID][file]
			}
		}
		if id := seen[c.ID].ID; k.ID != id { // what it found of the tables is what the one before had: theirs is a step of its own
			k = last{ID: id, Tables: k.Tables}
		}
		if c.Kind == KindTables {
			k.Tables = v.Files
		} else {
			k.Spec, k.Files = v.Spec, p.withOthers(v.Files, k.Files)
		}
		known[c.ID] = k
		files = append(append(files, p.reread(c)...), slices.Collect(maps.Keys(v.Files))...)
	}
	if err := p.dropImages(ctx, changes); err != nil {
		return err
	}
	// In this order: killed in between, an apply asks the services once more, and one in the other would leave files of
	// before behind, which a later change that fails would put back.
	if err := p.Host.Forget(append(files, composePath)...); err != nil {
		return err
	}
	return p.write(known)
}

// remove takes away services that are no longer declared. Tables go with their service.
func (p *Plane) remove(ctx context.Context, changes []plan.Change) error {
	known, err := p.record()
	if err != nil {
		return err
	}
	var gone []string
	for _, c := range changes {
		if c.Kind == KindService {
			gone = append(gone, c.ID)
			delete(known, c.ID)
		} else if k, ok := known[c.ID]; ok {
			k.Tables = nil
			known[c.ID] = k
		}
	}
	if len(gone) > 0 {
		if err := p.Engine.Remove(ctx, p.project.name, gone...); err != nil {
			return err
		}
	}
	return p.write(known)
}

// moveVolumes takes volumes away with the containers that use them. These have another place in their spec now, so
// that their own step makes them again.
func (p *Plane) moveVolumes(ctx context.Context, changes []plan.Change) error {
	var users []string
	for name, s := range p.project.services {
		if slices.ContainsFunc(changes, func(c plan.Change) bool { return slices.Contains(s.uses, c.ID) }) {
			users = append(users, name)
		}
	}
	slices.Sort(users)
	if err := p.Engine.Remove(ctx, p.project.name, users...); err != nil {
		return err
	}
	for _, c := range changes {
		if err := p.Engine.RemoveVolume(ctx, p.project.name, c.ID); err != nil {
			return err
		}
	}
	return nil
}
