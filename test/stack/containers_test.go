//go:build stack

package stack_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mailplan/mailplan/compiler/apply"
	"github.com/mailplan/mailplan/compiler/apply/containers"
	"github.com/mailplan/mailplan/compiler/apply/host"
	"github.com/mailplan/mailplan/compiler/model"
	"github.com/mailplan/mailplan/compiler/plan"
	"github.com/mailplan/mailplan/test/stack"
)

const (
	planeImage   = "nginx:1.30-alpine"
	planeCompose = `name: plane
services:
  nginx:
    image: ` + planeImage + `
    healthcheck: {test: [CMD, curl, -fsS, "http://127.0.0.1/"], interval: 1s, start_period: 20s}
    volumes:
      - {type: bind, source: ./config/nginx/nginx.conf, target: /etc/nginx/nginx.conf, read_only: true}
      - {type: bind, source: ./config/nginx/conf.d, target: /etc/nginx/conf.d, read_only: true}
      - {type: volume, source: cache, target: /var/cache/nginx}
`
	planeExtra   = "  extra:\n    image: " + planeImage + "\n    command: [sleep, infinity]\n    init: true\n"
	planeVolumes = "volumes: {cache: {driver: local, driver_opts: {device: DEVICE, o: bind, type: none}}}\n"
	// planeBuilt says what its program says.
	planeBuilt = `  mailserver-api:
    image: built:1
    build: {context: ./bin, dockerfile: ../api/Dockerfile, network: none}
    init: true
    healthcheck: {test: [CMD, test, -e, /tmp/well], interval: 1s, retries: 3}
`
	planeRecipe = "FROM alpine:3.22\nCOPY mailpland /mailpland\nENTRYPOINT [\"/mailpland\"]\n"
	planeMain   = "events {}\nhttp { include /etc/nginx/conf.d/*.conf; }\n"
	planeSite   = "server { listen 80; location / { return 200 \"TEXT\"; } }\n"
)

// plane is a small project on a real engine.
type plane struct {
	t      *testing.T
	docker *stack.Docker
	dir    string
	files  map[string]string
	plan   plan.Plan
	// programs are those of this machine.
	programs []host.Program
}

func (p *plane) converge() error {
	p.t.Helper()
	var files []model.File
	for name, text := range p.files {
		f := model.File{Path: model.ProjectDir + "/" + name, Mode: 0o644, Content: []byte(text)}
		if strings.HasPrefix(name, "config/nginx/") {
			f.Reads = []string{"nginx"}
		}
		files = append(files, f)
	}
	tree, err := model.NewTree(files)
	if err != nil {
		p.t.Fatal(err)
	}
	h := &host.Host{Files: host.Local{Owners: host.RealOwners{}}, Root: p.dir}
	planes := []apply.Plane{&host.Plane{Host: h, Tree: tree, Programs: p.programs},
		&containers.Plane{Host: h, Tree: tree, Programs: p.programs, Engine: containers.Docker{Run: p.docker.Run, Dir: p.dir}}}
	if p.plan, err = apply.Plan(p.t.Context(), apply.Request{Site: "plane"}, planes); err != nil {
		p.t.Fatal(err)
	}
	return apply.Run(p.t.Context(), p.plan, planes, apply.Open(filepath.Join(p.t.TempDir(), "journal")), func(int, int, plan.Change) {})
}

// step converges, holds what is said to be done to which service, what nginx answers, and that nothing is left to do.
func (p *plane) step(what, note, answer string) {
	p.t.Helper()
	if err := p.converge(); err != nil {
		p.t.Fatalf("%s: %v", what, err)
	}
	var notes []string
	for _, c := range p.plan.Changes {
		if c.Plane == plan.Containers {
			notes = append(notes, c.ID+": "+c.Note)
		}
	}
	if got := strings.Join(notes, ", "); got != note {
		p.t.Errorf("%s: %q, want %q", what, got, note)
	}
	if got := p.answer(); got != answer {
		p.t.Errorf("%s: nginx answers %q, want %q", what, got, answer)
	}
	if err := p.converge(); err != nil || !p.plan.Empty() {
		p.t.Errorf("%s, a second time: %v %v", what, p.plan.Changes, err)
	}
}

func (p *plane) answer() string {
	out, err := p.docker.Run(context.Background(), nil, "docker", "compose", "--file", filepath.Join(p.dir, "docker-compose.yml"),
		"exec", "--no-TTY", "nginx", "curl", "-fsS", "http://127.0.0.1/")
	if err != nil {
		return err.Error()
	}
	return string(out)
}

