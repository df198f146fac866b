// Package containers is the plane of the compose project: one object per service, made of what compose says of it, of
// the files that it reads, and of how it is. A service is touched only when one of these changed, gets along with
// a reload where that is enough, and counts as done when the engine shows it healthy. The package knows no format of
// a service's files; it hands them to the service's own check.
package containers

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/mailplan/mailplan/compiler/apply/host"
	"github.com/mailplan/mailplan/compiler/model"
	"github.com/mailplan/mailplan/compiler/plan"
)

// Kinds of objects on this plane.
const (
	KindService = "service"
	KindTables  = "tables" // what a service reads that leads mail or signs it: changed last, and read again by itself
	KindVolume  = "volume"
)

// Plane is the compose project on a host. Engine may be nil where only Desired is asked.
type Plane struct {
	Host   *host.Host
	Tree   model.Tree
	Engine Engine
	// Programs are those that the host plane lays down; images are built of them.
	Programs []host.Program
	// Proof says, as an error, why a test message does not arrive; nil where none can be sent.
	Proof func(ctx context.Context) error

	project project // of Desired, for the apply
}

// value is what is compared of a service. Of its tables it has Files only.
type value struct {
	Image string            `json:"image,omitempty"`
	Spec  string            `json:"spec,omitempty"` // digest of what compose says
	State string            `json:"state,omitempty"`
	Files map[string]string `json:"files,omitempty"` // digest of each file that it reads, by its path in the tree
}

// volume is where a volume's data lies.
type volume struct {
	Device string `json:"device"`
}

// Name is the plane's.
func (p *Plane) Name() plan.Plane { return plan.Containers }

// Kinds are the plane's.
func (p *Plane) Kinds() []string { return []string{KindService, KindTables, KindVolume} }

// Desired lists the services that compose has, healthy, with the files as the tree has them, and the volumes.
func (p *Plane) Desired(ctx context.Context) ([]plan.Object, error) {
	if err := p.Read(); err != nil {
		return nil, err
	}
	files, tables, err := p.files()
	if err != nil {
		return nil, err
	}
	p.guard(map[string]string{composePath: ""})
	var objects []plan.Object
	for _, name := range slices.Sorted(maps.Keys(p.project.services)) {
		s := p.project.services[name]
		v := value{Image: s.image, Spec: s.spec, State: s.wanted(), Files: files[name]}
		p.guard(files[name], tables[name])
		o := plan.Object{Plane: plan.Containers, Kind: KindService, ID: name, Value: plan.Encode(v), Show: show(v),
			From: model.Path("containers", name), Phase: plan.Start}
		for _, need := range s.needs {
			o.Needs = append(o.Needs, ref(KindService, need))
		}
		objects = append(objects, o)
		if len(tables[name]) > 0 {
			objects = append(objects, tablesObject(name, tables[name]))
		}
	}
	volumes, err := p.volumes(ctx)
	return append(objects, volumes...), err
}

// Read takes note of the tree's compose file; without one there is no project. Desired begins with it.
func (p *Plane) Read() (err error) {
	if compose, ok := p.Tree.Lookup(composePath); ok {
		p.project, err = parse(compose.Content, p.Host.Root)
	}
	for name, s := range p.project.services {
		if recipe, ok := p.Tree.Lookup(s.recipe); ok {
			s.made = ingredients(s.made[0], recipe.Content)
			p.project.services[name] = s
		}
	}
	return err
}

// guard has the host keep what services read until they have taken what comes.
func (p *Plane) guard(sets ...map[string]string) {
	if p.Host.Guarded == nil {
		p.Host.Guarded = map[string]bool{}
	}
	for _, set := range sets {
		for file := range set {
			p.Host.Guarded[file] = true
		}
	}
}

func tablesObject(service string, files map[string]string) plan.Object {
	o := plan.Object{Plane: plan.Containers, Kind: KindTables, ID: service, Value: plan.Encode(value{Files: files}),
		Show: counted(len(files)), From: model.Path("containers", service), Phase: plan.Switch}
	return o
}

