package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/mailplan/mailplan/schema"
)

// Exit codes.
const (
	exitDone    = 0 // done, or nothing to do
	exitFailed  = 1 // failed, or the site is wrong
	exitChanges = 2 // diff found changes
	exitRefused = 3 // refused by a safety rule
)

const exitHelp = `Exit codes of mailplan:
  0  done, or nothing to do
  1  failed, or the site is wrong
  2  diff found changes
  3  refused by a safety rule
`

// cli is what every verb needs: the streams. stdout is the result, stderr is talk.
type cli struct {
	in       io.Reader
	out, err io.Writer
}

// quit ends with an exit code after everything has been said.
type quit struct{ code int }

func (q quit) Error() string { return fmt.Sprintf("exit %d", q.code) }

// Run executes one command and returns its exit code.
func Run(ctx context.Context, args []string, in io.Reader, out, err io.Writer) int {
	c := &cli{in: in, out: out, err: err}
	root := c.root()
	root.SetArgs(args)
	usable(root)
	if err := unknownVerb(root, args); err != nil {
		return c.finish(err)
	}
	return c.finish(root.ExecuteContext(ctx))
}

func (c *cli) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "mailplan",
		Short: "Declare a mail system once; compile it, and make the live one match",
		Long: `mailplan keeps a whole self-hosted mail system in one Git repository. Users, domains, DNS, containers
and backups are declared in CUE; mailplan checks the site, compiles it to configuration, and applies it.

  mailplan init my-site          start a site
  mailplan vet                   look for mistakes
  mailplan diff --sandbox /tmp/s what would change
  mailplan apply --sandbox /tmp/s`,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetIn(c.in)
	root.SetOut(c.out)
	root.SetErr(c.err)
	root.AddCommand(c.newInit(), c.newVet(), c.newRules(), c.newCompile(), c.newTrace(), c.newDiff(), c.newApply(), c.newRollback(), c.newRecover(), c.newStatus(), c.newDoctor(),
		c.newSecret(), c.newSpool(), c.newUser(), c.newAlias(), c.newDomain(), c.newDKIM(), c.newEdits(), c.newDocs(),
		&cobra.Command{Use: "exit-codes", Short: "What the exit codes mean", Long: exitHelp})
	return root
}

// finish prints an error once and picks the exit code.
func (c *cli) finish(err error) int {
	var q quit
	var problems schema.Problems
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &q):
		return q.code
	case errors.As(err, &problems):
		fmt.Fprintln(c.err, problems.Error())
		c.say("%s; nothing was written", count(len(problems), "problem"))
	default:
		c.say("%v", err)
	}
	return exitFailed
}

// say talks on stderr under the program's name.
func (c *cli) say(format string, args ...any) { fmt.Fprintf(c.err, "mailplan: "+format+"\n", args...) }

// terminal says whether a stream is one.
func terminal(w any) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

func (c *cli) json(v any) error {
	enc := json.NewEncoder(c.out)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
