package main

import (
	_ "embed" // workflow.yml
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/mailplan/mailplan/schema"
	"github.com/mailplan/mailplan/site"
)

const gitignore = `# mailplan: what must never be committed
.env
.env.*
!.env.example
*.key
*.pem
secrets/
terraform.tfvars
sandbox/
`

// workflow shows each pull request's plan, applies it on merge, and looks for drift.
//
//go:embed workflow.yml
var workflow []byte

func (c *cli) newInit() *cobra.Command {
	return &cobra.Command{
		Use:   "init DIR",
		Short: "Start a new site",
		Long: `init writes a new site into an empty or new folder: the reference site to change, the schema for cue vet and
editors, a .gitignore and a CI workflow that shows each pull request's plan and applies it on merge.

  mailplan init my-mail && cd my-mail && mailplan vet`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			files, err := startingFiles()
			if err != nil {
				return err
			}
			if err := writeNew(args[0], files); err != nil {
				return err
			}
			c.say("%s in %s; next: edit site.cue and example-com.cue, then mailplan vet %s", count(len(files), "file"), args[0], args[0])
			return nil
		},
	}
}

func startingFiles() (map[string][]byte, error) {
	files := map[string][]byte{
		".gitignore":                     []byte(gitignore),
		".github/workflows/mailplan.yml": workflow,
	}
	err := fs.WalkDir(site.Files, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files[path], err = site.Files.ReadFile(path)
		return err
	})
	maps.Copy(files, schema.Vendor())
	return files, err
}

// writeNew overwrites nothing: it is done only if none of the files exists.
func writeNew(dir string, files map[string][]byte) error {
	names := slices.Sorted(maps.Keys(files))
	for _, name := range names {
		if path := filepath.Join(dir, filepath.FromSlash(name)); exists(path) {
			return fmt.Errorf("%s exists: init starts a site, it does not change one", path)
		}
	}
	for _, name := range names {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return fmt.Errorf("start a site: %w", err)
		}
		f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
		if err != nil {
			return fmt.Errorf("start a site: %w", err)
		}
		_, err = f.Write(files[name])
		if err := errors.Join(err, f.Close()); err != nil {
			return fmt.Errorf("start a site: %w", err)
		}
	}
	return nil
}
