package main

import (
	"embed"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// pages are the tutorial, a page for each task, and the reference of what a site may say.
//
//go:embed docs/*.md
var pages embed.FS

func (c *cli) newDocs() *cobra.Command {
	return &cobra.Command{
		Use:   "docs [PAGE]",
		Short: "Read the tutorial, how a task is done, or what a site may say",
		Args:  cobra.MaximumNArgs(1),
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return pageNames(), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return c.listPages()
			}
			text, err := pages.ReadFile("docs/" + args[0] + ".md")
			if err != nil {
				return fmt.Errorf("there is no page %s; the pages are %s", args[0], strings.Join(pageNames(), ", "))
			}
			_, err = c.out.Write(text)
			return err
		},
	}
}

// listPages prints each page's name and title.
func (c *cli) listPages() error {
	for _, name := range pageNames() {
		text, err := pages.ReadFile("docs/" + name + ".md")
		if err != nil {
			return err
		}
		title, _, _ := strings.Cut(string(text), "\n")
		if _, err := fmt.Fprintf(c.out, "%-10s  %s\n", name, strings.TrimPrefix(title, "# ")); err != nil {
			return err
		}
	}
	return nil
}

// pageNames begin with the tutorial and end with the reference.
func pageNames() []string {
	files, err := fs.Glob(pages, "docs/*.md")
	if err != nil {
		panic(fmt.Sprintf("embedded docs: %v", err))
	}
	names := []string{"tutorial"}
	for _, f := range files {
		name := strings.TrimSuffix(strings.TrimPrefix(f, "docs/"), ".md")
		if !slices.Contains([]string{"tutorial", "reference"}, name) {
			names = append(names, name)
		}
	}
	return append(names, "reference")
}
