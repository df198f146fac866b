package containers

import (
	"context"
	"io"
)

// Engine runs the containers of the project that lies in the host's root.
type Engine interface {
	// Containers lists those of a project, running or not.
	Containers(ctx context.Context, project string) ([]Container, error)
	// Volumes lists those of a project.
	Volumes(ctx context.Context, project string) ([]Volume, error)
	// Build makes the images of services of what lies in the project now.
	Build(ctx context.Context, services ...string) error
	// Keep holds on to the image that a service runs, under another name, before image is built anew. What is held already
	// stays: it is the last that was good.
	Keep(ctx context.Context, service, image string) error
	// Kept gives image back to what is held; false where nothing is.
	Kept(ctx context.Context, service, image string) (bool, error)
	// Drop lets go of what is held.
	Drop(ctx context.Context, service, image string) error
	// Back makes services as compose has them, and leaves those alone that they need.
	Back(ctx context.Context, services ...string) error
	// Up makes services as compose has them and waits until they are healthy, or are found not to be.
	Up(ctx context.Context, services ...string) error
	// Restart restarts services with the files as they lie now, and waits like Up.
	Restart(ctx context.Context, services ...string) error
	// Signal sends a signal to a service's first process.
	Signal(ctx context.Context, service, name string) error
	// Exec runs a program in a service's container and returns what it prints.
	Exec(ctx context.Context, service string, stdin io.Reader, argv ...string) ([]byte, error)
	// Try runs a program in a throw-away container of a service, on its files as they lie now.
	Try(ctx context.Context, service string, argv ...string) error
	// Remove stops and removes the containers of services of a project, known to compose or not.
	Remove(ctx context.Context, project string, services ...string) error
	// RemoveVolume forgets a volume that no container uses; a folder behind it stays.
	RemoveVolume(ctx context.Context, project, name string) error
}

// Container is one as the engine shows it. Health is empty without a health check.
type Container struct {
	ID      string
	Service string
	Image   string
	State   string
	Health  string
}

// state is in one word how it is.
func (c Container) state() string {
	if c.State == "running" && c.Health != "" {
		return c.Health
	}
	return c.State
}

// Volume is one as the engine shows it; Device is the folder behind it.
type Volume struct {
	Name   string
	Device string
}

// running is a service that is to do something.
type running struct {
	ctx     context.Context
	engine  Engine
	service string
}
