package cloud

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/terraform-exec/tfexec"

	"github.com/mailplan/mailplan/compiler/apply/host"
	"github.com/mailplan/mailplan/compiler/model"
)

// lockTimeout is how long another run may hold the state.
const lockTimeout = "60s"

// initialised holds the digest of what the folder was initialised with.
const initialised = ".initialised"

// unsaved is where Terraform leaves a state that its backend did not take.
const unsaved = "errored.tfstate"

// prepare lays the module out and initialises the folder where backend, provider or environment are others than
// the last time.
func (p *Plane) prepare(ctx context.Context, files []model.File) (*tfexec.Terraform, error) {
	if err := os.MkdirAll(p.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder for Terraform: %w", err)
	}
	if _, err := os.Stat(filepath.Join(p.Dir, unsaved)); err == nil {
		return nil, fmt.Errorf("terraform could not save its state after the last apply; save it first, else what it made is forgotten: "+
			"terraform -chdir=%s state push %s, then remove that file", p.Dir, unsaved)
	}
	if err := p.lay(files); err != nil {
		return nil, err
	}
	tf, err := p.terraform()
	if err != nil {
		return nil, err
	}
	mark := p.mark(files)
	if old, err := os.ReadFile(filepath.Join(p.Dir, initialised)); err == nil && string(old) == mark {
		return tf, nil
	}
	if err := tf.Init(ctx, tfexec.Reconfigure(true)); err != nil {
		return nil, fmt.Errorf("terraform init: %w", told(err))
	}
	return tf, host.WriteFile(filepath.Join(p.Dir, initialised), []byte(mark), 0o600, nil)
}

// override is where the state is kept in a sandbox, whatever the module declares (a backend in an override file
// replaces the one of the module).
const override = "sandbox_override.tf"

// lay writes the module's files and takes away what an older one has left.
func (p *Plane) lay(files []model.File) error {
	content := map[string][]byte{}
	for _, f := range files {
		content[path.Base(f.Path)] = f.Content
	}
	if p.StateFile != "" {
		content[override] = fmt.Appendf(nil, "terraform {\n  backend \"local\" {\n    path = %q\n  }\n}\n", p.StateFile)
	}
	old, err := filepath.Glob(filepath.Join(p.Dir, "*.tf"))
	if err != nil {
		return err
	}
	for _, name := range old {
		if _, ok := content[filepath.Base(name)]; !ok {
			if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("clear the folder for Terraform: %w", err)
			}
		}
	}
	for name, data := range content {
		if err := host.WriteFile(filepath.Join(p.Dir, name), data, 0o600, nil); err != nil {
			return err
		}
	}
	return nil
}

// file makes a name for a plan of Terraform's that no other run uses, and takes away those that nobody carried out.
func (p *Plane) file() (string, error) {
	old, err := filepath.Glob(filepath.Join(p.Dir, "*.tfplan"))
	if err != nil {
		return "", err
	}
	for _, name := range old {
		if info, err := os.Stat(name); err == nil && time.Since(info.ModTime()) > time.Hour {
			os.Remove(name)
		}
	}
	f, err := os.CreateTemp(p.Dir, "*.tfplan")
	if err != nil {
		return "", fmt.Errorf("keep Terraform's plan: %w", err)
	}
	return filepath.Base(f.Name()), f.Close()
}

// mark changes with all that terraform init depends on.
func (p *Plane) mark(files []model.File) string {
	h := sha256.New()
	fmt.Fprintf(h, "%s\n%s\n", p.StateFile, p.Terraform)
	for _, f := range files {
		if path.Base(f.Path) == "provider.tf" {
			h.Write(f.Content)
		}
	}
	for _, v := range p.Env {
		if strings.HasPrefix(v, "TF_") {
			fmt.Fprintln(h, v)
		}
	}
	return hex.EncodeToString(h.Sum(nil)) + "\n"
}

func (p *Plane) terraform() (*tfexec.Terraform, error) {
	program := p.Terraform
	if program == "" {
		var err error
		if program, err = Program(); err != nil {
			return nil, err
		}
	}
	tf, err := tfexec.NewTerraform(p.Dir, program)
	if err != nil {
		return nil, fmt.Errorf("run terraform: %w", err)
	}
	env := p.Env
	if env == nil {
		env = os.Environ()
	}
	vars := map[string]string{}
	for _, v := range env {
		name, value, _ := strings.Cut(v, "=")
		vars[name] = value
	}
	return tf, tf.SetEnv(tfexec.CleanEnv(vars))
}

// told is a failure of Terraform in its own words, without the frame that it draws around them.
func told(err error) error {
	var lines []string
	for line := range strings.Lines(err.Error()) {
		line = strings.TrimSpace(strings.Trim(strings.TrimSpace(line), "╷│╵"))
		if line != "" && line != "exit status 1" {
			lines = append(lines, line)
		}
	}
	const most = 12
	if len(lines) > most {
		lines = append(slices.Clone(lines[:most]), "…")
	}
	text := strings.Join(lines, " ")
	switch {
	case text == "":
		return err
	case strings.Contains(text, "Saved plan is stale"):
		return errMoved("the state of Terraform")
	}
	return errors.New(text)
}
