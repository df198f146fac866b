// Package docker stands in for an engine with a compose project: it starts nothing, and keeps in a file what would run.
// It is as strict as the real one in what it can know: services must be in the compose file, what they mount from
// the project must be there, and a volume in use is not removed.
package docker

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/mailplan/mailplan/compiler/apply/containers"
	"github.com/mailplan/mailplan/compiler/apply/host"
)

// Engine is the stand-in. File keeps its state, Dir holds the compose file.
type Engine struct {
	File string
	Dir  string

	// Refuse makes a service refuse its files when it is asked to judge them; Sick leaves one unhealthy at its next start;
	// Unmade can't be made at the next start, so that the one before runs on.
	Refuse, Sick, Unmade map[string]bool
	// Events are what was done, such as "restart dovecot", for tests.
	Events []string
}

type state struct {
	Containers map[string]container `json:"containers"`
	Volumes    map[string]string    `json:"volumes"`
	Made       int                  `json:"made"`            // containers so far
	Images     int                  `json:"images"`          // built so far
	Built      map[string]int       `json:"built,omitempty"` // which of them a service's name stands for
	Kept       map[string]int       `json:"kept,omitempty"`  // which of them is held on to
}

type container struct {
	ID     string `json:"id"`
	Spec   string `json:"spec"`
	Image  string `json:"image"`
	State  string `json:"state"`
	Health string `json:"health,omitempty"`
	Built  int    `json:"built,omitempty"` // its image, of those that were
}

type project struct {
	Services map[string]service
	Volumes  map[string]struct {
		DriverOpts struct{ Device string } `yaml:"driver_opts"`
	}
	Secrets map[string]struct{ File string }
}

type service struct {
	Image       string
	Healthcheck map[string]any
	DependsOn   map[string]any `yaml:"depends_on"`
	Volumes     []struct{ Type, Source string }
	Secrets     []struct{ Source string }
	Rest        map[string]any `yaml:",inline"`
}

func (e *Engine) load() (state, error) {
	s := state{Containers: map[string]container{}, Volumes: map[string]string{}}
	data, err := os.ReadFile(e.File)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err == nil {
		err = json.Unmarshal(data, &s)
	}
	if err != nil {
		return s, fmt.Errorf("read the stand-in for Docker: %w", err)
	}
	return s, nil
}

func (e *Engine) save(s state, event string) error {
	e.Events = append(e.Events, event)
	return e.write(s)
}

func (e *Engine) write(s state) error {
	data, err := json.MarshalIndent(s, "", " ")
	if err != nil {
		return err
	}
	return host.WriteFile(e.File, append(data, '\n'), 0o600, nil)
}

func (e *Engine) project() (p project, err error) {
	data, err := os.ReadFile(filepath.Join(e.Dir, "docker-compose.yml"))
	if err == nil {
		err = yaml.Unmarshal(data, &p)
	}
	if err != nil {
		return p, fmt.Errorf("docker compose: %w", err)
	}
	return p, nil
}

// Containers lists what would run, sorted.
func (e *Engine) Containers(context.Context, string) ([]containers.Container, error) {
	s, err := e.load()
	var list []containers.Container
	for _, name := range slices.Sorted(maps.Keys(s.Containers)) {
		c := s.Containers[name]
		list = append(list, containers.Container{ID: c.ID, Service: name, Image: c.Image, State: c.State, Health: c.Health})
	}
	return list, err
}

// Volumes lists what would be there, sorted.
func (e *Engine) Volumes(context.Context, string) ([]containers.Volume, error) {
	s, err := e.load()
	var list []containers.Volume
	for _, name := range slices.Sorted(maps.Keys(s.Volumes)) {
		list = append(list, containers.Volume{Name: name, Device: s.Volumes[name]})
	}
	return list, err
}

// Up starts services, and those that they depend on.
func (e *Engine) Up(_ context.Context, services ...string) error {
	return e.start("up", services)
}

// Build makes images of nothing; each is another than the one before.
func (e *Engine) Build(_ context.Context, services ...string) error {
	s, err := e.load()
	if err != nil {
		return err
	}
	if s.Built == nil {
		s.Built = map[string]int{}
	}
	for _, name := range services {
		s.Images++
		s.Built[name] = s.Images
	}
	return e.save(s, "build "+strings.Join(services, " "))
}

// Keep remembers which image runs.
func (e *Engine) Keep(_ context.Context, service, _ string) error {
	s, err := e.load()
	if err != nil {
		return err
	}
	if _, ok := s.Kept[service]; ok || s.Containers[service].Built == 0 {
		return nil
	}
	if s.Kept == nil {
		s.Kept = map[string]int{}
	}
	s.Kept[service] = s.Containers[service].Built
	return e.write(s)
}

// Kept has a service's name stand for what is remembered.
func (e *Engine) Kept(_ context.Context, service, _ string) (bool, error) {
	s, err := e.load()
	if err != nil || s.Kept[service] == 0 {
		return false, err
	}
	s.Built[service] = s.Kept[service]
	return true, e.write(s)
}

