package main

import (
	"github.com/spf13/cobra"

	"github.com/mailplan/mailplan/compiler/draft"
	"github.com/mailplan/mailplan/compiler/model"
)

func (c *cli) newUser() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "user",
		Short: "Add and change users in the site's own files",
		Long: `user edits the site where the user stands, in CUE or in users.csv, users.json or users.yaml, by the smallest
patch: comments and layout stay. The edited site is checked as a whole first; a bad result writes nothing. What it does to
addresses is shown; nothing reaches the live system before apply.

  mailplan user add carol@example.com --quota-mb 4096
  mailplan user set carol@example.com --role admin --commit
  mailplan user retire bob@example.com --heir alice@example.com   refuses mail and sign-in, keeps the mailbox
  mailplan user purge bob@example.com --branch bob-goes           declares that the mailbox is to be deleted`,
	}
	cmd.AddCommand(c.newUserAdd(), c.newUserSet(),
		c.newUserState("retire", "Refuse mail and sign-in from today on, and keep the mailbox", model.Retired),
		c.newUserState("purge", "Declare today that the mailbox is to be deleted; apply wants a verified backup first", model.Purged))
	return cmd
}

// userFlags are the fields of a user as flags.
type userFlags struct {
	name, role, secret, state string
	quotaMB                   int
	sendAs                    []string
}

func (f *userFlags) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.name, "name", "", "name to display")
	cmd.Flags().IntVar(&f.quotaMB, "quota-mb", 0, "mailbox size in mebibytes, 0 without bound (default: the domain's)")
	cmd.Flags().StringVar(&f.role, "role", "user", "user, domainAdmin or admin")
	cmd.Flags().StringSliceVar(&f.sendAs, "send-as", nil, "further addresses to send as")
	cmd.Flags().StringVar(&f.secret, "password-secret", "", "secret that holds the password; empty: the owner sets it")
	_ = cmd.RegisterFlagCompletionFunc("role", cobra.FixedCompletions([]string{"user", "domainAdmin", "admin"}, cobra.ShellCompDirectiveNoFileComp))
}

func (f *userFlags) user(cmd *cobra.Command) draft.User {
	return draft.User{Name: pick(cmd, "name", &f.name), QuotaMB: pick(cmd, "quota-mb", &f.quotaMB), Role: pick(cmd, "role", &f.role),
		SendAs: pick(cmd, "send-as", &f.sendAs), Secret: pick(cmd, "password-secret", &f.secret)}
}

func (c *cli) newUserAdd() *cobra.Command {
	var e editing
	var f userFlags
	cmd := &cobra.Command{
		Use:   "add ADDRESS",
		Short: "Declare a user",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.edit(&e, "Add the user "+args[0], func(d *draft.Draft) error { return d.AddUser(args[0], f.user(cmd)) })
		},
	}
	e.flags(cmd)
	f.flags(cmd)
	return cmd
}

func (c *cli) newUserSet() *cobra.Command {
	var e editing
	var f userFlags
	cmd := &cobra.Command{
		Use:   "set ADDRESS",
		Short: "Change the fields of a user that are given as flags",
		Example: `  mailplan user set carol@example.com --quota-mb 8192
  mailplan user set carol@example.com --state active    takes a retirement back`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: complete(userNames),
		RunE: func(cmd *cobra.Command, args []string) error {
			u := f.user(cmd)
			if cmd.Flags().Changed("state") {
				state, since := model.State(f.state), ""
				if state != model.Active {
					since = today()
				}
				u.State, u.Since = &state, &since
			}
			if u == (draft.User{}) {
				return errNothingToSet
			}
			return c.edit(&e, "Change the user "+args[0], func(d *draft.Draft) error { return d.SetUser(args[0], u) })
		},
	}
	e.flags(cmd)
	f.flags(cmd)
	cmd.Flags().StringVar(&f.state, "state", "", "active, disabled (only the sign-in is refused) or retired")
	_ = cmd.RegisterFlagCompletionFunc("state", cobra.FixedCompletions([]string{"active", "disabled", "retired"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func (c *cli) newUserState(verb, short string, state model.State) *cobra.Command {
	var e editing
	var heir string
	cmd := &cobra.Command{
		Use:               verb + " ADDRESS",
		Short:             short,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: complete(userNames),
		RunE: func(_ *cobra.Command, args []string) error {
			day := today()
			if heir == "" {
				const name = "--heir ADDRESS names who takes the user's place there"
				e.remedies = map[string]string{"alias-dangling": name, "catchall-dangling": name}
			}
			return c.edit(&e, capital(verb)+" the user "+args[0], func(d *draft.Draft) error {
				if heir != "" {
					if err := d.Redirect(args[0], heir); err != nil {
						return err
					}
				}
				return d.SetUser(args[0], draft.User{State: &state, Since: &day})
			})
		},
	}
	e.flags(cmd)
	cmd.Flags().StringVar(&heir, "heir", "", "address that takes the user's place in aliases and catch-alls")
	return cmd
}

func capital(verb string) string { return string(verb[0]-'a'+'A') + verb[1:] }