// volumes are those that live already under another device than declared, or the same; compose makes new ones.
func (p *Plane) volumes(ctx context.Context) ([]plan.Object, error) {
	if p.Engine == nil || p.project.name == "" {
		return nil, nil
	}
	live, err := p.Engine.Volumes(ctx, p.project.name)
	if err != nil {
		return nil, err
	}
	var objects []plan.Object
	for _, v := range live {
		device, ok := p.project.volumes[v.Name]
		if !ok {
			continue // its data may be wanted yet
		}
		o := p.volumeObject(v.Name, device)
		if device != v.Device {
			o.Irreversible = fmt.Sprintf("it leaves %s for %s, and no data moves by itself", v.Device, device)
		}
		objects = append(objects, o)
	}
	return objects, nil
}

func (p *Plane) volumeObject(name, device string) plan.Object {
	compose := plan.Object{Plane: plan.Host, Kind: host.KindFile, ID: path.Join(p.Host.Root, path.Base(composePath))}
	return plan.Object{Needs: []string{compose.Ref()}, Plane: plan.Containers, Kind: KindVolume, ID: name, Value: plan.Encode(volume{device}), Show: device, Phase: plan.Place}
}

// unknown stands for the digest of a file that holds what a step of the plan makes.
const unknown = "not known yet"

// files digests what each service reads, and apart from it what changes last.
func (p *Plane) files() (files, tables map[string]map[string]string, err error) {
	objects, err := p.Host.Desired(p.Tree, nil)
	if err != nil {
		return nil, nil, err
	}
	files, tables = map[string]map[string]string{}, map[string]map[string]string{}
	for i, f := range p.Tree.Files {
		into := files
		switch objects[i].UpdatePhase {
		case plan.Switch:
			into = tables
		case plan.Last:
			continue // for mailplan alone
		}
		for _, service := range f.Reads {
			digest := unknown
			if host.Known(objects[i]) {
				digest = short(objects[i].Value)
			}
			add(into, service, f.Path, digest)
		}
	}
	for name, s := range p.project.services {
		if recipe, ok := p.Tree.Lookup(s.recipe); ok {
			add(files, name, s.recipe, short(recipe.Content))
		}
	}
	return files, tables, p.programs(files)
}

// add notes the digest of a file that a service reads.
func add(files map[string]map[string]string, service, file, digest string) {
	if files[service] == nil {
		files[service] = map[string]string{}
	}
	files[service][file] = digest
}

// programs adds those of the host to what the services read that have them.
func (p *Plane) programs(files map[string]map[string]string) error {
	programs, err := p.Host.DesiredPrograms(p.Programs)
	if err != nil {
		return err
	}
	for _, o := range programs {
		program := path.Join(programFolder, path.Base(o.ID))
		for name, s := range p.project.services {
			if !s.single[program] && !s.builds(program) {
				continue
			}
			add(files, name, program, short(o.Value))
		}
	}
	return nil
}

// programFolder is where the host plane puts programs, in the project.
const programFolder = model.ProjectDir + "/bin"

// elsewhere says that a file is a program that this run does not lay down, and so knows nothing about.
func (p *Plane) elsewhere(file string) bool {
	return path.Dir(file) == programFolder && !slices.ContainsFunc(p.Programs, func(h host.Program) bool { return h.Name == path.Base(file) })
}

// without leaves such programs out.
func (p *Plane) without(files map[string]string) map[string]string {
	out := maps.Clone(files)
	maps.DeleteFunc(out, func(file, _ string) bool { return p.elsewhere(file) })
	return out
}

// withOthers keeps what was known of them.
func (p *Plane) withOthers(files, known map[string]string) map[string]string {
	out := maps.Clone(files)
	for file, digest := range known {
		if !p.elsewhere(file) {
			continue
		}
		if out == nil {
			out = map[string]string{}
		}
		out[file] = digest
	}
	return out
}

