package sandbox_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mailplan/mailplan/compiler"
	"github.com/mailplan/mailplan/compiler/apply"
	"github.com/mailplan/mailplan/compiler/model"
	"github.com/mailplan/mailplan/compiler/plan"
	"github.com/mailplan/mailplan/compiler/sandbox"
)

// TestMain keeps the sandboxes in memory where the machine has a file system for that: most of the time went into waiting for
// disks.
func TestMain(m *testing.M) {
	if dir, err := os.MkdirTemp("/dev/shm", "mailplan"); err == nil {
		os.Setenv("TMPDIR", dir)
		defer os.RemoveAll(dir)
	}
	m.Run()
}

var sites = []string{"../../site", "../../examples/minimal/site", "../../examples/original/site", "../../examples/studio/site"}

type declared struct {
	site *model.Site
	tree model.Tree
}

// load reads an example under one name for all, since objects of another name are another site's.
func load(t *testing.T, dir string) declared {
	t.Helper()
	s, err := compiler.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	s.Model.Name = "one"
	tree, err := s.Tree()
	if err != nil {
		t.Fatal(err)
	}
	return declared{s.Model, tree}
}

func open(t *testing.T, dir string, d declared) *sandbox.Sandbox {
	t.Helper()
	box, err := sandbox.Open(dir, d.site, d.tree)
	if err != nil {
		t.Fatal(err)
	}
	return box
}

