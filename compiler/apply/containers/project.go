package containers

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/mailplan/mailplan/compiler/model"
)

const composePath = model.ProjectDir + "/docker-compose.yml"

// project is what the plane reads of a compose file.
type project struct {
	name     string
	services map[string]service
	volumes  map[string]string // device, by name
}

type service struct {
	image  string
	spec   string
	health bool
	needs  []string        // services
	uses   []string        // volumes
	single map[string]bool // files of the project that are mounted by themselves: a container keeps the replaced one
	recipe string          // Dockerfile in the tree that its image is built by; empty for a ready one
	made   []string        // files of the project that go into that image
}

// composeFile is the part of the format that counts.
type composeFile struct {
	Name     string
	Services map[string]map[string]any
	Networks map[string]any
	Volumes  map[string]struct {
		DriverOpts struct{ Device string } `yaml:"driver_opts"`
	}
	Secrets map[string]struct{ File string }
}

// parse reads a compose file that lies in root on the host.
func parse(data []byte, root string) (project, error) {
	var c composeFile
	if err := yaml.Unmarshal(data, &c); err != nil {
		return project{}, fmt.Errorf("read the compose file: %w", err)
	}
	p := project{name: c.Name, services: map[string]service{}, volumes: map[string]string{}}
	for name, v := range c.Volumes {
		p.volumes[name] = v.DriverOpts.Device
	}
	for name, spec := range c.Services {
		s, err := c.service(spec, root)
		if err != nil {
			return p, fmt.Errorf("read the compose file: service %s: %w", name, err)
		}
		p.services[name] = s
	}
	return p, nil
}

func (c composeFile) service(spec map[string]any, root string) (service, error) {
	networks := map[string]any{}
	for name := range object(spec["networks"]) {
		networks[name] = c.Networks[name]
	}
	s := service{single: map[string]bool{}, needs: slices.Sorted(maps.Keys(object(spec["depends_on"])))}
	devices := map[string]string{}
	s.image, _ = spec["image"].(string)
	_, s.health = spec["healthcheck"]
	if context, ok := object(spec["build"])["context"].(string); ok {
		dockerfile, _ := object(spec["build"])["dockerfile"].(string)
		s.made = []string{inProject(context, root)} // until the recipe says what of it
		s.recipe = path.Join(s.made[0], cmp.Or(dockerfile, "Dockerfile"))
	}
	for _, v := range list(spec["volumes"]) {
		source, _ := object(v)["source"].(string)
		if object(v)["type"] == "volume" {
			s.uses = append(s.uses, source)
			devices[source] = c.Volumes[source].DriverOpts.Device
		} else if inTree := inProject(source, root); inTree != "" {
			s.single[inTree] = true
		}
	}
	for _, v := range list(spec["secrets"]) {
		name, _ := object(v)["source"].(string)
		s.single[inProject(c.Secrets[name].File, root)] = true
	}
	data, err := json.Marshal([]any{spec, networks, devices})
	s.spec = short(data)
	return s, err
}

// wanted is the state in which a service is as it should be.
func (s service) wanted() string {
	if s.health {
		return "healthy"
	}
	return "running"
}

// inProject is the tree's path of a source below the project's root; empty for another.
func inProject(source, root string) string {
	for _, base := range []string{"./", strings.TrimSuffix(root, "/") + "/"} {
		if rest, ok := strings.CutPrefix(source, base); ok {
			return path.Join(model.ProjectDir, rest)
		}
	}
	return ""
}

// ingredients are the files of its build folder that a Dockerfile copies from there.
func ingredients(folder string, dockerfile []byte) (files []string) {
	for line := range strings.Lines(string(dockerfile)) {
		words := strings.Fields(line)
		if len(words) == 3 && words[0] == "COPY" {
			files = append(files, path.Join(folder, words[1]))
		}
	}
	return files
}

// builds says whether the image of the service changes with a file.
func (s service) builds(file string) bool {
	return s.recipe != "" && (file == s.recipe || slices.Contains(s.made, file))
}

func object(v any) map[string]any { m, _ := v.(map[string]any); return m }

func list(v any) []any { l, _ := v.([]any); return l }

func short(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:8])
}
