package containers_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mailplan/mailplan/compiler/apply"
	"github.com/mailplan/mailplan/compiler/apply/containers"
	"github.com/mailplan/mailplan/compiler/apply/host"
	"github.com/mailplan/mailplan/compiler/model"
	"github.com/mailplan/mailplan/compiler/plan"
	"github.com/mailplan/mailplan/compiler/sandbox/docker"
)

const compose = `name: small
services:
  dovecot:
    image: dovecot:1
    healthcheck: {test: [CMD, "true"]}
    secrets: [{source: S, target: /run/secrets/S}]
    volumes:
      - {type: bind, source: ./config/dovecot, target: /etc/dovecot}
      - {type: volume, source: mail, target: /srv/mail}
  nginx:
    image: nginx:1
    depends_on: {dovecot: {}}
    volumes:
      - {type: bind, source: ./config/nginx/nginx.conf, target: /etc/nginx/nginx.conf}
      - {type: bind, source: ./config/nginx/conf.d, target: /etc/nginx/conf.d}
  mailserver-api:
    image: api:1
    volumes: [{type: bind, source: ./config/runtime, target: /etc/mailpland}]
volumes:
  mail: {driver_opts: {device: /mnt/a}}
secrets:
  S: {file: ./secrets/S}
`

// rig is a host in a folder, with the stand-in for Docker.
type rig struct {
	t        *testing.T
	host     *host.Host
	engine   *docker.Engine
	files    map[string]string
	last     plan.Plan
	before   plan.Plan // the one before the last
	programs []host.Program
	killed   bool // as soon as services have been started
	ill      bool // mailserver-api, with whatever is new
	proof    func(context.Context) error
}

func newRig(t *testing.T) *rig {
	dir := t.TempDir()
	owners, err := host.OpenRecordedOwners(filepath.Join(dir, "owners.json"))
	if err != nil {
		t.Fatal(err)
	}
	return &rig{t: t,
		host:   &host.Host{Files: host.Local{Prefix: filepath.Join(dir, "host"), Owners: owners}, Root: "/srv", Secrets: func(string) (string, error) { return "canary", nil }},
		engine: &docker.Engine{File: filepath.Join(dir, "docker.json"), Dir: filepath.Join(dir, "host", "srv"), Refuse: map[string]bool{}, Sick: map[string]bool{}},
		files: map[string]string{"docker-compose.yml": compose, "config/dovecot/dovecot.conf": "one", "secrets/S": "${secret:S}",
			"config/nginx/nginx.conf": "one", "config/nginx/conf.d/web.conf": "one",
			"config/runtime/mailpland.json": "{}", "config/runtime/routes.json": "{}"},
	}
}

// read is what lies on the host.
func (r *rig) read(rel string) string {
	data, err := r.host.Read(rel)
	if err != nil {
		r.t.Fatal(err)
	}
	return string(data)
}

func (r *rig) tree() model.Tree {
	reads := map[string]string{"dovecot": "dovecot", "nginx": "nginx", "runtime": "mailserver-api", "S": "dovecot", "mariadb": "mariadb", "P": "mariadb"}
	var files []model.File
	for name, text := range r.files {
		f := model.File{Path: model.ProjectDir + "/" + name, Mode: 0o644, Content: []byte(text)}
		for part, service := range reads {
			if slices.Contains(strings.Split(name, "/"), part) {
				f.Reads = []string{service}
			}
		}
		files = append(files, f)
	}
	tree, err := model.NewTree(files)
	if err != nil {
		r.t.Fatal(err)
	}
	return tree
}

// converge applies what differs, and returns what the engine was told and what went wrong.
func (r *rig) converge() ([]string, error) {
	r.t.Helper()
	ctx, tree := context.Background(), r.tree()
	planes := []apply.Plane{&host.Plane{Host: r.host, Tree: tree, Programs: r.programs},
		&containers.Plane{Host: r.host, Tree: tree, Engine: dying{r.engine, r}, Programs: r.programs, Proof: r.proof}}
	p, err := apply.Plan(ctx, apply.Request{Site: "small"}, planes)
	if err != nil {
		r.t.Fatal(err)
	}
	r.before, r.last, r.engine.Events = r.last, p, nil
	journal := apply.Open(filepath.Join(r.t.TempDir(), "journal"))
	err = apply.Run(ctx, p, planes, journal, func(int, int, plan.Change) {})
	return r.engine.Events, err
}

// dying is the engine of an apply that may be killed.
type dying struct {
	*docker.Engine
	rig *rig
}

var errKilled = errors.New("killed")

func (d dying) Up(ctx context.Context, services ...string) error {
	if d.rig.ill {
		d.Sick["mailserver-api"] = true
	}
	err := d.Engine.Up(ctx, services...)
	if d.rig.killed {
		panic(errKilled)
	}
	return err
}

