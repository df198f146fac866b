package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mailplan/mailplan/compiler"
	"github.com/mailplan/mailplan/compiler/check"
	"github.com/mailplan/mailplan/compiler/draft"
	"github.com/mailplan/mailplan/compiler/model"
	"github.com/mailplan/mailplan/compiler/plan"
	"github.com/mailplan/mailplan/compiler/revision"
)

// editing is what every command that edits the site takes.
type editing struct {
	site    string
	branch  string
	message string
	commit  bool
	dryRun  bool
	json    bool

	remedies map[string]string // what the command's flags do about a rule that an edit would break
}

func (e *editing) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&e.site, "site", "", "the site's folder (default: the current one, else ./site)")
	cmd.Flags().BoolVar(&e.commit, "commit", false, "also commit the edit, and nothing else, on the current branch")
	cmd.Flags().StringVar(&e.branch, "branch", "", "commit the edit on this branch instead; the files here stay as they are")
	cmd.Flags().StringVarP(&e.message, "message", "m", "", "the commit's message (default: what was done)")
	cmd.Flags().BoolVarP(&e.dryRun, "dry-run", "n", false, "show the edit, write nothing")
	cmd.Flags().BoolVar(&e.json, "json", false, "print what was done as JSON")
}

func (e *editing) args() []string {
	if e.site == "" {
		return nil
	}
	return []string{e.site}
}

// edited is the answer of an edit.
type edited struct {
	Files    []draft.FilePatch `json:"files"`
	Headline plan.Headline     `json:"headline"`
	Warnings []check.Finding   `json:"warnings,omitempty"`
	Branch   string            `json:"branch,omitempty"`
	Commit   string            `json:"commit,omitempty"`
	Written  bool              `json:"written"`
}

// edit makes one edit: opened, changed, checked as a whole, shown, and only then written.
func (c *cli) edit(e *editing, what string, change func(*draft.Draft) error) error {
	d, err := e.open()
	if err != nil {
		return err
	}
	if err := change(d); err != nil {
		return err
	}
	r, err := d.Check()
	if err != nil {
		return c.refused(e.advise(err))
	}
	if len(d.Names()) == 0 {
		c.say("nothing to do, the site says so already")
		return nil
	}
	done := edited{Files: d.Patches(), Branch: e.branch, Warnings: r.New,
		Headline: plan.NewHeadline(d.Before.Model.Accounts(), r.After.Model.Accounts())}
	if done.Commit, err = e.write(d, what); err != nil {
		return err
	}
	done.Written = !e.dryRun
	return c.showEdit(done, r.After, e)
}

func (e *editing) open() (*draft.Draft, error) {
	dir, err := siteDir(e.args())
	if err != nil {
		return nil, err
	}
	if e.branch != "" {
		return draft.OpenBranch(dir, e.branch)
	}
	return draft.Open(dir)
}

func (e *editing) write(d *draft.Draft, what string) (hash string, err error) {
	switch {
	case e.dryRun:
		return "", nil
	case !e.commit && e.branch == "":
		return "", d.Write()
	}
	dir, err := siteDir(e.args())
	if err != nil {
		return "", err
	}
	author, err := revision.Author(dir, os.Getenv, time.Now())
	if err != nil {
		return "", err
	}
	if e.message != "" {
		what = e.message
	}
	return d.Commit(what, author)
}

// refused tells why an edited site would not do.
func (c *cli) refused(err error) error {
	var r *draft.Refused
	if !errors.As(err, &r) {
		return err
	}
	c.tellFindings(c.err, r.Site, r.Findings)
	c.say("the edit would break %s; nothing was written", count(len(r.Findings), "rule"))
	return quit{exitFailed}
}

// advise lets findings hint at what the command can do itself.
func (e *editing) advise(err error) error {
	var r *draft.Refused
	if !errors.As(err, &r) {
		return err
	}
	for i, f := range r.Findings {
		if remedy := e.remedies[f.Rule]; remedy != "" {
			r.Findings[i].Hint = remedy
		}
	}
	return err
}

func (c *cli) showEdit(done edited, after *compiler.Site, e *editing) error {
	if e.json {
		return c.json(done)
	}
	for _, f := range done.Files {
		for _, l := range f.Lines {
			fmt.Fprintf(c.out, "%s:%d: %s %s\n", f.Name, l.Number, l.Sign, l.Text)
		}
	}
	if err := (plan.Plan{Site: after.Model.Name, Headline: done.Headline}).Mail(c.out, c.style(c.out)); err != nil {
		return err
	}
	c.tellFindings(c.err, after, done.Warnings)
	switch {
	case e.dryRun:
		c.say("nothing was written (--dry-run)")
	case done.Branch != "":
		c.say("committed as %.12s on %s", done.Commit, done.Branch)
	case done.Commit != "":
		c.say("committed as %.12s", done.Commit)
	}
	return nil
}

// complete offers what the site has, for the shell.
func complete(list func(*model.Site) []string) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
		var site []string
		if dir, err := cmd.Flags().GetString("site"); err == nil && dir != "" {
			site = []string{dir}
		}
		dir, err := siteDir(site)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		loaded, err := compiler.Load(dir)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		fit := slices.DeleteFunc(list(loaded.Model), func(s string) bool {
			return !strings.HasPrefix(s, begun) || slices.Contains(args, s)
		})
		return fit, cobra.ShellCompDirectiveNoFileComp
	}
}

func userNames(s *model.Site) (names []string) {
	for _, d := range s.Domains {
		for _, u := range d.Users {
			names = append(names, u.Localpart+"@"+d.Unicode)
		}
	}
	return names
}

func aliasNames(s *model.Site) (names []string) {
	for _, d := range s.Domains {
		for _, a := range d.Aliases {
			names = append(names, a.Localpart+"@"+d.Unicode)
		}
	}
	return names
}

func domainNames(s *model.Site) (names []string) {
	for _, d := range s.Domains {
		names = append(names, d.Unicode)
	}
	return names
}

// addressNames are all addresses that the site declares.
func addressNames(s *model.Site) (names []string) { return append(userNames(s), aliasNames(s)...) }

func today() string { return time.Now().Format(time.DateOnly) }

// pick takes the flags that were given.
func pick[T any](cmd *cobra.Command, flag string, value *T) *T {
	if cmd.Flags().Changed(flag) {
		return value
	}
	return nil
}