func planned(t *testing.T, box *sandbox.Sandbox, d declared) plan.Plan {
	t.Helper()
	p, err := box.Plan(context.Background(), d.site, "", compiler.Digest(d.tree))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func run(t *testing.T, box *sandbox.Sandbox, p plan.Plan) {
	t.Helper()
	for _, c := range p.Conflicts {
		t.Errorf("in the way: %s %s: live %s, wanted %s", c.Plane, c.ID, c.Live, c.Desired)
	}
	if err := apply.Run(context.Background(), p, box.Planes, box.Journal, func(int, int, plan.Change) {}); err != nil {
		t.Fatal(err)
	}
}

func converge(t *testing.T, dir string, d declared) {
	t.Helper()
	box := open(t, dir, d)
	run(t, box, planned(t, box, d))
	box = open(t, dir, d)
	if p := planned(t, box, d); !p.Empty() {
		var b strings.Builder
		p.Text(&b, plan.Style{})
		t.Errorf("apply, then diff is not empty:\n%s", b.String())
	}
}

func TestFromEveryExampleToEveryOther(t *testing.T) {
	for _, from := range sites {
		for _, to := range sites {
			t.Run(filepath.Base(filepath.Dir(from))+" to "+filepath.Base(filepath.Dir(to)), func(t *testing.T) {
				t.Parallel()
				dir := filepath.Join(t.TempDir(), "box")
				first := load(t, from)
				converge(t, dir, first)
				converge(t, dir, load(t, to))
				converge(t, dir, first)
			})
		}
	}
}

// crash stops an apply right before or right after a run of changes, as a kill would: the journal learns nothing.
type crash struct {
	apply.Plane
	left  *int
	after bool
}

func (c crash) Apply(ctx context.Context, changes []plan.Change) error {
	*c.left--
	if *c.left < 0 && !c.after {
		panic("killed")
	}
	err := c.Plane.Apply(ctx, changes)
	if *c.left < 0 {
		panic("killed")
	}
	return err
}

// TestKilledAtEveryStep kills an apply at every boundary of two runs and goes on: the end is always the same. With
// MAILPLAN_KILL_ALL it does so for the plans from nothing, and from every example, to every other: some minutes.
func TestKilledAtEveryStep(t *testing.T) {
	t.Parallel()
	corpus := [][2]string{{"", sites[3]}}
	if os.Getenv("MAILPLAN_KILL_ALL") != "" {
		corpus = nil
		for _, from := range append([]string{""}, sites...) {
			for _, to := range sites {
				if from != to {
					corpus = append(corpus, [2]string{from, to})
				}
			}
		}
	}
	for _, pair := range corpus {
		t.Run(pair[0]+" to "+pair[1], func(t *testing.T) {
			t.Parallel()
			killedOnTheWay(t, pair[0], load(t, pair[1]))
		})
	}
}

// killedOnTheWay kills at every boundary of the plan from an example, or from nothing, to a site.
func killedOnTheWay(t *testing.T, from string, to declared) {
	start := filepath.Join(t.TempDir(), "start")
	if from != "" {
		converge(t, start, load(t, from))
	}
	for _, after := range []bool{false, true} {
		t.Run(map[bool]string{false: "before", true: "after"}[after], func(t *testing.T) {
			t.Parallel()
			for step := 0; ; step++ {
				dir := filepath.Join(t.TempDir(), "box")
				if from != "" {
					if out, err := exec.Command("cp", "-a", start, dir).CombinedOutput(); err != nil {
						t.Fatalf("%v: %s", err, out)
					}
				}
				if !killed(t, dir, to, step, after) {
					t.Logf("%d boundaries", step)
					break
				}
				converge(t, dir, to)
				os.RemoveAll(dir) // hundreds of them would fill a memory file system
			}
		})
	}
}

func killed(t *testing.T, dir string, d declared, step int, after bool) (was bool) {
	t.Helper()
	box := open(t, dir, d)
	p := planned(t, box, d)
	var planes []apply.Plane
	for _, pl := range box.Planes {
		planes = append(planes, crash{pl, &step, after})
	}
	defer func() { was = recover() != nil }()
	if err := apply.Run(context.Background(), p, planes, box.Journal, func(int, int, plan.Change) {}); err != nil {
		t.Fatal(err)
	}
	return false
}

// TestNoSecretAnywhere gives every secret a canary and looks for it in everything that an apply writes and says.
func TestNoSecretAnywhere(t *testing.T) {
	d := load(t, "../../examples/studio/site")
	dir := filepath.Join(t.TempDir(), "box")
	canaries := map[string]string{}
	for _, s := range d.site.Inventory() {
		if !strings.HasPrefix(s.Name, "dkim/") {
			canaries[s.Name] = "cAnArY-" + strings.NewReplacer("/", "-", ".", "-", "@", "-").Replace(s.Name)
		}
	}
	open(t, dir, d)
	data, err := json.Marshal(canaries)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "secrets.json"), data, 0o600); err != nil {
		t.Fatal(err)
	}
	box := open(t, dir, d)
	p := planned(t, box, d)
	var said bytes.Buffer
	for _, write := range []func() error{
		func() error { return p.Text(&said, plan.Style{}) }, func() error { return p.JSON(&said) }, func() error { return p.Markdown(&said) },
	} {
		if err := write(); err != nil {
			t.Fatal(err)
		}
	}
	if strings.Contains(said.String(), "cAnArY") {
		t.Error("a plan tells a secret")
	}
	run(t, box, p)
	meant := 0
	err = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || e.Name() == "secrets.json" {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil || !bytes.Contains(content, []byte("cAnArY")) {
			return err
		}
		if d.marked(path, dir) {
			meant++
			return nil
		}
		t.Errorf("%s holds a secret", path)
		return nil
	})
	if err != nil || meant == 0 {
		t.Errorf("%d files hold the secrets that they are meant to hold, %v", meant, err)
	}
}

// marked says whether a file of the sandbox's host is one that is meant to hold secrets, and private.
func (d declared) marked(path, dir string) bool {
	rel, err := filepath.Rel(filepath.Join(dir, "host", d.site.Host.Root), path)
	info, err2 := os.Stat(path)
	return err == nil && err2 == nil && info.Mode().Perm()&0o077 == 0 && slices.ContainsFunc(d.tree.Files, func(f model.File) bool {
		return f.Path == model.ProjectDir+"/"+filepath.ToSlash(rel) && f.Secrets() != nil
	})
}
