package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/mailplan/mailplan/compiler"
	"github.com/mailplan/mailplan/compiler/check"
)

// siteDir is the SITE argument: as given, else the current folder when it holds CUE files, else ./site.
func siteDir(args []string) (string, error) {
	if len(args) > 0 {
		return args[0], nil
	}
	for _, dir := range []string{".", "site"} {
		if files, err := filepath.Glob(filepath.Join(dir, "*.cue")); err == nil && len(files) > 0 {
			return dir, nil
		}
	}
	return "", errors.New("no site here: name its folder, or make one with `mailplan init DIR`")
}

// load reads a site. A finding of severity error ends the command, unless its rule is allowed by name.
func (c *cli) load(args, allowed []string) (*compiler.Site, error) {
	dir, err := siteDir(args)
	if err != nil {
		return nil, err
	}
	site, err := compiler.Load(dir)
	if err != nil {
		return nil, err
	}
	errs := slices.DeleteFunc(slices.Clone(site.Findings), func(f check.Finding) bool {
		return f.Severity != check.Error || slices.Contains(allowed, f.Rule)
	})
	if len(errs) > 0 {
		c.tellFindings(c.err, site, errs)
		c.say("nothing was written; mend the site, or allow each rule by name with --allow")
		return nil, quit{exitFailed}
	}
	return site, nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return !errors.Is(err, fs.ErrNotExist)
}
