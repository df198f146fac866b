package cloud_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/mailplan/mailplan/compiler"
	"github.com/mailplan/mailplan/compiler/apply"
	"github.com/mailplan/mailplan/compiler/apply/cloud"
	"github.com/mailplan/mailplan/compiler/model"
	"github.com/mailplan/mailplan/compiler/plan"
	"github.com/mailplan/mailplan/compiler/sandbox/aws"
	"github.com/mailplan/mailplan/test/need"
	"github.com/mailplan/mailplan/test/provider"
)

// canary stands in the environment like a real credential; the stand-in must not see it and nobody may tell it.
const canary = "canary4711"

var build = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "mailplan-provider")
	if err != nil {
		return "", err
	}
	binary := filepath.Join(dir, aws.Program)
	out, err := exec.Command("go", "build", "-o", binary, "../../../test/provider/"+aws.Program).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return binary, nil
})

func TestMain(m *testing.M) {
	os.Setenv("AWS_SECRET_ACCESS_KEY", canary)
	code := m.Run()
	if binary, err := build(); err == nil {
		os.RemoveAll(filepath.Dir(binary))
	}
	os.Exit(code)
}

// rig is an account at the stand-in, and Terraform before it.
type rig struct {
	*testing.T
	terraform string
	account   *aws.Account
	site      *model.Site
	said      strings.Builder
}

func newRig(t *testing.T, s *model.Site) *rig {
	t.Helper()
	terraform := need.Program(t, "terraform")
	binary, err := build()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	account, err := aws.Open(dir, binary)
	if err != nil {
		t.Fatal(err)
	}
	return &rig{T: t, terraform: terraform, account: account, site: s}
}

// plane is a new one, as every run of mailplan has.
func (r *rig) plane() *cloud.Plane {
	return &cloud.Plane{Site: r.site, Dir: r.account.Dir, Terraform: r.terraform, Env: r.account.Env, StateFile: r.account.StateFile}
}

func (r *rig) diff() (plan.Plan, *cloud.Plane) {
	r.Helper()
	plane := r.plane()
	p, err := apply.Plan(context.Background(), apply.Request{Site: r.site.Name}, []apply.Plane{plane})
	if err != nil {
		r.Fatal(err)
	}
	data, err := json.Marshal(p)
	if err != nil {
		r.Fatal(err)
	}
	r.said.Write(data)
	return p, plane
}

func (r *rig) run(p plan.Plan, plane *cloud.Plane) error {
	j := apply.Open(filepath.Join(r.TempDir(), "journal"))
	err := apply.Run(context.Background(), p, []apply.Plane{plane}, j, func(int, int, plan.Change) {})
	if err != nil {
		r.said.WriteString(err.Error())
	}
	return err
}

func (r *rig) converge() plan.Plan {
	r.Helper()
	p, plane := r.diff()
	if err := r.run(p, plane); err != nil {
		r.Fatal(err)
	}
	r.converged()
	return p
}

func (r *rig) converged() {
	r.Helper()
	if p, _ := r.diff(); !p.Empty() {
		r.Fatalf("not empty after apply: %v %v", p.Changes, p.Conflicts)
	}
	if strings.Contains(r.said.String(), canary) {
		r.Error("a credential was told")
	}
	for _, v := range r.account.Env {
		if strings.Contains(v, canary) {
			r.Error("the stand-in sees a real credential")
		}
	}
}

func (r *rig) edit(change func(*provider.Account)) {
	r.Helper()
	if err := provider.Edit(r.account.File, func(a *provider.Account) error { change(a); return nil }); err != nil {
		r.Fatal(err)
	}
}

func (r *rig) read() provider.Account {
	r.Helper()
	a, err := provider.Read(r.account.File)
	if err != nil {
		r.Fatal(err)
	}
	return a
}

const reference = "../../../site"

func site(t *testing.T, dir string) *model.Site {
	t.Helper()
	s, err := compiler.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	return s.Model
}

func find(changes []plan.Change, id string) plan.Change {
	i := slices.IndexFunc(changes, func(c plan.Change) bool { return c.ID == id })
	if i < 0 {
		return plan.Change{}
	}
	return changes[i]
}

