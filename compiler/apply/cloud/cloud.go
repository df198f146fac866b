// Package cloud is the plane of what Terraform makes: the off-site bucket and what belongs to it. It runs the real
// terraform on the emitted module and turns Terraform's plan into objects of ours, one for each resource, without
// sensitive values; an apply carries out that very plan, which Terraform refuses if anything has moved since. What
// holds locked copies is never destroyed: a plan that would is refused before it is a plan. A site that gives its
// off-site copies up leaves the bucket alone, too. It knows no provider's API, and AWS only by names of resources.
package cloud

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"slices"

	"github.com/hashicorp/terraform-exec/tfexec"

	emit "github.com/mailplan/mailplan/compiler/emit/terraform"
	"github.com/mailplan/mailplan/compiler/model"
	"github.com/mailplan/mailplan/compiler/plan"
)

// KindResource is the kind of all objects on this plane; their ID is Terraform's address.
const KindResource = "resource"

// Plane is one site's Terraform module. It is for one run: what Desired has planned is what Live shows and Apply does.
type Plane struct {
	Site *model.Site
	// Dir is the working directory: the module, the provider, plans. It is kept from run to run.
	Dir string
	// Terraform is the program; empty means the one in PATH.
	Terraform string
	// Env is its whole environment as KEY=value, credentials included; nil means this process' own.
	Env []string
	// StateFile keeps the state in a file instead of in the declared backend; for sandboxes.
	StateFile string

	planned *planned
}

// planned is what one run of terraform plan found.
type planned struct {
	live, desired []plan.Object
	file          string // the saved plan, in Dir; empty where there is none to carry out
}

// Name is the plane's.
func (p *Plane) Name() plan.Plane { return plan.Cloud }

// Kinds are the plane's.
func (p *Plane) Kinds() []string { return []string{KindResource} }

// Desired has Terraform refresh its state and plan, and lists the resources as they shall be.
func (p *Plane) Desired(ctx context.Context) ([]plan.Object, error) {
	found, err := p.plan(ctx)
	if err != nil {
		return nil, err
	}
	p.planned = &found
	return found.desired, nil
}

// Live lists the resources as the same run found them.
func (p *Plane) Live(ctx context.Context) ([]plan.Object, error) {
	if p.planned == nil {
		if _, err := p.Desired(ctx); err != nil {
			return nil, err
		}
	}
	return p.planned.live, nil
}

// Apply carries Terraform's plan out as a whole at the first run of changes; a later one finds nothing left.
func (p *Plane) Apply(ctx context.Context, changes []plan.Change) error {
	again := p.planned == nil
	if _, err := p.Live(ctx); err != nil {
		return err
	}
	todo, _ := plan.Diff(p.planned.live, p.planned.desired)
	left, err := match(changes, todo, again)
	if err != nil || !left {
		return err
	}
	tf, err := p.terraform()
	if err != nil {
		return err
	}
	file := p.planned.file
	p.planned = nil // done or half done: the next look is a fresh one
	if err := tf.Apply(ctx, tfexec.DirOrPlan(file), tfexec.LockTimeout(lockTimeout)); err != nil {
		return fmt.Errorf("terraform apply: %w", told(err))
	}
	return nil
}

// errMoved says that another plan was agreed to than would be carried out now.
func errMoved(what string) error {
	return fmt.Errorf("%s has changed since the plan was made: make it anew", what)
}

// match holds the changes that were agreed to against those that Terraform would make: one that it would not make is
// done already. With strict, Terraform may not make others either.
func match(agreed, todo []plan.Change, strict bool) (left bool, err error) {
	known := map[string]plan.Change{}
	for _, c := range agreed {
		known[c.Ref()] = c
	}
	for _, c := range todo {
		a, ok := known[c.Ref()]
		switch {
		case !ok && strict:
			return false, errMoved(c.ID)
		case !ok:
			continue
		case (a.Verb == plan.Delete) != (c.Verb == plan.Delete), !within(a.New, c.New):
			return false, errMoved(c.ID)
		}
		left = true
	}
	return left, nil
}

// within says whether all that was agreed to is in what would be done now, which may know more: an address that was
// not known before the resource it names was there.
func within(agreed, now json.RawMessage) bool {
	var a, n any
	if len(agreed) == 0 || json.Unmarshal(agreed, &a) != nil || json.Unmarshal(now, &n) != nil {
		return bytes.Equal(agreed, now)
	}
	return holds(a, n)
}

func holds(a, n any) bool {
	switch a := a.(type) {
	case map[string]any:
		all, ok := n.(map[string]any)
		for name, member := range a {
			ok = ok && holds(member, all[name])
		}
		return ok
	case []any:
		all, ok := n.([]any)
		ok = ok && len(all) == len(a)
		for i := 0; ok && i < len(a); i++ {
			ok = a[i] == nil || holds(a[i], all[i])
		}
		return ok
	}
	return a == n
}

// plan runs terraform plan. A site without a module has nothing here.
func (p *Plane) plan(ctx context.Context) (planned, error) {
	files, err := emit.Files(p.Site)
	if err != nil || len(files) == 0 {
		return planned{}, err
	}
	tf, err := p.prepare(ctx, files)
	if err != nil {
		return planned{}, err
	}
	file, err := p.file()
	if err != nil {
		return planned{}, err
	}
	if _, err := tf.Plan(ctx, tfexec.Out(file), tfexec.LockTimeout(lockTimeout)); err != nil {
		return p.otherBucket(ctx, tf, fmt.Errorf("terraform plan: %w", told(err)))
	}
	found, err := tf.ShowPlanFile(ctx, file)
	if err != nil {
		return planned{}, fmt.Errorf("terraform show: %w", told(err))
	}
	out := planned{file: file}
	for _, c := range found.ResourceChanges {
		if err := out.add(c); err != nil {
			return planned{}, err
		}
	}
	return out, nil
}

// otherBucket tells a plan that failed because the state holds another bucket than the site declares: that one cannot
// be destroyed, so the declared one is in conflict with it. Every other failure is the cause itself.
func (p *Plane) otherBucket(ctx context.Context, tf *tfexec.Terraform, cause error) (planned, error) {
	state, err := tf.Show(ctx)
	if err != nil || state.Values == nil || state.Values.RootModule == nil {
		return planned{}, cause
	}
	want := p.Site.Backup.Offsite.S3.Bucket
	for _, r := range state.Values.RootModule.Resources {
		have, _ := r.AttributeValues["bucket"].(string)
		if r.Type != bucket || have == want {
			continue
		}
		live, desired := resource(r.Address, r.Type, map[string]any{"bucket": have}), resource(r.Address, r.Type, map[string]any{"bucket": want})
		live.Foreign, live.Show = true, have+", which holds locked copies and stays"
		desired.Sole, desired.Show = true, want
		return planned{live: []plan.Object{live}, desired: []plan.Object{desired}}, nil
	}
	return planned{}, cause
}

// Program finds terraform, or says what it is missing for.
func Program() (string, error) {
	program, err := exec.LookPath("terraform")
	if errors.Is(err, exec.ErrNotFound) {
		return "", errors.New("terraform is not installed, and the site's off-site bucket is made by it (1.10 or newer)")
	}
	return program, err
}

// locked are the resources whose destruction would take copies away, or their lock.
var locked = []string{bucket, "aws_s3_bucket_versioning", lockConfiguration}

const (
	bucket            = "aws_s3_bucket"
	lockConfiguration = "aws_s3_bucket_object_lock_configuration"
)

func isLocked(of string) bool { return slices.Contains(locked, of) }
