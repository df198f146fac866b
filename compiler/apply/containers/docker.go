package containers

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/mailplan/mailplan/compiler/apply/host"
)

// patience is how long Docker waits for services to be healthy, in seconds: ClamAV loads its signatures for minutes.
const patience = "600"

// Docker is the Engine of a host with `docker compose`.
type Docker struct {
	Run host.Runner
	Dir string // of the compose file
}

func (d Docker) compose(ctx context.Context, stdin io.Reader, args ...string) ([]byte, error) {
	argv := []string{"docker", "compose", "--progress", "quiet", "--project-directory", d.Dir, "--file", path.Join(d.Dir, path.Base(composePath))}
	return d.Run(ctx, stdin, append(argv, args...)...)
}

// inspected is what docker inspect says of a container.
type inspected struct {
	ID     string `json:"Id"`
	Config struct {
		Image  string
		User   string
		Labels map[string]string
	}
	State struct {
		Status string
		Health *struct{ Status string }
	}
}

const (
	labelProject = "com.docker.compose.project"
	labelService = "com.docker.compose.service"
	labelVolume  = "com.docker.compose.volume"
	labelOneOff  = "com.docker.compose.oneoff"
)

// inspect looks again when a container went away between two looks.
func (d Docker) inspect(ctx context.Context, filters ...string) (list []inspected, err error) {
	for range 3 {
		if list, err = d.inspectOnce(ctx, filters...); err == nil || !strings.Contains(err.Error(), "No such") {
			break
		}
	}
	return list, err
}

func (d Docker) inspectOnce(ctx context.Context, filters ...string) ([]inspected, error) {
	argv := []string{"sh", "-c", inspectAll, "sh", "--filter", "label=" + labelOneOff + "=False"}
	for _, f := range filters {
		argv = append(argv, "--filter", "label="+f)
	}
	out, err := d.Run(ctx, nil, argv...)
	if err != nil || len(bytes.TrimSpace(out)) == 0 {
		return nil, err
	}
	var list []inspected
	if err := json.Unmarshal(out, &list); err != nil {
		return nil, fmt.Errorf("docker inspect: %w", err)
	}
	return list, nil
}

// What takes two commands of Docker is one on the host, which may be far: each of these takes filters, or a project's
// folder, a service, and then what is to be done to its container.
const (
	inspectAll = `ids=$(docker ps --all --quiet --no-trunc "$@") || exit 1
[ -z "$ids" ] || exec docker inspect $ids`
	inspectVolumes = `names=$(docker volume ls --quiet "$@") || exit 1
[ -z "$names" ] || exec docker volume inspect $names`
	findContainer = `id=$(docker ps --quiet --filter "label=com.docker.compose.project.working_dir=$1" --filter "label=` + labelService + `=$2" --filter label=` + labelOneOff + `=False | head -n 1)
[ -n "$id" ] || { echo "service $2 does not run" >&2; exit 1; }
shift 2
`
	// Of an image, what is held of it, and a service of the project.
	keepImage = `docker image inspect "$2" >/dev/null 2>&1 && exit 0
id=$(docker ps --all --quiet --filter "label=com.docker.compose.project.working_dir=$3" --filter "label=` + labelService + `=$4" --filter label=` + labelOneOff + `=False | head -n 1)
[ -n "$id" ] || exit 0
image=$(docker inspect --format '{{.Image}}' "$id") || exit 1
exec docker tag "$image" "$2"`
	keptImage = `docker image inspect "$2" >/dev/null 2>&1 || exit 0
docker tag "$2" "$1" && echo kept`
	dropImage = `docker image inspect "$2" >/dev/null 2>&1 || exit 0
exec docker image rm --force "$2"`
	execIn   = findContainer + `exec docker exec --interactive "$id" "$@"`
	signalTo = findContainer + `exec docker kill --signal "$1" "$id"`
)

// Containers is as Engine wants it.
func (d Docker) Containers(ctx context.Context, project string) ([]Container, error) {
	found, err := d.inspect(ctx, labelProject+"="+project)
	if err != nil {
		return nil, err
	}
	var list []Container
	for _, i := range found {
		c := Container{ID: i.ID, Service: i.Config.Labels[labelService], Image: i.Config.Image, State: i.State.Status}
		if i.State.Health != nil {
			c.Health = i.State.Health.Status
		}
		list = append(list, c)
	}
	return list, nil
}

// namedVolume is what docker volume inspect says.
type namedVolume struct {
	Name    string
	Labels  map[string]string
	Options map[string]string
}

func (d Docker) volumes(ctx context.Context, project string) ([]namedVolume, error) {
	out, err := d.Run(ctx, nil, "sh", "-c", inspectVolumes, "sh", "--filter", "label="+labelProject+"="+project)
	if err != nil || len(bytes.TrimSpace(out)) == 0 {
		return nil, err
	}
	var list []namedVolume
	if err := json.Unmarshal(out, &list); err != nil {
		return nil, fmt.Errorf("docker volume inspect: %w", err)
	}
	return list, nil
}

