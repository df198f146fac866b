package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// usable has every command say how it is called when its arguments do not fit.
func usable(cmd *cobra.Command) {
	for _, sub := range cmd.Commands() {
		usable(sub)
	}
	fits := cmd.Args
	if fits == nil {
		return
	}
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if fits(cmd, args) == nil {
			return nil
		}
		given := "no argument"
		if len(args) > 0 {
			given = count(len(args), "argument")
		}
		return fmt.Errorf("%s given, want %s", given, strings.TrimSuffix(cmd.UseLine(), " [flags]"))
	}
}

// unknownVerb is the error of a verb that a group of commands does not have; alone such a group only shows its help.
func unknownVerb(root *cobra.Command, args []string) error {
	cmd, rest, err := root.Find(args)
	if err != nil || cmd.Runnable() || !cmd.HasSubCommands() || len(rest) == 0 || strings.HasPrefix(rest[0], "-") {
		return nil
	}
	if cmd == root || rest[0] == "help" {
		return nil
	}
	var verbs []string
	for _, sub := range cmd.Commands() {
		verbs = append(verbs, sub.Name())
	}
	meant := ""
	cmd.SuggestionsMinimumDistance = 2
	if near := cmd.SuggestionsFor(rest[0]); len(near) > 0 {
		meant = "; did you mean " + near[0] + "?"
	}
	return fmt.Errorf("%s has no %q, but %s%s", cmd.CommandPath(), rest[0], strings.Join(verbs, ", "), meant)
}

// errNothingToSet is of a command that changes fields and was told none.
var errNothingToSet = errors.New("nothing to change was named; --help lists the fields, as flags")
