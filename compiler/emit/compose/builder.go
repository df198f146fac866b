package compose

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"

	"github.com/mailplan/mailplan/compiler/model"
)

// builder gathers the project. Reasons are comments by the path of their key, parts apart by a slash.
type builder struct {
	site    *model.Site
	out     *types.Project
	order   []string
	reasons map[string]string
	mounts  map[string][]mount // secrets as files, by service
	err     error              // the first
}

func newBuilder(s *model.Site) *builder {
	return &builder{
		site:    s,
		reasons: map[string]string{},
		mounts:  map[string][]mount{},
		out: &types.Project{Name: s.Name, Services: types.Services{}, Networks: types.Networks{},
			Volumes: types.Volumes{}, Secrets: types.Secrets{}},
	}
}

// project builds everything and writes it.
func (b *builder) project() ([]byte, error) {
	b.networks()
	b.volumes()
	b.secrets()
	b.services()
	b.owns()
	if b.err != nil {
		return nil, b.err
	}
	b.explain()
	return render(b.out, b.order, b.reasons)
}

// add takes a service in: what all have in common, over what it says of itself.
func (b *builder) add(name string, c model.Container, svc types.ServiceConfig) {
	svc.Name = name
	svc.Image = c.Reference()
	svc.Restart = types.RestartPolicyUnlessStopped
	svc.SecurityOpt = []string{"no-new-privileges:true"}
	svc.Deploy = limits(c)
	svc.Logging = &types.LoggingConfig{Driver: "journald", Options: types.Options{"tag": b.site.Name + "/" + name}}
	if svc.HealthCheck != nil {
		b.times(name, svc.HealthCheck, c.Health)
	}
	b.join(name, &svc)
	b.mountSecrets(name, &svc)
	for _, key := range slices.Sorted(maps.Keys(c.Environment)) {
		setenv(&svc, key, c.Environment[key])
	}
	b.out.Services[name] = svc
	b.order = append(b.order, name)
}

func limits(c model.Container) *types.DeployConfig {
	return &types.DeployConfig{Resources: types.Resources{Limits: &types.Resource{
		NanoCPUs: types.NanoCPUs(c.CPUs), MemoryBytes: types.UnitBytes(c.Memory.Bytes()), Pids: 1024,
	}}}
}

// setenv sets a variable. Compose reads a dollar sign as its own, so it is doubled.
func setenv(svc *types.ServiceConfig, name, value string) {
	if svc.Environment == nil {
		svc.Environment = types.MappingWithEquals{}
	}
	value = dollars(value)
	svc.Environment[name] = &value
}

func dollars(s string) string { return strings.ReplaceAll(s, "$", "$$") }

// env is a set of variables in pairs.
func env(pairs ...string) types.MappingWithEquals {
	var svc types.ServiceConfig
	for i := 0; i < len(pairs); i += 2 {
		setenv(&svc, pairs[i], pairs[i+1])
	}
	return svc.Environment
}

// config mounts a file or folder of the project's config/ read-only.
func config(source, target string) types.ServiceVolumeConfig {
	return bind("./config/"+source, target, true)
}

// bind mounts a path of the host. It must exist: Docker would make an empty folder of root's.
func bind(source, target string, readOnly bool) types.ServiceVolumeConfig {
	return types.ServiceVolumeConfig{Type: "bind", Source: source, Target: target, ReadOnly: readOnly,
		Bind: &types.ServiceVolumeBind{CreateHostPath: false}}
}

func volume(name, target string) types.ServiceVolumeConfig {
	return types.ServiceVolumeConfig{Type: "volume", Source: name, Target: target}
}

// data is a volume on a folder that the host has with its owner and mode. Docker would give an empty one those of the
// folder in the image, with what lies there.
func data(name, target string) types.ServiceVolumeConfig {
	v := volume(name, target)
	v.Volume = &types.ServiceVolumeVolume{NoCopy: true}
	return v
}

func readOnly(v types.ServiceVolumeConfig) types.ServiceVolumeConfig {
	v.ReadOnly = true
	return v
}

// healthy are dependencies whose health is waited for.
func healthy(names ...string) types.DependsOnConfig {
	out := types.DependsOnConfig{}
	for _, n := range names {
		out[n] = types.ServiceDependency{Condition: types.ServiceConditionHealthy, Required: true}
	}
	return out
}

// publish opens a container's port on an address of the host; port 0 is off.
func publish(address string, port, target int) []types.ServicePortConfig {
	if port == 0 {
		return nil
	}
	return []types.ServicePortConfig{{Mode: "ingress", HostIP: address, Target: uint32(target),
		Published: fmt.Sprint(port), Protocol: "tcp"}}
}

func (b *builder) tailnetContainer() bool {
	return b.site.Tailnet != nil && b.site.Tailnet.Mode == "container"
}

func (b *builder) reason(path, text string) {
	if b.reasons[path] != "" {
		b.reasons[path] += "\n"
	}
	for i, line := range strings.Split(text, "\n") {
		if i > 0 {
			b.reasons[path] += "\n"
		}
		b.reasons[path] += "# " + line
	}
}

func (b *builder) fail(err error) {
	if b.err == nil {
		b.err = err
	}
}