const lockConfiguration = "aws_s3_bucket_object_lock_configuration.backup"

// One account through its life: made, unchanged, drifted and mended, changed, and held when it must not go.
func TestLifeOfABucket(t *testing.T) {
	t.Parallel()
	r := newRig(t, site(t, reference))
	p := r.converge()
	bucket := find(p.Changes, "aws_s3_bucket.backup")
	if bucket.Irreversible == "" || bucket.From != "backup.offsite.s3" || bucket.After != r.site.Backup.Offsite.S3.Bucket {
		t.Errorf("the bucket's change is %+v", bucket)
	}
	if lock := find(p.Changes, lockConfiguration); !strings.Contains(lock.Irreversible, "30 days") {
		t.Errorf("the lock's change is %+v", lock)
	}
	if p.Irreversible() != 2 || len(p.Changes) != len(r.read().Resources) {
		t.Errorf("%d irreversible changes of %d for %d resources", p.Irreversible(), len(p.Changes), len(r.read().Resources))
	}
	t.Run("drift", func(t *testing.T) { drift(r) })
	t.Run("extended lock", func(t *testing.T) { extend(r) })
	t.Run("another bucket", func(t *testing.T) { rename(r) })
	t.Run("no off-site copies any more", func(t *testing.T) { abandon(r) })
}

func drift(r *rig) {
	name := r.site.Backup.Offsite.S3.Bucket
	r.edit(func(a *provider.Account) {
		a.Resources["aws_s3_bucket_public_access_block/"+name]["block_public_acls"] = false
		delete(a.Resources, "aws_s3_bucket_policy/"+name)
	})
	p := r.converge()
	block := find(p.Changes, "aws_s3_bucket_public_access_block.backup")
	if len(p.Changes) != 2 || block.Verb != plan.Update || block.Before != "block_public_acls=false" || block.After != "true" {
		r.Errorf("drift is told as %v", p.Changes)
	}
	if policy := find(p.Changes, "aws_s3_bucket_policy.backup"); policy.Verb != plan.Create {
		r.Errorf("what is gone is told as %v", policy)
	}
}

func extend(r *rig) {
	r.site.Backup.Offsite.S3.Lock.Days = 60
	p := r.converge()
	if lock := find(p.Changes, lockConfiguration); lock.Verb != plan.Update || lock.Before != "rule.default_retention.days=30" || !strings.Contains(lock.Irreversible, "60 days") {
		r.Errorf("a longer lock is told as %+v", lock)
	}
	r.site.Backup.Offsite.S3.Lock.Days = 45
	if p, _ := r.diff(); p.Irreversible() != 0 || len(p.Changes) == 0 {
		r.Error("a shorter default can be undone")
	}
}

func rename(r *rig) {
	before, was := r.read(), r.site.Backup.Offsite.S3.Bucket
	r.site.Backup.Offsite.S3.Bucket = "another-bucket"
	defer func() { r.site.Backup.Offsite.S3.Bucket = was }()
	p, plane := r.diff()
	if len(p.Conflicts) != 1 || !strings.Contains(p.Conflicts[0].Live, was) || p.Conflicts[0].Desired != "another-bucket" {
		r.Errorf("got conflicts %v", p.Conflicts)
	}
	if err := r.run(p, plane); err == nil {
		r.Error("a locked bucket was given up")
	}
	if len(r.read().Resources) != len(before.Resources) {
		r.Error("something is gone")
	}
}

func abandon(r *rig) {
	before, off := r.read(), r.site.Backup.Offsite
	r.site.Backup.Offsite = nil
	defer func() { r.site.Backup.Offsite = off }()
	if p, _ := r.diff(); !p.Empty() || len(r.read().Resources) != len(before.Resources) {
		r.Errorf("what is locked is touched: %v", p.Changes)
	}
}