// Live lists the containers of the project as the engine sees them, with what they were last known to have read.
func (p *Plane) Live(ctx context.Context) ([]plan.Object, error) {
	if p.project.name == "" {
		return nil, nil
	}
	list, err := p.Engine.Containers(ctx, p.project.name)
	if err != nil {
		return nil, err
	}
	known, err := p.record()
	if err != nil {
		return nil, err
	}
	var objects []plan.Object
	for _, c := range list {
		k := known[c.Service]
		if k.ID != c.ID {
			k = last{}
		}
		p.guard(k.Files, k.Tables) // what goes is kept like what changes
		v := value{Image: c.Image, Spec: k.Spec, State: c.state(), Files: p.without(k.Files)}
		objects = append(objects, plan.Object{Plane: plan.Containers, Kind: KindService, ID: c.Service, Value: plan.Encode(v),
			Show: show(v), Phase: plan.Start})
		if len(k.Tables) > 0 {
			objects = append(objects, tablesObject(c.Service, k.Tables))
		}
	}
	volumes, err := p.Engine.Volumes(ctx, p.project.name)
	if err != nil {
		return nil, err
	}
	for _, v := range volumes {
		if _, ok := p.project.volumes[v.Name]; ok {
			objects = append(objects, p.volumeObject(v.Name, v.Device))
		}
	}
	return objects, nil
}

// Note says what a change does to a service, when it stops one, and when it touches what only a backup would bring back.
func (p *Plane) Note(c *plan.Change) {
	c.Note = p.comesTo(*c)
	if c.Verb != plan.Update {
		return
	}
	m := manners[c.ID]
	switch {
	case c.Kind == KindVolume:
		c.Risk = "volume " + c.ID + " moves"
		return
	case m.data && slices.Contains(anew, c.Note):
		c.Risk = c.ID + " is made anew over its data"
	case slices.ContainsFunc(p.reread(*c), func(f string) bool { return below(f, m.shapes) }):
		c.Risk = "tables of " + c.ID + " change"
	}
	if slices.Contains(away, c.Note) {
		c.Stops = c.ID
	}
}

func (p *Plane) comesTo(c plan.Change) string {
	switch {
	case c.Kind == KindVolume:
		return "its services stop until they start on the new place"
	case c.Verb == plan.Create && c.Kind == KindService:
		return "start"
	case c.Verb == plan.Delete:
		return "stop and remove; its volumes stay"
	}
	old, new := decode(c.Old), decode(c.New)
	if c.Kind == KindTables {
		return string(p.project.how(c.ID, changed(old.Files, new.Files)))
	}
	files := changed(old.Files, new.Files)
	switch {
	case slices.ContainsFunc(files, p.project.services[c.ID].builds):
		return string(rebuild)
	case old.Spec != new.Spec || old.Image != new.Image:
		return string(recreate)
	case len(files) > 0:
		return string(p.project.how(c.ID, files))
	}
	return string(restart)
}

func decode(data json.RawMessage) (v value) {
	_ = json.Unmarshal(data, &v) // ours; the zero value of nothing
	return v
}

// changed lists the paths that differ, sorted.
func changed(old, new map[string]string) []string {
	var list []string
	for file := range maps.Keys(new) {
		if old[file] != new[file] {
			list = append(list, file)
		}
	}
	for file := range maps.Keys(old) {
		if _, ok := new[file]; !ok {
			list = append(list, file)
		}
	}
	slices.Sort(list)
	return list
}

func counted(files int) string {
	if files == 1 {
		return "1 file"
	}
	return fmt.Sprintf("%d files", files)
}

func show(v value) string { return strings.TrimPrefix(v.Image+", "+v.State, ", ") }

func ref(kind, id string) string {
	return plan.Object{Plane: plan.Containers, Kind: kind, ID: id}.Ref()
}
