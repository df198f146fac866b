package stack

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mailplan/mailplan/compiler/model"
	"github.com/mailplan/mailplan/test/daemon"
)

// Project is an emitted project laid out on the test's machine as an apply would.
type Project struct {
	Site      *model.Site
	Dir       string // host.root, with the docker-compose.yml
	Authority *daemon.Authority
	docker    *Docker
	overrides map[string]any // by service: what only this machine needs
}

// Lay writes a site's tree to the host's folders, with owners, modes and secrets, makes the data folders,
// a certificate for the site's TLS names, and the programs the project mounts.
func (d *Docker) Lay(site *model.Site, tree model.Tree, secret func(name string) string) *Project {
	d.t.Helper()
	p := &Project{Site: site, Dir: site.Host.Root, Authority: daemon.NewAuthority(d.t), docker: d, overrides: map[string]any{}}
	for _, f := range tree.Files {
		if path, ok := strings.CutPrefix(f.Path, model.ProjectDir+"/"); ok {
			p.put(filepath.Join(p.Dir, path), f.Fill(secret), f)
		}
	}
	for _, dir := range site.Directories() {
		if err := os.MkdirAll(dir.Path, 0o755); err != nil {
			d.t.Fatal(err)
		}
		own(d.t, dir.Path, dir.UID, dir.GID, dir.Mode)
	}
	cert, key := p.Authority.Issue(append(slices.Clone(site.Host.TLS.Names), "localhost")...)
	tls := filepath.Join(site.Host.Storage.Fast, "tls")
	p.put(filepath.Join(tls, "fullchain.pem"), []byte(cert), model.File{Mode: 0o444, UID: 1000, GID: 1000})
	p.put(filepath.Join(tls, "privkey.pem"), []byte(key), model.File{Mode: 0o400, UID: 1000, GID: 1000})
	return p
}

// Trust writes the test's authority as a bundle of trusted ones and returns the file's path.
func (p *Project) Trust() string {
	p.docker.t.Helper()
	path := filepath.Join(p.docker.t.TempDir(), "authorities.pem")
	p.put(path, []byte(p.Authority.PEM), model.File{Mode: 0o444})
	return path
}

// Program builds one of the project's programs for the containers.
func (p *Project) Program(name, pkg string) {
	t := p.docker.t
	t.Helper()
	cmd := exec.Command("go", "build", "-trimpath", "-o", filepath.Join(p.Dir, "bin", name), pkg)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", cmd, err, out)
	}
}

// BuildOwn builds the images that the project has a Dockerfile for, such as mailserver-api:1. BuildKit is
// asked by Debian's own client, which needs no plugin for it.
func (p *Project) BuildOwn(services ...string) {
	t := p.docker.t
	t.Helper()
	for _, name := range services {
		cmd := exec.Command("/usr/bin/docker", "build", "--network", "none", "--tag", p.image(name),
			"--file", filepath.Join(p.Dir, name, "Dockerfile"), filepath.Join(p.Dir, "bin"))
		cmd.Env = append(slices.Clone(p.docker.env), "DOCKER_BUILDKIT=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", cmd, err, out)
		}
	}
}

func (p *Project) image(service string) string {
	var image string
	p.Site.Each(func(name string, c model.Container) {
		if name == service {
			image = c.Reference()
		}
	})
	return image
}

// Override adds to what compose says of a service.
func (p *Project) Override(service string, settings map[string]any) { p.overrides[service] = settings }

// Compose runs docker compose on the project.
func (p *Project) Compose(args ...string) (string, error) {
	t := p.docker.t
	t.Helper()
	override := filepath.Join(t.TempDir(), "override.json")
	text, err := json.Marshal(map[string]any{"services": p.overrides})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(override, text, 0o600); err != nil {
		t.Fatal(err)
	}
	files := []string{"compose", "--file", filepath.Join(p.Dir, "docker-compose.yml"), "--file", override}
	return p.docker.Try(p.Dir, append(files, args...)...)
}

// Images are the names that the project's services run.
func (p *Project) Images() []string {
	p.docker.t.Helper()
	out, err := p.Compose("config", "--images")
	if err != nil {
		p.docker.t.Fatal(err)
	}
	return strings.Fields(out)
}

func (p *Project) put(path string, data []byte, f model.File) {
	t := p.docker.t
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	own(t, path, f.UID, f.GID, f.Mode)
}

func own(t testing.TB, path string, uid, gid int, mode os.FileMode) {
	t.Helper()
	if err := os.Chown(path, uid, gid); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

// Docker is the engine that the project runs on.
func (p *Project) Docker() *Docker { return p.docker }