func (p *plane) started() string {
	return p.docker.Must(p.dir, "inspect", "--format", "{{.Id}} {{.State.StartedAt}}", "plane-nginx-1")
}

// TestContainersPlane converges a project on a real engine.
func TestContainersPlane(t *testing.T) {
	d := stack.StartDocker(t)
	d.Build(planeImage, "alpine:3.22")
	for _, dir := range []string{"/mnt/one", "/mnt/two"} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	compose := func(middle, device string) string {
		return planeCompose + middle + strings.Replace(planeVolumes, "DEVICE", device, 1)
	}
	p := &plane{t: t, docker: d, dir: "/srv/plane", files: map[string]string{
		"docker-compose.yml": compose(planeExtra, "/mnt/one"), "config/nginx/nginx.conf": planeMain,
		"config/nginx/conf.d/site.conf": strings.Replace(planeSite, "TEXT", "one", 1),
	}}
	p.step("bring up", "extra: start, nginx: start", "one")

	before := p.started()
	p.files["config/nginx/conf.d/site.conf"] = strings.Replace(planeSite, "TEXT", "two", 1)
	p.step("a file that is read again", "nginx: reload", "two")
	if p.started() != before {
		t.Error("a reload restarted the container")
	}

	p.files["config/nginx/conf.d/site.conf"] = "server { listen eighty; }\n"
	err := p.converge()
	for _, words := range []string{"put back: services/mailserver/config/nginx/conf.d/site.conf", "nginx refuses its new files", "eighty"} {
		if err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("a file with a mistake: %v, want %q", err, words)
		}
	}
	if data, _ := os.ReadFile(p.dir + "/config/nginx/conf.d/site.conf"); !strings.Contains(string(data), "two") || p.answer() != "two" || p.started() != before {
		t.Errorf("after the refusal the file is %q", data)
	}

	p.files["config/nginx/conf.d/site.conf"] = strings.Replace(planeSite, "TEXT", "two", 1)
	p.files["config/nginx/nginx.conf"] = strings.Replace(planeMain, "http {", "http { server_tokens off;", 1)
	p.step("a file that is mounted by itself", "nginx: restart", "two")

	p.files["docker-compose.yml"] = compose("", "/mnt/one")
	p.step("a service that is no longer declared", "extra: stop and remove; its volumes stay", "two")

	p.files["docker-compose.yml"] = compose("", "/mnt/two")
	p.step("a moved volume", "cache: its services stop until they start on the new place, nginx: recreate", "two")
	if d.Must(p.dir, "volume", "inspect", "--format", "{{.Options.device}}", "plane_cache") != "/mnt/two\n" {
		t.Error("the volume did not move")
	}

	d.Must(p.dir, "stop", "plane-nginx-1")
	p.step("a container that somebody stopped", "nginx: restart", "two")

	p.badImage()
}

// badImage has a program built into an image with which its service is not well.
func (p *plane) badImage() {
	p.t.Helper()
	dir := p.t.TempDir()
	program := func(text string) {
		p.t.Helper()
		if err := os.WriteFile(filepath.Join(dir, "mailpland"), []byte("#!/bin/sh\n[ $# = 0 ] || exit 0 # asked to judge its files\n"+text+"exec sleep infinity\n"), 0o755); err != nil {
			p.t.Fatal(err)
		}
		p.programs = host.Programs(dir)
	}
	says := func() string {
		return p.docker.Must(p.dir, "exec", "plane-mailserver-api-1", "head", "-n", "3", "/mailpland")
	}
	p.files["docker-compose.yml"] = strings.Replace(p.files["docker-compose.yml"], "services:\n", "services:\n"+planeBuilt, 1)
	p.files["api/Dockerfile"] = planeRecipe
	program("touch /tmp/well # one\n")
	p.step("an image that is built", "mailserver-api: start", "two")
	program("touch /tmp/ill # two\n")
	err := p.converge()
	for _, words := range []string{"back to the image before", "mailserver-api is unhealthy"} {
		if err == nil || !strings.Contains(err.Error(), words) {
			p.t.Errorf("a program that is not well: %v, want %q", err, words)
		}
	}
	if got := says(); !strings.HasSuffix(got, "# one\n") {
		p.t.Errorf("the service runs %q", got)
	}
	program("touch /tmp/well # three\n")
	p.step("a program that is well", "mailserver-api: rebuild", "two")
	if got := says(); !strings.HasSuffix(got, "# three\n") {
		p.t.Errorf("the service runs %q", got)
	}
	if left := p.docker.Must(p.dir, "images", "--quiet", "built:1.kept"); left != "" {
		p.t.Errorf("the image before is still held: %s", left)
	}
}
