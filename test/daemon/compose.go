package daemon

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mailplan/mailplan/test/need"
)

// Compose checks the project of dir, a docker-compose.yml with its .env or .env.example, and returns it
// as Docker Compose resolves it.
func Compose(t testing.TB, dir string) (string, error) {
	t.Helper()
	return composeConfig(t, stageProject(t, dir))
}

// stageProject copies a project with its secrets filled in.
func stageProject(t testing.TB, dir string) string {
	t.Helper()
	project := filepath.Join(t.TempDir(), "project")
	if err := stageCopy(dir, project); err != nil {
		t.Fatal(err)
	}
	env := filepath.Join(project, ".env")
	if example := filepath.Join(project, ".env.example"); !exists(env) && exists(example) {
		if err := stageCopy(example, env); err != nil {
			t.Fatal(err)
		}
	}
	return project
}

func composeConfig(t testing.TB, project string, options ...string) (string, error) {
	t.Helper()
	docker := need.Program(t, "docker")
	if exec.CommandContext(t.Context(), docker, "compose", "version").Run() != nil {
		need.Missing(t, "docker compose")
	}
	cmd := exec.CommandContext(t.Context(), docker, append([]string{"compose", "--profile", "*", "config"}, options...)...)
	cmd.Dir = project
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	result := Result{stdout.String(), strings.ReplaceAll(stderr.String(), "level=", " "), err}
	return result.Stdout, result.refused()
}

// service is what one service of a project sees, as `docker compose config --format json` says.
type service struct {
	Image       string
	Environment map[string]*string
	Tmpfs       []string
	Volumes     []struct{ Type, Source, Target string }
	Secrets     []struct{ Source, Target string }
	Configs     []struct{ Source, Target string }
}

// resolved is a whole project.
type resolved struct {
	Services map[string]service
	Secrets  map[string]struct{ File string }
	Configs  map[string]struct{ File string }
}

func resolveProject(t testing.TB, project string) resolved {
	t.Helper()
	text, err := composeConfig(t, project, "--format", "json")
	if err != nil {
		t.Fatalf("docker compose config: %v", err)
	}
	var p resolved
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		t.Fatal(err)
	}
	return p
}

// enter gives a root the mounts and the environment of a service. What lies outside the project, such
// as a data folder, is empty; a named volume has what the image has there.
func (p resolved) enter(r *Root, name string) {
	r.t.Helper()
	s := p.Services[name]
	for _, place := range s.Tmpfs {
		place, _, _ = strings.Cut(place, ":")
		r.empty(place)
	}
	for _, v := range s.Volumes {
		switch {
		case v.Type == "tmpfs":
			r.empty(v.Target)
		case v.Type == "bind" && exists(v.Source):
			r.Mount(v.Source, v.Target)
		case v.Type == "bind" && !strings.HasPrefix(v.Target, filepath.Dir(CertPath)):
			r.empty(v.Target)
		}
	}
	for _, ref := range s.Secrets {
		if file := p.Secrets[ref.Source].File; exists(file) {
			r.Mount(file, filepath.Join("/run/secrets", filepath.Base(ref.Target)))
		}
	}
	for _, ref := range s.Configs {
		if file := p.Configs[ref.Source].File; exists(file) {
			r.Mount(file, ref.Target)
		}
	}
	for name, value := range s.Environment {
		if value != nil {
			r.Setenv(name, *value)
		}
	}
	for other := range p.Services {
		r.Hosts(other)
	}
}
