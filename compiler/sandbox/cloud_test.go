package sandbox_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/mailplan/mailplan/compiler/apply"
	"github.com/mailplan/mailplan/compiler/model"
	"github.com/mailplan/mailplan/compiler/plan"
	"github.com/mailplan/mailplan/compiler/sandbox/aws"
	"github.com/mailplan/mailplan/test/need"
	"github.com/mailplan/mailplan/test/provider"
)

// withCloud puts the stand-in provider into PATH, so that sandboxes have the cloud plane.
func withCloud(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	terraform := need.Program(t, "terraform")
	if out, err := exec.Command("go", "build", "-o", dir, "../../test/provider/"+aws.Program).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	t.Setenv("PATH", dir+":"+filepath.Dir(terraform)+":"+os.Getenv("PATH"))
}

// TestEveryPlaneWithTheCloud converges whole sites, the cloud plane among them, from one to another and back. A bucket of
// another name is in conflict with the locked one, and is the only thing that is.
func TestEveryPlaneWithTheCloud(t *testing.T) {
	withCloud(t)
	dir := filepath.Join(t.TempDir(), "box")
	first := load(t, sites[0])
	converge(t, dir, first)
	planes := map[plan.Plane]bool{}
	for _, pl := range open(t, dir, first).Planes {
		planes[pl.Name()] = true
	}
	for _, name := range []plan.Plane{plan.Edge, plan.Relay, plan.Cloud, plan.Tailnet, plan.Host, plan.Containers, plan.Accounts} {
		if !planes[name] {
			t.Errorf("the sandbox has no plane %s", name)
		}
	}
	without := load(t, "../../examples/minimal/site")
	converge(t, dir, without) // which leaves the locked bucket alone
	changed := load(t, sites[0])
	changed.site.Backup.Offsite.S3.Lock.Days += 10
	p := planned(t, open(t, dir, changed), changed)
	if p.Headline.ForGood == 0 || !slices.ContainsFunc(p.Changes, func(c plan.Change) bool { return c.Plane == plan.Cloud && c.Irreversible != "" }) {
		t.Errorf("a longer lock is not said to be for good: %v", p.Changes)
	}
	converge(t, dir, changed)
	other := load(t, "../../examples/studio/site")
	box := open(t, dir, other)
	if p := planned(t, box, other); len(p.Conflicts) != 1 || p.Conflicts[0].Plane != plan.Cloud {
		t.Errorf("conflicts with another bucket: %v", p.Conflicts)
	}
}

// TestTheCloudKilled kills an apply before and after Terraform's part; the end is the same, and the bucket is made once.
func TestTheCloudKilled(t *testing.T) {
	withCloud(t)
	d := load(t, sites[0])
	for _, after := range []bool{false, true} {
		dir := filepath.Join(t.TempDir(), "box")
		if !cut(t, dir, d, after) {
			t.Fatal("the cloud has no step")
		}
		only(t, dir, d)
		account, err := provider.Read(filepath.Join(dir, "cloud", "account.json"))
		if err != nil {
			t.Fatal(err)
		}
		if n := account.Effects["create aws_s3_bucket"]; n != 1 {
			t.Errorf("the bucket was made %d times", n)
		}
	}
}

// cloudOnly opens a sandbox with the cloud plane alone.
func cloudOnly(t *testing.T, dir string, d declared) ([]apply.Plane, plan.Plan, *apply.Journal) {
	t.Helper()
	box := open(t, dir, d)
	if err := box.Only([]string{string(plan.Cloud)}); err != nil {
		t.Fatal(err)
	}
	p, err := apply.Plan(context.Background(), apply.Request{Site: d.site.Name, Before: model.Accounts{}, After: model.Accounts{}}, box.Planes)
	if err != nil {
		t.Fatal(err)
	}
	return box.Planes, p, box.Journal
}

// cut kills at the first boundary.
func cut(t *testing.T, dir string, d declared, after bool) (was bool) {
	t.Helper()
	planes, p, journal := cloudOnly(t, dir, d)
	step := 0
	for i := range planes {
		planes[i] = crash{planes[i], &step, after}
	}
	defer func() { was = recover() != nil }()
	if err := apply.Run(context.Background(), p, planes, journal, func(int, int, plan.Change) {}); err != nil {
		t.Fatal(err)
	}
	return false
}

func only(t *testing.T, dir string, d declared) {
	t.Helper()
	planes, p, journal := cloudOnly(t, dir, d)
	if err := apply.Run(context.Background(), p, planes, journal, func(int, int, plan.Change) {}); err != nil {
		t.Fatal(err)
	}
	if _, p, _ = cloudOnly(t, dir, d); !p.Empty() {
		t.Errorf("left to do: %v", p.Changes)
	}
}
