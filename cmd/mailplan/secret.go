package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/mailplan/mailplan/compiler"
	"github.com/mailplan/mailplan/compiler/model"
	"github.com/mailplan/mailplan/compiler/secrets"
)

func (c *cli) newSecret() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "secret",
		Short: "See, set and make the secrets that the site names",
		Long: `The site names its secrets; their values lie beside it in secrets.sops.yaml, encrypted in the format of SOPS for
the age public keys under secrets: recipients. Your own age key is looked for where sops does: SOPS_AGE_KEY,
SOPS_AGE_KEY_FILE, ~/.config/sops/age/keys.txt (age-keygen makes one). No command ever shows a value; sops does.`,
	}
	cmd.AddCommand(c.newSecretList(), c.newSecretSet(), c.newSecretGenerate(), c.newSecretStatus(), c.newSecretRotate())
	return cmd
}

// listedSecret is one line of secret list: everything but the value.
type listedSecret struct {
	Name    string   `json:"name"`
	Present bool     `json:"present"`
	Made    bool     `json:"made"`             // mailplan can make it
	MadeBy  string   `json:"madeBy,omitempty"` // plane that gives it to an apply, so that it need not be here
	UsedBy  []string `json:"usedBy"`
	Purpose string   `json:"purpose"`
	Pos     string   `json:"pos,omitempty"`
}

func (c *cli) newSecretList() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list [SITE]",
		Short: "Name every secret, who uses it, and whether it is there; needs no key",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			site, err := c.loadAny(args)
			if err != nil {
				return err
			}
			list := listSecrets(site)
			if asJSON {
				return c.json(list)
			}
			return c.tellSecrets(site, list)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the list as JSON")
	return cmd
}

func listSecrets(site *compiler.Site) []listedSecret {
	names, _ := site.Source.SecretNames()
	var list []listedSecret
	for _, e := range site.Model.Inventory() {
		list = append(list, listedSecret{Name: e.Name, Present: slices.Contains(names, e.Name), Made: e.Generated, MadeBy: e.MadeBy,
			UsedBy: e.UsedBy, Purpose: e.Purpose, Pos: line(site, e.Path)})
	}
	return list
}

func (c *cli) tellSecrets(site *compiler.Site, list []listedSecret) error {
	w := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	missing := 0
	for _, s := range list {
		state := "present"
		switch {
		case s.Present:
		case s.MadeBy != "":
			state = "given by the " + s.MadeBy
		default:
			missing++
			if state = "missing"; s.Made {
				state = "missing, can be made"
			}
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", s.Name, state, strings.Join(s.UsedBy, " "), s.Purpose)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if missing > 0 {
		c.say("%d of %s missing in %s", missing, count(len(list), "secret"), site.Model.Secrets.File)
	}
	return nil
}

func (c *cli) newSecretSet() *cobra.Command {
	var generate bool
	cmd := &cobra.Command{
		Use:   "set [SITE] NAME",
		Short: "Put a value, read from stdin, into the secrets file",
		Long: `set reads the value from stdin (without echo on a terminal), or makes one, and seals it for the site's recipients.

  mailplan secret set SENDGRID_API_KEY
  mailplan secret set dkim/example.com/mail2026 < old-key.pem
  mailplan secret set users/alice --generate`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(_ *cobra.Command, args []string) error {
			name := args[len(args)-1]
			site, store, err := c.openSecrets(args[:len(args)-1])
			if err != nil {
				return err
			}
			if err := known(site, name); err != nil {
				return err
			}
			var value string
			if generate {
				value, err = secrets.NewGenerator(site.Model).Make(name)
			} else {
				value, err = c.readValue(name)
			}
			if err != nil {
				return err
			}
			if err := store.Set(name, value); err != nil {
				return err
			}
			if err := c.saveSecrets(store, []string{name}); err != nil {
				return err
			}
			return c.recordDay(site, name)
		},
	}
	cmd.Flags().BoolVar(&generate, "generate", false, "make a strong value instead of reading one")
	return cmd
}

func (c *cli) newSecretGenerate() *cobra.Command {
	return &cobra.Command{
		Use:   "generate [SITE]",
		Short: "Make every missing secret that nobody has to issue",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			site, store, err := c.openSecrets(args)
			if err != nil {
				return err
			}
			var made, open []string
			for _, e := range store.Missing() {
				if !e.Generated {
					open = append(open, fmt.Sprintf("%s (%s)", e.Name, e.Purpose))
					continue
				}
				value, err := secrets.NewGenerator(site.Model).Make(e.Name)
				if err != nil {
					return err
				}
				if err := store.Set(e.Name, value); err != nil {
					return err
				}
				made = append(made, e.Name)
			}
			if len(made) > 0 {
				if err := c.saveSecrets(store, made); err != nil {
					return err
				}
			}
			if len(open) > 0 {
				c.say("still missing, others issue them: %s", strings.Join(open, ", "))
			}
			return nil
		},
	}
}

// loadAny reads a site whatever its findings are: a missing secret is one of them.
func (c *cli) loadAny(args []string) (*compiler.Site, error) {
	dir, err := siteDir(args)
	if err != nil {
		return nil, err
	}
	return compiler.Load(dir)
}

func (c *cli) openSecrets(args []string) (*compiler.Site, *secrets.Store, error) {
	site, err := c.loadAny(args)
	if err != nil {
		return nil, nil, err
	}
	store, err := secrets.Open(site.Source.Dir, site.Model, os.Getenv)
	return site, store, err
}

// known refuses a name that nothing would ever read.
func known(site *compiler.Site, name string) error {
	if _, ok := site.Model.Secrets.Names[name]; ok {
		return nil
	}
	if slices.ContainsFunc(site.Model.Inventory(), func(e model.Secret) bool { return e.Name == name }) {
		return nil
	}
	return fmt.Errorf("the site needs no secret %s; mailplan secret list names those it needs", name)
}

// maxSecret is far above any key.
const maxSecret = 64 << 10

func (c *cli) readValue(name string) (string, error) {
	var data []byte
	var err error
	if in, ok := c.in.(*os.File); ok && terminal(in) {
		fmt.Fprintf(c.err, "%s: ", name)
		data, err = term.ReadPassword(int(in.Fd()))
		fmt.Fprintln(c.err)
	} else {
		data, err = io.ReadAll(io.LimitReader(bufio.NewReader(c.in), maxSecret+1))
	}
	if err != nil {
		return "", fmt.Errorf("read the value: %w", err)
	}
	if len(data) > maxSecret {
		return "", fmt.Errorf("the value is longer than %d KiB", maxSecret>>10)
	}
	value := string(data)
	if strings.Count(value, "\n") == 1 { // a key in PEM keeps its last line's end
		value = strings.TrimRight(value, "\r\n")
	}
	if value == "" {
		return "", errors.New("no value on stdin")
	}
	return value, nil
}

func (c *cli) saveSecrets(store *secrets.Store, names []string) error {
	if err := store.Save(time.Now()); err != nil {
		return err
	}
	c.say("%s set in %s", strings.Join(names, ", "), store.Path())
	return nil
}