// Every step of the way may fail in AWS: what is done stays done, and the next run does the rest, once.
func TestFaults(t *testing.T) {
	t.Parallel()
	r := newRig(t, site(t, reference))
	r.edit(func(a *provider.Account) {
		a.Faults["create aws_sns_topic_subscription"] = "Throttling: Rate exceeded"
		a.Faults["create aws_s3_bucket_lifecycle_configuration"] = "OperationAborted: A conflicting conditional operation is in progress"
	})
	p, plane := r.diff()
	err := r.run(p, plane)
	if err == nil || !strings.Contains(err.Error(), "Throttling: Rate exceeded") || strings.Contains(err.Error(), "│") {
		t.Errorf("got %v, want the provider's words", err)
	}
	left, plane := r.diff()
	if n := len(left.Changes); n == 0 || n >= len(p.Changes)/2 {
		t.Errorf("%d of %d changes are left", n, len(p.Changes))
	}
	if err := r.run(p, plane); err != nil { // the journal goes on with the plan of before
		t.Fatal(err)
	}
	r.converged()
	a := r.read()
	if made := a.Effects["create aws_s3_bucket"]; made != 1 || len(a.Resources) != len(p.Changes) {
		t.Errorf("%d buckets made, %d resources", made, len(a.Resources))
	}
}

// Terraform is killed while it works: the next run goes on from its state.
func TestKilled(t *testing.T) {
	t.Parallel()
	r := newRig(t, site(t, reference))
	p, plane := r.diff()
	ctx, kill := context.WithCancel(context.Background())
	go func() {
		for ctx.Err() == nil {
			if a, err := provider.Read(r.account.File); err == nil && len(a.Resources) > 3 {
				kill()
			}
		}
	}()
	err := plane.Apply(ctx, p.Changes)
	kill()
	t.Logf("killed: %v", err)
	_, plane = r.diff()
	if err := r.run(p, plane); err != nil {
		t.Fatal(err)
	}
	r.converged()
	if made := r.read().Effects["create aws_s3_bucket"]; made != 1 {
		t.Errorf("%d buckets made", made)
	}
}

func TestStalePlan(t *testing.T) {
	t.Parallel()
	r := newRig(t, site(t, reference))
	p, old := r.diff()
	now, plane := r.diff()
	if err := r.run(now, plane); err != nil { // somebody else's apply
		t.Fatal(err)
	}
	err := r.run(p, old)
	if err == nil || !strings.Contains(err.Error(), "the state of Terraform has changed since the plan was made") {
		t.Errorf("a stale plan: %v", err)
	}
}

func TestFromEveryExampleToEveryOther(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("runs Terraform many times")
	}
	dirs, err := filepath.Glob("../../../examples/*/site")
	if err != nil || len(dirs) < 3 {
		t.Fatal("examples are missing: ", err)
	}
	var sites []*model.Site
	for _, dir := range append(dirs, reference) {
		if s := site(t, dir); s.Backup.Offsite != nil && s.Backup.Offsite.S3.Endpoint == "" {
			s.Backup.Offsite.S3.Bucket = "one-bucket" // another one is a conflict: TestLifeOfABucket
			s.Backup.Offsite.S3.Region = "eu-central-1"
			sites = append(sites, s)
		}
	}
	r := newRig(t, sites[0])
	r.converge()
	for i := range sites { // one walk that takes every step from one to another once
		for j := range i {
			for _, next := range []*model.Site{sites[j], sites[i]} {
				if next != r.site {
					r.site = next
					r.converge()
				}
			}
		}
	}
}

func TestTerraformIsMissing(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	plane := &cloud.Plane{Site: site(t, reference), Dir: t.TempDir()}
	if _, err := plane.Desired(context.Background()); err == nil || !strings.Contains(err.Error(), "terraform is not installed") {
		t.Errorf("got %v", err)
	}
}

// A state that the backend did not take is never forgotten: planning without it would make everything twice.
func TestUnsavedState(t *testing.T) {
	t.Parallel()
	plane := &cloud.Plane{Site: site(t, reference), Dir: t.TempDir()}
	left := filepath.Join(plane.Dir, "errored.tfstate")
	if err := os.WriteFile(left, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := plane.Desired(context.Background()); err == nil || !strings.Contains(err.Error(), "state push errored.tfstate") {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(left); err != nil {
		t.Error(err)
	}
}
