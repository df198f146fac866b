package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/mailplan/mailplan/compiler"
	"github.com/mailplan/mailplan/compiler/apply/host"
	"github.com/mailplan/mailplan/compiler/check"
	"github.com/mailplan/mailplan/compiler/edit"
)

// fix applies fixes one by one, each vetted before it stays: an edit that makes the site worse is taken back.
func (c *cli) fix(dir string) error {
	tried := map[check.Fix]bool{}
	for {
		site, err := compiler.Load(dir)
		if err != nil {
			return err
		}
		f, ok := next(site.Findings, tried)
		if !ok {
			return nil
		}
		tried[*f.Fix] = true
		if err := c.fixOne(dir, site, f); err != nil {
			return err
		}
	}
}

func next(findings []check.Finding, tried map[check.Fix]bool) (check.Finding, bool) {
	for _, f := range findings {
		if f.Fix != nil && !tried[*f.Fix] {
			return f, true
		}
	}
	return check.Finding{}, false
}

func (c *cli) fixOne(dir string, site *compiler.Site, f check.Finding) error {
	name, before, after, err := patch(dir, site.Source.Files, *f.Fix)
	if err != nil {
		c.say("%s stays: %v", f.Rule, err)
		return nil
	}
	if err := rewrite(name, after); err != nil {
		return err
	}
	now, err := compiler.Load(dir)
	if err != nil || len(now.Findings) >= len(site.Findings) {
		c.say("%s stays: the fix does not help in %s", f.Rule, name)
		return rewrite(name, before)
	}
	c.say("%s: %s: %s", f.Rule, f.Fix.Path, f.Fix.Value)
	return nil
}

// patch makes the edit in the first file that has part of the path; a path that no file has
// begins at the end of the last one.
func patch(dir string, files []string, f check.Fix) (name string, before, after []byte, err error) {
	for _, file := range files {
		if filepath.Ext(file) != ".cue" {
			continue
		}
		name = filepath.Join(dir, file)
		if before, err = os.ReadFile(name); err != nil {
			return name, nil, nil, err
		}
		after, err = edit.Set(name, before, f.Path, f.Value)
		if !errors.Is(err, edit.ErrAbsent) {
			return name, before, after, err
		}
	}
	if name == "" {
		return "", nil, nil, errors.New("the site has no CUE file")
	}
	after, err = edit.Append(before, f.Path, f.Value)
	return name, before, after, err
}

func rewrite(name string, content []byte) error {
	info, err := os.Stat(name)
	if err != nil {
		return fmt.Errorf("fix %s: %w", name, err)
	}
	return host.WriteFile(name, content, info.Mode().Perm(), nil)
}
