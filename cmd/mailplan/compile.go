package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mailplan/mailplan/compiler/apply/host"
	"github.com/mailplan/mailplan/compiler/model"
)

func (c *cli) newCompile() *cobra.Command {
	var out string
	var allow []string
	cmd := &cobra.Command{
		Use:   "compile [SITE] -o DIR",
		Short: "Write everything that follows from a site into a folder",
		Long: `compile writes the tree: compose file, server configuration, Terraform, desired state of the edge, runtime
configuration and the operations guide. Equal sites give byte-identical trees. Secrets are not in it: where one
belongs stands ${secret:NAME}, which apply fills in. Files of an earlier compile that are no longer wanted are
removed; a folder that holds anything else is refused.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if out == "" {
				return errors.New("compile where to? -o DIR names the folder")
			}
			site, err := c.load(args, allow)
			if err != nil {
				return err
			}
			tree, err := site.Tree()
			if err != nil {
				return err
			}
			if err := writeTree(out, tree); err != nil {
				return err
			}
			c.say("%s in %s", count(len(tree.Files), "file"), out)
			return nil
		},
	}
	cmd.Flags().StringSliceVar(&allow, "allow", nil, "go on despite these rules of severity error")
	cmd.Flags().StringVarP(&out, "out", "o", "", "folder to write into")
	return cmd
}

// contents lists, in a compiled folder, what compile wrote there.
const contents = ".mailplan-tree"

func writeTree(dir string, tree model.Tree) error {
	before, err := writtenBefore(dir)
	if err != nil {
		return err
	}
	var list strings.Builder
	for _, f := range tree.Files {
		delete(before, f.Path)
		list.WriteString(f.Path + "\n")
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("compile into %s: %w", dir, err)
	}
	// First the list of old and new, so that a crash leaves no file that no later run knows.
	for path := range before {
		list.WriteString(path + "\n")
	}
	if err := host.WriteFile(filepath.Join(dir, contents), []byte(list.String()), 0o644, nil); err != nil {
		return err
	}
	for _, f := range tree.Files {
		name := filepath.Join(dir, filepath.FromSlash(f.Path))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return fmt.Errorf("compile into %s: %w", dir, err)
		}
		if err := os.WriteFile(name, f.Content, f.Mode); err != nil {
			return fmt.Errorf("compile into %s: %w", dir, err)
		}
		if err := os.Chmod(name, f.Mode); err != nil {
			return fmt.Errorf("compile into %s: %w", dir, err)
		}
	}
	for path := range before {
		if err := os.Remove(filepath.Join(dir, filepath.FromSlash(path))); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("compile into %s: %w", dir, err)
		}
	}
	return nil
}

// writtenBefore lists an earlier compile's files. Anything else in the folder is somebody else's.
func writtenBefore(dir string) (map[string]bool, error) {
	data, err := os.ReadFile(filepath.Join(dir, contents))
	if err == nil {
		written := map[string]bool{}
		for path := range strings.Lines(string(data)) {
			if path = strings.TrimSpace(path); filepath.IsLocal(path) {
				written[path] = true
			}
		}
		return written, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("compile into %s: %w", dir, err)
	}
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		return nil, fmt.Errorf("%s is not empty and was not written by compile: name a new folder", dir)
	}
	return nil, nil
}