// Volumes is as Engine wants it.
func (d Docker) Volumes(ctx context.Context, project string) ([]Volume, error) {
	found, err := d.volumes(ctx, project)
	var list []Volume
	for _, v := range found {
		list = append(list, Volume{Name: v.Labels[labelVolume], Device: v.Options["device"]})
	}
	return list, err
}

// Up is as Engine wants it.
func (d Docker) Up(ctx context.Context, services ...string) error {
	_, err := d.compose(ctx, nil, append([]string{"up", "--detach", "--wait", "--wait-timeout", patience}, services...)...)
	return err
}

// Build is as Engine wants it.
func (d Docker) Build(ctx context.Context, services ...string) error {
	_, err := d.compose(ctx, nil, append([]string{"build", "--quiet"}, services...)...)
	return err
}

// held is the name under which an image is held on to.
func held(image string) string { return image + ".kept" }

// Keep is as Engine wants it.
func (d Docker) Keep(ctx context.Context, service, image string) error {
	_, err := d.Run(ctx, nil, "sh", "-c", keepImage, "sh", image, held(image), d.Dir, service)
	return err
}

// Kept is as Engine wants it.
func (d Docker) Kept(ctx context.Context, _, image string) (bool, error) {
	out, err := d.Run(ctx, nil, "sh", "-c", keptImage, "sh", image, held(image))
	return len(bytes.TrimSpace(out)) > 0, err
}

// Drop is as Engine wants it.
func (d Docker) Drop(ctx context.Context, _, image string) error {
	_, err := d.Run(ctx, nil, "sh", "-c", dropImage, "sh", image, held(image))
	return err
}

// Back is as Engine wants it.
func (d Docker) Back(ctx context.Context, services ...string) error {
	_, err := d.compose(ctx, nil, append([]string{"up", "--detach", "--no-deps", "--wait", "--wait-timeout", patience}, services...)...)
	return err
}

// Restart is as Engine wants it.
func (d Docker) Restart(ctx context.Context, services ...string) error {
	if _, err := d.compose(ctx, nil, append([]string{"restart"}, services...)...); err != nil {
		return err
	}
	_, err := d.compose(ctx, nil, append([]string{"up", "--detach", "--no-recreate", "--wait", "--wait-timeout", patience}, services...)...)
	return err
}

// Signal is as Engine wants it.
func (d Docker) Signal(ctx context.Context, service, name string) error {
	_, err := d.Run(ctx, nil, "sh", "-c", signalTo, "sh", d.Dir, service, name)
	return err
}

// Exec is as Engine wants it.
func (d Docker) Exec(ctx context.Context, service string, stdin io.Reader, argv ...string) ([]byte, error) {
	return d.Run(ctx, stdin, append([]string{"sh", "-c", execIn, "sh", d.Dir, service}, argv...)...)
}

// Try is as Engine wants it. The container stands beside the running one, in its network, with its mounts read-only
// and mounted anew: one of compose's own would claim its fixed addresses.
func (d Docker) Try(ctx context.Context, service string, argv ...string) error {
	found, err := d.inspect(ctx, labelService+"="+service, "com.docker.compose.project.working_dir="+d.Dir)
	if err != nil {
		return err
	}
	if len(found) == 0 || found[0].State.Status != "running" {
		return nil // its start will tell
	}
	beside := found[0]
	run := []string{"docker", "run", "--rm", "--tmpfs", "/tmp", "--network", "container:" + beside.ID, "--volumes-from", beside.ID + ":ro", "--user", beside.Config.User,
		"--security-opt", "no-new-privileges", "--entrypoint", argv[0], beside.Config.Image}
	_, err = d.Run(ctx, nil, append(run, argv[1:]...)...)
	return err
}

// Remove is as Engine wants it.
func (d Docker) Remove(ctx context.Context, project string, services ...string) error {
	found, err := d.inspect(ctx, labelProject+"="+project)
	if err != nil {
		return err
	}
	var ids []string
	for _, i := range found {
		for _, s := range services {
			if i.Config.Labels[labelService] == s {
				ids = append(ids, i.ID)
			}
		}
	}
	if len(ids) == 0 {
		return nil
	}
	if _, err := d.Run(ctx, nil, append([]string{"docker", "stop"}, ids...)...); err != nil {
		return err
	}
	_, err = d.Run(ctx, nil, append([]string{"docker", "rm"}, ids...)...)
	return err
}

// RemoveVolume is as Engine wants it.
func (d Docker) RemoveVolume(ctx context.Context, project, name string) error {
	found, err := d.volumes(ctx, project)
	if err != nil {
		return err
	}
	for _, v := range found {
		if v.Labels[labelVolume] == name {
			_, err := d.Run(ctx, nil, "docker", "volume", "rm", v.Name)
			return err
		}
	}
	return nil
}