func (d dying) Restart(ctx context.Context, services ...string) error {
	if d.rig.ill {
		d.Sick["mailserver-api"] = true
	}
	return d.Engine.Restart(ctx, services...)
}

// convergeKilled is an apply that ends at once when it has started services.
func (r *rig) convergeKilled() {
	defer func() {
		if recover() != errKilled {
			r.t.Error("it was not killed")
		}
		r.killed = false
	}()
	r.killed = true
	r.converge()
}

func (r *rig) want(what string, events ...string) {
	r.t.Helper()
	got, err := r.converge()
	if err != nil {
		r.t.Fatalf("%s: %v", what, err)
	}
	if d := cmp.Diff(events, got); d != "" {
		r.t.Errorf("%s: %s", what, d)
	}
	if got, err := r.converge(); err != nil || got != nil || !r.last.Empty() {
		r.t.Errorf("%s, a second time: %v, %v, %v", what, got, err, r.last.Changes)
	}
	if left, _ := filepath.Glob(filepath.Join(r.engine.Dir, ".mailplan", "previous", "*")); len(left) > 0 {
		r.t.Errorf("%s: still kept: %v", what, left)
	}
}

// TestOnlyWhatChanged touches the services that read a changed file, each in its gentlest way.
func TestOnlyWhatChanged(t *testing.T) {
	r := newRig(t)
	r.want("bring up", "up dovecot mailserver-api nginx", "signal HUP mailserver-api")
	r.files["config/dovecot/dovecot.conf"] = "two"
	r.want("a file that Dovecot reads", "exec doveadm reload dovecot")
	r.files["config/nginx/conf.d/web.conf"] = "two"
	r.want("a file that nginx reads again", "signal HUP nginx")
	r.files["config/nginx/nginx.conf"] = "two"
	r.want("a file that is mounted by itself", "restart nginx")
	r.files["secrets/S"] = "new"
	r.want("a secret", "restart dovecot")
	r.files["config/runtime/routes.json"] = "{\"a\": 1}"
	r.want("the table of addresses", "signal HUP mailserver-api")
	r.files["docker-compose.yml"] = strings.Replace(compose, "nginx:1", "nginx:2", 1)
	r.want("another image", "up nginx")
	r.files["docker-compose.yml"] = strings.Replace(compose, "mailserver-api:", "api2:", 1)
	r.want("a service that is no longer declared", "up api2 nginx", "remove mailserver-api")
}

// TestRefusedFilesComeBack holds that files which a service refuses, or does not live with, are put back, and that
// the service still runs on the old ones.
func TestRefusedFilesComeBack(t *testing.T) {
	r := newRig(t)
	r.want("bring up", "up dovecot mailserver-api nginx", "signal HUP mailserver-api")
	r.files["config/dovecot/dovecot.conf"] = "bad"
	r.files["config/nginx/conf.d/web.conf"] = "two"
	r.engine.Refuse["dovecot"] = true
	events, err := r.converge()
	if err == nil || !strings.Contains(err.Error(), "put back: services/mailserver/config/dovecot/dovecot.conf: dovecot refuses its new files") {
		t.Errorf("error %v", err)
	}
	if len(events) > 0 {
		t.Errorf("services were touched: %v", events)
	}
	if got := r.read("config/dovecot/dovecot.conf"); got != "one" {
		t.Errorf("dovecot.conf is %q", got)
	}
	delete(r.engine.Refuse, "dovecot")
	r.want("mended", "exec doveadm reload dovecot", "signal HUP nginx")

	r.files["config/dovecot/extra.conf"] = "one"
	r.want("one more", "exec doveadm reload dovecot")
	delete(r.files, "config/dovecot/extra.conf")
	r.engine.Refuse["dovecot"] = true
	if _, err = r.converge(); err == nil || r.read("config/dovecot/extra.conf") != "one" {
		t.Errorf("a deleted file that is missed: %v, and the file is %q", err, r.read("config/dovecot/extra.conf"))
	}
	delete(r.engine.Refuse, "dovecot")
	r.want("deleted after all", "exec doveadm reload dovecot")
	if got := r.read("config/dovecot/extra.conf"); got != "" {
		t.Errorf("the deleted file is %q", got)
	}

	r.files["docker-compose.yml"] = strings.Replace(compose, "nginx:1", "nginx:2", 1)
	r.engine.Sick["nginx"] = true
	r.files["docker-compose.yml"] = strings.Replace(r.files["docker-compose.yml"], "nginx:2\n", "nginx:2\n    healthcheck: {test: [CMD, \"true\"]}\n", 1)
	events, err = r.converge()
	if err == nil || !strings.Contains(err.Error(), "put back: services/mailserver/docker-compose.yml: nginx is unhealthy, not healthy") {
		t.Errorf("error %v", err)
	}
	if d := cmp.Diff([]string{"up nginx", "back nginx"}, events); d != "" {
		t.Error(d)
	}
	if got := r.read("docker-compose.yml"); got != strings.TrimSpace(compose) {
		t.Errorf("the compose file is %q", got)
	}
	r.want("an image that works", "up nginx")
	r.files["docker-compose.yml"] = strings.Replace(r.files["docker-compose.yml"], "nginx:2", "nginx:3", 1)
	r.engine.Unmade = map[string]bool{"nginx": true}
	if _, err = r.converge(); err == nil || !strings.Contains(err.Error(), "put back: services/mailserver/docker-compose.yml: nginx still runs as before") ||
		!strings.Contains(err.Error(), "no command specified") {
		t.Errorf("error %v", err)
	}
	r.want("an image that can be made", "up nginx")

	r.files["secrets/S"] = "bad"
	r.engine.Sick["dovecot"] = true
	events, err = r.converge()
	if err == nil || !strings.Contains(err.Error(), "dovecot is unhealthy, not healthy") {
		t.Errorf("error %v", err)
	}
	if d := cmp.Diff([]string{"restart dovecot", "restart dovecot"}, events); d != "" {
		t.Error(d)
	}
	if got := r.read("secrets/S"); got != "canary" {
		t.Errorf("the secret is %q", got)
	}
	r.files["secrets/S"] = "good"
	r.want("mended", "restart dovecot")
}