// Drop forgets it.
func (e *Engine) Drop(_ context.Context, service, _ string) error {
	s, err := e.load()
	if err != nil || s.Kept[service] == 0 {
		return err
	}
	delete(s.Kept, service)
	return e.write(s)
}

// Back makes services as they are in the compose file now.
func (e *Engine) Back(_ context.Context, services ...string) error { return e.start("back", services) }

// Restart starts services again.
func (e *Engine) Restart(_ context.Context, services ...string) error {
	return e.start("restart", services)
}

func (e *Engine) start(verb string, services []string) error {
	p, err := e.project()
	if err != nil {
		return err
	}
	s, err := e.load()
	if err != nil {
		return err
	}
	var sick []string
	for _, name := range services {
		healthy, err := e.startOne(p, &s, name, map[string]bool{})
		if err != nil {
			return err
		}
		if !healthy {
			sick = append(sick, name)
		}
	}
	if err := e.save(s, verb+" "+strings.Join(services, " ")); err != nil {
		return err
	}
	if sick != nil {
		return fmt.Errorf("container %s is unhealthy", strings.Join(sick, ", "))
	}
	return nil
}

func (e *Engine) startOne(p project, s *state, name string, under map[string]bool) (healthy bool, err error) {
	spec, ok := p.Services[name]
	if !ok {
		return false, fmt.Errorf("no such service: %s", name)
	}
	if under[name] {
		return false, fmt.Errorf("dependency cycle at %s", name)
	}
	under[name] = true
	for dependency := range spec.DependsOn {
		if s.Containers[dependency].State != "running" {
			if _, err := e.startOne(p, s, dependency, under); err != nil {
				return false, err
			}
		}
	}
	delete(under, name)
	if err := e.mount(p, *s, name); err != nil {
		return false, err
	}
	c := container{ID: s.Containers[name].ID, Spec: fmt.Sprintf("%x", sha256.Sum256(fmt.Append(nil, e.Dir, spec, s.Built[name]))), Image: spec.Image, State: "running", Built: s.Built[name]}
	if e.Unmade[name] {
		delete(e.Unmade, name)
		return false, fmt.Errorf("service %s: no command specified", name)
	}
	if c.ID == "" || c.Spec != s.Containers[name].Spec {
		s.Made++
		c.ID = fmt.Sprintf("container-%d", s.Made)
	}
	if spec.Healthcheck != nil {
		c.Health = "healthy"
	}
	if e.Sick[name] {
		c.Health = "unhealthy"
		delete(e.Sick, name)
	}
	s.Containers[name] = c
	return c.Health != "unhealthy", nil
}

// mount looks for what compose would bind, and makes volumes.
func (e *Engine) mount(p project, s state, name string) error {
	var sources []string
	for _, v := range p.Services[name].Volumes {
		if v.Type == "volume" {
			device := p.Volumes[v.Source].DriverOpts.Device
			if was, ok := s.Volumes[v.Source]; ok && was != device {
				return fmt.Errorf("volume %s exists with another configuration", v.Source)
			}
			s.Volumes[v.Source] = device
			continue
		}
		sources = append(sources, v.Source)
	}
	for _, secret := range p.Services[name].Secrets {
		sources = append(sources, p.Secrets[secret.Source].File)
	}
	for _, source := range sources {
		if !strings.HasPrefix(source, "./") {
			continue // the host's own
		}
		if _, err := os.Stat(filepath.Join(e.Dir, filepath.FromSlash(source))); err != nil {
			return fmt.Errorf("bind source path does not exist: %w", err)
		}
	}
	return nil
}

// Signal reaches running services only.
func (e *Engine) Signal(_ context.Context, service, name string) error {
	return e.inside("signal "+name, service)
}

// Exec runs nothing.
func (e *Engine) Exec(_ context.Context, service string, _ io.Reader, argv ...string) ([]byte, error) {
	return nil, e.inside("exec "+strings.Join(argv, " "), service)
}

func (e *Engine) inside(verb, service string) error {
	s, err := e.load()
	if err != nil {
		return err
	}
	if s.Containers[service].State != "running" {
		return fmt.Errorf("service %q is not running", service)
	}
	e.Events = append(e.Events, verb+" "+service)
	return nil
}

// Try takes everything but what Refuse names.
func (e *Engine) Try(_ context.Context, service string, _ ...string) error {
	if e.Refuse[service] {
		return errors.New("the stand-in was told to refuse")
	}
	return nil
}

// Remove forgets containers.
func (e *Engine) Remove(_ context.Context, _ string, services ...string) error {
	s, err := e.load()
	if err != nil {
		return err
	}
	for _, name := range services {
		delete(s.Containers, name)
	}
	return e.save(s, "remove "+strings.Join(services, " "))
}

// RemoveVolume forgets a volume that no running service uses.
func (e *Engine) RemoveVolume(_ context.Context, _, name string) error {
	p, err := e.project()
	if err != nil {
		return err
	}
	s, err := e.load()
	if err != nil {
		return err
	}
	for user := range s.Containers {
		for _, v := range p.Services[user].Volumes {
			if v.Source == name {
				return fmt.Errorf("volume %s is in use by %s", name, user)
			}
		}
	}
	delete(s.Volumes, name)
	return e.save(s, "remove volume "+name)
}
