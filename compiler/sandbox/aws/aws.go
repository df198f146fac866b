// Package aws lets Terraform meet a stand-in in place of AWS: the provider of test/provider, a program of its own, is
// installed from a folder as if it were the registry's, works on an account that is a file, and sees nothing of the
// real credentials around it. It must not know what is made in that account.
package aws

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/mailplan/mailplan/compiler/apply/host"
)

// Program is the stand-in provider; go install builds it from test/provider.
const Program = "mailplan-sandbox-aws"

// Missing tells which program a sandbox lacks for it; empty when there are both.
func Missing() string {
	for _, program := range []string{"terraform", Program} {
		if _, err := exec.LookPath(program); err != nil {
			return program
		}
	}
	return ""
}

// Account is what Terraform is run with.
type Account struct {
	Env       []string // its whole environment
	Dir       string   // its working directory
	StateFile string
	File      string // the account's content
}

// Open goes on with the account kept in dir. Provider is the path of the stand-in provider.
func Open(dir, provider string) (*Account, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	a := &Account{Dir: filepath.Join(dir, "module"), StateFile: filepath.Join(dir, "terraform.tfstate"), File: filepath.Join(dir, "account.json")}
	mirror, err := a.install(dir, provider)
	if err != nil {
		return nil, fmt.Errorf("install the stand-in provider: %w", err)
	}
	config := filepath.Join(dir, "terraformrc")
	text := fmt.Sprintf("provider_installation {\n  filesystem_mirror {\n    path = %q\n  }\n}\n", mirror)
	if err := host.WriteFile(config, []byte(text), 0o600, nil); err != nil {
		return nil, err
	}
	a.Env = append(clean(os.Environ()), "TF_CLI_CONFIG_FILE="+config, "TF_MIRROR="+mirror, "CHECKPOINT_DISABLE=1", "MAILPLAN_SANDBOX_AWS="+a.File)
	return a, nil
}

// install puts the provider where Terraform looks for hashicorp/aws. Each build of it has a folder of its own, since
// Terraform holds a build to the checksum of the first; a new one starts with a new lock file.
func (a *Account) install(dir, provider string) (mirror string, err error) {
	provider, err = filepath.Abs(provider)
	if err != nil {
		return "", err
	}
	info, err := os.Stat(provider)
	if err != nil {
		return "", err
	}
	mirror = filepath.Join(dir, fmt.Sprintf("mirror-%x-%x", info.Size(), info.ModTime().UnixNano()))
	place := filepath.Join(mirror, "registry.terraform.io", "hashicorp", "aws", "6.0.0", runtime.GOOS+"_"+runtime.GOARCH)
	if _, err := os.Stat(place); err == nil {
		return mirror, nil
	}
	if err := os.Remove(filepath.Join(a.Dir, ".terraform.lock.hcl")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	if err := os.MkdirAll(place, 0o700); err != nil {
		return "", err
	}
	return mirror, os.Symlink(provider, filepath.Join(place, "terraform-provider-aws_v6.0.0"))
}

// clean leaves out what leads to a real account.
func clean(env []string) []string {
	var out []string
	for _, v := range env {
		if !strings.HasPrefix(v, "AWS_") && !strings.HasPrefix(v, "TF_") {
			out = append(out, v)
		}
	}
	return out
}
