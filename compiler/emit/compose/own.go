package compose

import (
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"

	"github.com/mailplan/mailplan/compiler/model"
)

// owns adds the site's own containers. Nothing is known of their images, so they keep Docker's usual
// rights, but for forging packets and gaining more.
func (b *builder) owns() {
	for _, o := range b.site.Containers.Own {
		spec := types.ContainerSpec{CapDrop: []string{"NET_RAW"}, Command: escaped(o.Command), Volumes: b.ownVolumes(o)}
		spec.Networks = b.ownNetworks(o)
		svc := service(spec, nil)
		if len(o.HealthCommand) > 0 {
			svc.HealthCheck = command(slices.Clone(o.HealthCommand)...)
		}
		for _, p := range o.Publish {
			target := p.ContainerPort
			if target == 0 {
				target = p.Port
			}
			svc.Ports = append(svc.Ports, publish(p.Address, p.Port, target)...)
		}
		svc.DependsOn = b.ownDependencies(o)
		b.add(o.Name, o.Container, svc)
	}
}

func escaped(args []string) types.ShellCommand {
	out := types.ShellCommand{}
	for _, a := range args {
		out = append(out, dollars(a))
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

// ownNetworks joins what is declared, and web where the tunnel leads a name here; else a network alone.
func (b *builder) ownNetworks(o model.OwnContainer) map[string]*types.ServiceNetworkConfig {
	out := map[string]*types.ServiceNetworkConfig{}
	for _, n := range o.Networks {
		out[n] = nil
	}
	if o.Hostname != "" {
		out["web"] = nil
	}
	if len(out) == 0 || len(o.Publish) > 0 {
		name := "own_" + o.Name
		out[name] = nil
		b.out.Networks[name] = types.NetworkConfig{Driver: "bridge"}
		b.reason("networks/"+name, "only "+o.Name)
	}
	return out
}

func (b *builder) ownVolumes(o model.OwnContainer) []types.ServiceVolumeConfig {
	var out []types.ServiceVolumeConfig
	for _, v := range o.Volumes {
		if strings.HasPrefix(v.Source, "/") {
			out = append(out, bind(v.Source, v.Target, v.ReadOnly))
			continue
		}
		name := o.Name + "_" + v.Source
		b.out.Volumes[name] = types.VolumeConfig{Driver: "local"}
		m := volume(name, v.Target)
		m.ReadOnly = v.ReadOnly
		out = append(out, m)
	}
	return out
}

// ownDependencies waits for health where there is a way to ask for it.
func (b *builder) ownDependencies(o model.OwnContainer) types.DependsOnConfig {
	deps := healthy(o.DependsOn...)
	for _, other := range b.site.Containers.Own {
		if d, ok := deps[other.Name]; ok && len(other.HealthCommand) == 0 {
			d.Condition = types.ServiceConditionStarted
			deps[other.Name] = d
		}
	}
	if len(deps) == 0 {
		return nil
	}
	return deps
}
