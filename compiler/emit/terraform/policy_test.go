package terraform_test

import (
	"path"
	"testing"

	"github.com/hashicorp/hcl/v2/hclparse"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/mailplan/mailplan/compiler/emit/emittest"
	"github.com/mailplan/mailplan/compiler/emit/terraform"
)

// statement is one of the writer's policy. Conditional means that it holds for some requests only.
type statement struct {
	deny, conditional bool
	actions           []string
}

// writerPolicy reads the statements of the backup user out of main.tf.
func writerPolicy(t *testing.T) []statement {
	t.Helper()
	text := emittest.Text(t, emittest.Emit(t, terraform.Files, emittest.Site()), folder+"/main.tf")
	parsed, diags := hclparse.NewParser().ParseHCL([]byte(text), "main.tf")
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	var out []statement
	for _, block := range parsed.Body.(*hclsyntax.Body).Blocks {
		if block.Type != "data" || block.Labels[1] != "backup" {
			continue
		}
		for _, s := range block.Body.Blocks {
			out = append(out, readStatement(t, s.Body))
		}
	}
	return out
}

func readStatement(t *testing.T, body *hclsyntax.Body) statement {
	t.Helper()
	s := statement{deny: body.Attributes["effect"] != nil, conditional: len(body.Blocks) > 0}
	actions, diags := body.Attributes["actions"].Expr.Value(nil)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	for _, action := range actions.AsValueSlice() {
		s.actions = append(s.actions, action.AsString())
	}
	return s
}

// verdict is IAM's rule for a request without conditions that hold: a denial wins, and what nothing allows
// is denied.
func verdict(policy []statement, action string) (allowed, denied bool) {
	for _, s := range policy {
		for _, pattern := range s.actions {
			if match, _ := path.Match(pattern, action); match && !(s.deny && s.conditional) {
				allowed = allowed || !s.deny
				denied = denied || s.deny
			}
		}
	}
	return allowed && !denied, denied
}

// TestWriter: the executor can do what it does, and what would take copies away is denied in so many words.
func TestWriter(t *testing.T) {
	policy := writerPolicy(t)
	for _, needed := range []string{
		"s3:PutObject", "s3:PutObjectRetention", "s3:GetObject", "s3:GetObjectVersion", "s3:GetObjectRetention",
		"s3:ListBucket", "s3:ListBucketVersions", "s3:GetBucketVersioning", "s3:GetBucketObjectLockConfiguration",
	} {
		if allowed, _ := verdict(policy, needed); !allowed {
			t.Errorf("%s is needed and not allowed", needed)
		}
	}
	for _, harmful := range []string{
		"s3:DeleteObject", "s3:DeleteObjectVersion", "s3:DeleteBucket", "s3:DeleteBucketPolicy", "s3:BypassGovernanceRetention",
		"s3:PutBucketVersioning", "s3:PutBucketPolicy", "s3:PutBucketObjectLockConfiguration", "s3:PutLifecycleConfiguration",
		"s3:PutObjectLegalHold", "s3:PutBucketPublicAccessBlock",
	} {
		if _, denied := verdict(policy, harmful); !denied {
			t.Errorf("%s is not denied", harmful)
		}
	}
	if allowed, _ := verdict(policy, "s3:RestoreObject"); allowed {
		t.Error("more is allowed than is needed")
	}
}
