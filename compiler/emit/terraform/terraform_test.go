package terraform_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclparse"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/mailplan/mailplan/compiler/emit/emittest"
	"github.com/mailplan/mailplan/compiler/emit/terraform"
	"github.com/mailplan/mailplan/test/daemon"
)

const folder = "terraform/s3-backup"

func TestFiles(t *testing.T) {
	s := emittest.Site()
	files := emittest.Emit(t, terraform.Files, s)
	emittest.Holds(t, files, folder+"/terraform.tfvars", "lock_days        = 30\n", "expire_days      = 38\n",
		"max_size_gb      = 400\n", `Project = "mailserver-backup"`, `alert_email      = "alerts@partner.example"`)
	provider := emittest.Text(t, files, folder+"/provider.tf")
	for _, text := range []string{"use_lockfile = true", `bucket       = "terraform-state-bucket"`, `region = "us-east-1"`} {
		if !strings.Contains(provider, text) {
			t.Errorf("provider.tf lacks %q:\n%s", text, provider)
		}
	}
	if strings.Contains(provider, "dynamodb_table") {
		t.Error("a lock table is used that nobody declared")
	}
	for _, f := range files {
		if len(f.Secrets()) > 0 {
			t.Errorf("%s would bring a secret into the state", f.Path)
		}
		if strings.HasSuffix(f.Path, ".tfvars") && f.Mode != 0o600 {
			t.Errorf("%s has mode %o", f.Path, f.Mode)
		}
	}
	if err := daemon.Terraform(t, emittest.Layout(t, files, folder, nil)); err != nil {
		t.Errorf("terraform fmt would write it otherwise: %v", err)
	}
}

func TestDeclaredOtherwise(t *testing.T) {
	s := emittest.Site()
	off := s.Backup.Offsite
	off.Terraform.State.Lockfile, off.Terraform.State.DynamoDBTable = false, "terraform-state-lock"
	off.S3.ExpireDays, off.S3.Prefix, off.S3.Lock.Mode = 90, "home/", "GOVERNANCE"
	off.Terraform.AlertEmail, off.Terraform.MonthlyCostUSD = "", 12.5
	off.Terraform.Tags["Odd \"tag\""] = "${not.a.reference}"
	files := emittest.Emit(t, terraform.Files, s)
	emittest.Holds(t, files, folder+"/provider.tf", `dynamodb_table = "terraform-state-lock"`)
	emittest.Holds(t, files, folder+"/terraform.tfvars", "expire_days      = 90\n", `prefix           = "home/"`, `"$${not.a.reference}"`, "= 12.5\n")
	if err := daemon.Terraform(t, emittest.Layout(t, files, folder, nil)); err != nil {
		t.Errorf("terraform fmt would write it otherwise: %v", err)
	}

	off.S3.Endpoint = "https://s3.partner.example"
	if files := emittest.Emit(t, terraform.Files, s); len(files) > 0 {
		t.Error("AWS resources for a bucket that is elsewhere")
	}
	s.Backup.Offsite = nil
	if files := emittest.Emit(t, terraform.Files, s); len(files) > 0 {
		t.Error("resources that nobody declared")
	}
}

// TestReferences: every variable that is used is declared and has a value or a default, and every resource
// that is named exists.
func TestReferences(t *testing.T) {
	files := emittest.Emit(t, terraform.Files, emittest.Site())
	declared, used, defaulted := map[string]bool{}, map[string]bool{}, map[string]bool{}
	given := map[string]bool{}
	for _, f := range files {
		parsed, diags := hclparse.NewParser().ParseHCL(f.Content, f.Path)
		if diags.HasErrors() {
			t.Fatal(diags)
		}
		body := parsed.Body.(*hclsyntax.Body)
		for name := range body.Attributes {
			given["var."+name] = true
		}
		for _, block := range body.Blocks {
			note(block, declared, defaulted)
		}
		diags = hclsyntax.VisitAll(body, func(n hclsyntax.Node) hcl.Diagnostics {
			if e, ok := n.(*hclsyntax.ScopeTraversalExpr); ok {
				used[address(e.Traversal)] = true
			}
			return nil
		})
		if diags.HasErrors() {
			t.Fatal(diags)
		}
	}
	for _, known := range []string{"each.value", "aws.billing", "hashicorp", "string", "number"} {
		declared[known] = true
	}
	for name := range used {
		if !declared[name] {
			t.Errorf("%s is used and not declared", name)
		}
	}
	want := slices.DeleteFunc(slices.Sorted(maps.Keys(declared)), func(n string) bool {
		return !strings.HasPrefix(n, "var.") || defaulted[n] && !given[n]
	})
	if diff := cmp.Diff(want, slices.Sorted(maps.Keys(given))); diff != "" {
		t.Errorf("values and variables:\n%s", diff)
	}
}

// note writes down what a block declares.
func note(block *hclsyntax.Block, declared, defaulted map[string]bool) {
	switch block.Type {
	case "variable":
		declared["var."+block.Labels[0]] = true
		defaulted["var."+block.Labels[0]] = block.Body.Attributes["default"] != nil
	case "resource":
		declared[strings.Join(block.Labels, ".")] = true
	case "data":
		declared["data."+strings.Join(block.Labels, ".")] = true
	}
}

// address is the part of a reference that names a thing: var.x, TYPE.NAME, data.TYPE.NAME.
func address(t hcl.Traversal) string {
	parts := []string{t.RootName()}
	n := 2
	if parts[0] == "data" {
		n = 3
	}
	for _, step := range t[1:] {
		if attr, ok := step.(hcl.TraverseAttr); ok && len(parts) < n {
			parts = append(parts, attr.Name)
		}
	}
	return strings.Join(parts, ".")
}
