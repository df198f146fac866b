package sandbox

import (
	"fmt"
	"os/exec"
	"path/filepath"

	"github.com/mailplan/mailplan/compiler/apply"
	"github.com/mailplan/mailplan/compiler/apply/cloud"
	"github.com/mailplan/mailplan/compiler/emit/terraform"
	"github.com/mailplan/mailplan/compiler/model"
	"github.com/mailplan/mailplan/compiler/sandbox/aws"
)

// openCloud is the off-site bucket at a stand-in for AWS, made by the real Terraform: the one plane of a sandbox that
// takes other programs. Where they are not installed it is left out, and left says so; so it is, silently, where the
// site has nothing for Terraform to make.
func openCloud(dir string, s *model.Site) (planes []apply.Plane, left []string, err error) {
	files, err := terraform.Files(s)
	if err != nil || len(files) == 0 {
		return nil, nil, err
	}
	if aws.Missing() != "" {
		return nil, []string{fmt.Sprintf("the sandbox leaves the cloud plane out: it takes the programs terraform and %s (see test/provider)", aws.Program)}, nil
	}
	program, err := cloud.Program()
	if err != nil {
		return nil, nil, err
	}
	provider, err := exec.LookPath(aws.Program)
	if err != nil {
		return nil, nil, err
	}
	account, err := aws.Open(filepath.Join(dir, "cloud"), provider)
	if err != nil {
		return nil, nil, err
	}
	return []apply.Plane{&cloud.Plane{Site: s, Dir: account.Dir, Terraform: program, Env: account.Env, StateFile: account.StateFile}}, nil, nil
}