// TestNewProgram builds the images that have the program in them and restarts what mounts it, and nothing else; a run that
// knows no programs leaves them alone.
func TestNewProgram(t *testing.T) {
	r := newRig(t)
	r.files["docker-compose.yml"] = strings.Replace(strings.Replace(compose, "image: api:1\n", "image: api:1\n    build: {context: ./bin, dockerfile: ../api/Dockerfile}\n", 1),
		"      - {type: volume, source: mail,", "      - {type: bind, source: /srv/bin/mailplan-learn, target: /learn}\n      - {type: volume, source: mail,", 1)
	r.files["api/Dockerfile"] = "FROM scratch\nCOPY mailpland /mailpland\n"
	dir := t.TempDir()
	program := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
		r.programs = host.Programs(dir)
	}
	program("mailpland", "one")
	program("mailplan-learn", "one")
	r.want("bring up", "build mailserver-api", "up dovecot mailserver-api nginx", "signal HUP mailserver-api")
	program("mailpland", "two")
	r.want("a new daemon", "build mailserver-api", "up mailserver-api")
	if d := cmp.Diff([]string{"mailserver-api"}, stops(r.before)); d != "" {
		t.Error(d)
	}
	program("mailplan-learn", "two")
	r.want("a new helper", "restart dovecot")
	r.files["api/Dockerfile"] += "USER 1\n"
	r.want("a new recipe", "build mailserver-api", "up mailserver-api")
	r.programs = nil
	r.want("no programs here")
	r.programs = host.Programs(dir)
	r.want("the same programs")
}

// TestBadImage goes back to the image before when services are not well with the one that was built, also when the apply
// which built it was killed.
func TestBadImage(t *testing.T) {
	r := newRig(t)
	r.files["docker-compose.yml"] = strings.Replace(compose, "image: api:1\n", "image: api:1\n    build: {context: ./bin, dockerfile: ../api/Dockerfile}\n", 1)
	r.files["api/Dockerfile"] = "FROM scratch\nCOPY mailpland /mailpland\n"
	r.want("bring up", "build mailserver-api", "up dovecot mailserver-api nginx", "signal HUP mailserver-api")
	image := func() string {
		t.Helper()
		state, err := os.ReadFile(r.engine.File)
		var s struct {
			Containers map[string]struct{ Built int }
			Kept       map[string]int
		}
		if err := errors.Join(err, json.Unmarshal(state, &s)); err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf("runs %d, holds %d", s.Containers["mailserver-api"].Built, s.Kept["mailserver-api"])
	}
	bad := func(text string) {
		t.Helper()
		r.files["api/Dockerfile"], r.ill = text, true
	}
	failed := func(events []string, err error) {
		t.Helper()
		if err == nil || !strings.Contains(err.Error(), "back to the image before: put back: services/mailserver/api/Dockerfile: mailserver-api is unhealthy") {
			t.Errorf("an image with which it is not well: %v", err)
		}
		if d := cmp.Diff([]string{"build mailserver-api", "up mailserver-api", "back mailserver-api"}, slices.DeleteFunc(events, isRestart)); d != "" {
			t.Error(d)
		}
		if got := image(); got != "runs 1, holds 0" {
			t.Errorf("afterwards it %s", got)
		}
	}
	bad("FROM scratch\nUSER 1\n")
	failed(r.converge())

	bad("FROM scratch\nUSER 2\n")
	r.convergeKilled()
	if got := image(); got != "runs 3, holds 1" {
		t.Errorf("killed, it %s", got)
	}
	failed(r.converge())

	r.files["api/Dockerfile"], r.ill = "FROM scratch\nUSER 3\n", false
	r.convergeKilled()
	r.want("goes on", "build mailserver-api", "up mailserver-api", "restart mailserver-api", "signal HUP mailserver-api")
	if got := image(); got != "runs 6, holds 0" {
		t.Errorf("at last it %s", got)
	}
}

// isRestart is what a container gets of which nobody knows what it has read.
func isRestart(event string) bool { return strings.HasPrefix(event, "restart ") }

// stops are the services that a plan says are away meanwhile.
func stops(p plan.Plan) []string {
	var list []string
	for _, c := range p.Changes {
		if c.Stops != "" {
			list = append(list, c.Stops)
		}
	}
	return list
}

// TestDriftIsSeen shows a container that is sick, gone, or of another image.
func TestDriftIsSeen(t *testing.T) {
	r := newRig(t)
	r.want("bring up", "up dovecot mailserver-api nginx", "signal HUP mailserver-api")
	data, err := os.ReadFile(r.engine.File)
	if err != nil {
		t.Fatal(err)
	}
	for what, bad := range map[string]string{"sick": strings.Replace(string(data), `"healthy"`, `"unhealthy"`, 1),
		"stopped": strings.Replace(string(data), `"running"`, `"exited"`, 1)} {
		if err := os.WriteFile(r.engine.File, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		r.want(what, "restart dovecot")
	}
}

// TestMovedVolume names what can't be undone, and moves only when the volume moves.
func TestMovedVolume(t *testing.T) {
	r := newRig(t)
	r.want("bring up", "up dovecot mailserver-api nginx", "signal HUP mailserver-api")
	r.files["docker-compose.yml"] = strings.Replace(compose, "/mnt/a", "/mnt/b", 1)
	events, err := r.converge()
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"remove dovecot", "remove volume mail", "up dovecot"}, events); d != "" {
		t.Error(d)
	}
	var text bytes.Buffer
	if err := r.last.Text(&text, plan.Style{}); err != nil {
		t.Fatal(err)
	}
	if want := "! for good: containers volume mail: it leaves /mnt/a for /mnt/b, and no data moves by itself"; !strings.Contains(text.String(), "(its services stop until they start on the new place)") || !strings.Contains(text.String(), want) || r.last.Irreversible() != 1 {
		t.Errorf("the plan does not say %q:\n%s", want, text.String())
	}
}

// TestDatabaseFollowsItsFiles holds that a database with data is brought to new tables and passwords, whether its container
// stays, restarts or is made anew for another reason in the same run.
func TestDatabaseFollowsItsFiles(t *testing.T) {
	r := newRig(t)
	withDatabase := strings.Replace(compose, "services:\n", `services:
  mariadb:
    image: mariadb:1
    secrets: [{source: P, target: /run/secrets/P}]
    volumes: [{type: bind, source: ./config/mariadb/initdb, target: /docker-entrypoint-initdb.d}]
`, 1) + "  P: {file: ./secrets/P}\n"
	r.files["docker-compose.yml"], r.files["secrets/P"] = withDatabase, "one"
	r.files["config/mariadb/initdb/10-schema.sql"] = "one"
	for _, step := range []struct {
		what string
		file map[string]string
		runs bool
	}{
		{"bring up", nil, true},
		{"new tables", map[string]string{"config/mariadb/initdb/10-schema.sql": "two"}, true},
		{"another image", map[string]string{"docker-compose.yml": strings.Replace(withDatabase, "mariadb:1", "mariadb:2", 1)}, false},
		{"a new password", map[string]string{"secrets/P": "two"}, true},
		{"tables and image", map[string]string{"config/mariadb/initdb/10-schema.sql": "three", "docker-compose.yml": withDatabase}, true},
	} {
		maps.Copy(r.files, step.file)
		got, err := r.converge()
		if err != nil {
			t.Fatalf("%s: %v", step.what, err)
		}
		if ran := strings.Contains(strings.Join(got, "\n"), "bash 20-users.sh"); ran != step.runs {
			t.Errorf("%s: the database's files run: %v, want %v: %q", step.what, ran, step.runs, got)
		}
		if again, err := r.converge(); err != nil || again != nil {
			t.Errorf("%s, a second time: %v %v", step.what, again, err)
		}
	}
}
